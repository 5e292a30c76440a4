#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/pool.h"
#include "thixo/error.h"

namespace thixo {
namespace {

std::atomic<int> g_threads{0};  // 0: not yet asked for
std::atomic<bool> g_forked{false};

// After fork only the calling thread lives on: the pool's threads, and what they held, are gone.
[[maybe_unused]] const int g_at_fork = pthread_atfork(nullptr, nullptr, [] { g_forked.store(true); });

/// How many cores a container's quota is worth; a large number without one.
int quota_cores() {
  long long quota = 0, period = 0;
  if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    if (std::fscanf(f, "%lld %lld", &quota, &period) != 2) quota = 0;
    std::fclose(f);
  }
  if (quota <= 0 || period <= 0) return 1 << 20;
  return static_cast<int>(std::clamp((quota + period - 1) / period, 1LL, 1LL << 20));
}

int own_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, std::min(cores, quota_cores()));
}

int first_thread_count() {
  if (int64_t n = env_int(Env::NumThreads, 0, kMaxThreads); n > 0) return static_cast<int>(n);
  if (const char* omp = std::getenv("OMP_NUM_THREADS")) {
    std::string_view text(omp);  // "8" or, per level, "8,2"
    int n = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), n).ec == std::errc() && n > 0)
      return std::min(n, kMaxThreads);
  }
  return own_cores();
}

int thread_count() {
  int n = g_threads.load(std::memory_order_relaxed);
  if (n == 0) [[unlikely]] {
    set_num_threads(first_thread_count());
    n = g_threads.load(std::memory_order_relaxed);
  }
  return n;
}

constexpr int kPartsPerThread = 4;  // who is done early takes over from who is late

}  // namespace

void parallel_tiles(int64_t tiles, TileFn fn, void* ctx) {
  if (tiles <= 0) return;
  const int threads = tiles == 1 ? 1 : get_num_threads();
  if (threads == 1) return fn(ctx, 0, tiles);
  const int parts = std::min(threads * kPartsPerThread, kMaxParts);
  Loop loop{.tiles = tiles, .fn = fn, .ctx = ctx, .parts = static_cast<int>(std::min<int64_t>(parts, tiles))};
  run_on_pool(loop, threads);
  if (loop.failed.load()) std::rethrow_exception(loop.error);
}

int get_num_threads() {
  if (thread_is_serial() || g_forked.load(std::memory_order_relaxed)) return 1;
  return thread_count();
}

void set_num_threads(int n) {
  if (n < 1 || n > kMaxThreads) {
    throw ValueError("set_num_threads: " + std::to_string(n) + " threads")
        .need("a number of threads from 1 to " + std::to_string(kMaxThreads));
  }
  g_threads.store(n, std::memory_order_relaxed);
}

SerialThread::SerialThread() : before_(thread_is_serial()) { set_thread_serial(true); }
SerialThread::~SerialThread() { set_thread_serial(before_); }

}  // namespace thixo
