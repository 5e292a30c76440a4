// Writing what will not be read soon.
#pragma once

#include <cstddef>

#include "thixo/export.h"

namespace thixo {

/// Results from this size on leave no room in a last cache for themselves: they are better written past it.
inline constexpr size_t kStreamFrom = size_t{32} << 20;

/// memcpy whose stores go past the caches where the processor can: the lines of `to` are not read first.
THIXO_API void stream_copy(void* to, const void* from, size_t bytes) noexcept;
/// After a thread's last stream_copy, before another thread reads.
THIXO_API void stream_fence() noexcept;

}  // namespace thixo
