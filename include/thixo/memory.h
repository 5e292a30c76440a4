// Memory of tensors: it is kept for reuse when a tensor goes, and goes back to the system when it stays unused.
#pragma once

#include <cstdint>

#include "thixo/export.h"

namespace thixo {

/// Bytes unless said otherwise. Tensors of up to 64 bytes live inside their own handle and are not counted; those
/// of up to 4 KiB reach `peak` with a little delay.
struct MemoryStats {
  int64_t allocated = 0;        ///< what live tensors asked for
  int64_t peak = 0;             ///< the most that `allocated` was since reset_peak_memory_stats()
  int64_t kept = 0;             ///< held from the system: live, or kept for reuse
  int64_t limit = 0;            ///< 0: none
  int64_t blocks = 0;           ///< number of live blocks
  int64_t allocations = 0;      ///< number of blocks handed out since the start
  int64_t system_requests = 0;  ///< how often memory had to come from the system
};
THIXO_API MemoryStats memory_stats();
THIXO_API void reset_peak_memory_stats();
/// Gives unused memory back to the system now.
THIXO_API void empty_cache();
/// The most that `kept` may become; 0 lifts the limit. Also THIXO_MEMORY_LIMIT. An allocation beyond it is an
/// "out of memory" error.
THIXO_API void set_memory_limit(int64_t bytes);
/// Memory that was not used for so many seconds goes back to the system when the next block of more than 4 KiB is
/// released. 0: at once; a negative number: never. Also THIXO_MEMORY_IDLE.
THIXO_API void set_memory_idle(int64_t seconds);

}  // namespace thixo
