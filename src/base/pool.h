// The threads behind parallel_for.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

namespace thixo {

/// One parallel loop: tiles cut into parts, each of which some thread runs whole.
struct Loop {
  int64_t tiles;
  void (*fn)(void* ctx, int64_t begin, int64_t end);
  void* ctx;
  int parts;
  std::atomic<bool> failed{false};
  std::exception_ptr error{};  ///< the first one, once all parts are done

  void run(int part) noexcept;
};

/// At most this many parts, and threads.
inline constexpr int kMaxParts = 4096, kMaxThreads = 1024;

/// Runs all parts on the calling thread and at most threads - 1 others; returns when all are done. One loop at a time
/// has the others: who comes meanwhile runs its own alone.
void run_on_pool(Loop& loop, int threads);

/// Whether this thread runs parts of a loop, or was asked to keep to itself.
bool thread_is_serial();
void set_thread_serial(bool serial);

}  // namespace thixo
