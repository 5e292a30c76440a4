#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/thread_state.h"
#include "thixo/error.h"

#ifdef THIXO_PARALLEL_STD
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace thixo {
namespace {

/// This thread runs its loops itself: it is inside one already, or was asked to.
THIXO_FAST_TLS bool t_serial = false;
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
  if (int64_t n = env_int(Env::NumThreads); n > 0) return static_cast<int>(std::min<int64_t>(n, 1024));
  if (const char* omp = std::getenv("OMP_NUM_THREADS")) {
    std::string_view text(omp);  // "8" or, per level, "8,2"
    int n = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), n).ec == std::errc() && n > 0) return std::min(n, 1024);
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

/// One call of parallel_tiles, as all its threads see it.
struct Loop {
  int64_t tiles;
  TileFn fn;
  void* ctx;
  int parts;
  std::atomic<bool> failed{false};
  std::exception_ptr error{};

  void run(int part) noexcept {
    const int64_t begin = tiles / parts * part + std::min<int64_t>(part, tiles % parts);
    const int64_t end = begin + tiles / parts + (part < tiles % parts ? 1 : 0);
    const bool before = t_serial;
    t_serial = true;
    try {
      fn(ctx, begin, end);
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
    t_serial = before;
  }
};

#ifdef THIXO_PARALLEL_STD

/// Threads that wait for a loop. One loop at a time: who comes second runs its own serially.
class Pool {
 public:
  void run(Loop& loop) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn) {
      for (int part = 0; part < loop.parts; ++part) loop.run(part);
      return;
    }
    while (static_cast<int>(threads_.size()) < loop.parts - 1) {
      threads_.emplace_back([this, part = static_cast<int>(threads_.size()) + 1] { work(part); });
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      loop_ = &loop;
      ++generation_;
      left_ = loop.parts - 1;
    }
    wake_.notify_all();
    loop.run(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return left_ == 0; });
    loop_ = nullptr;
  }

 private:
  void work(int part) {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return generation_ != seen && loop_ != nullptr; });
      seen = generation_;
      if (part >= loop_->parts) continue;
      Loop* loop = loop_;
      lock.unlock();
      loop->run(part);
      lock.lock();
      if (--left_ == 0) done_.notify_one();
    }
  }

  std::mutex turn_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  Loop* loop_ = nullptr;
  uint64_t generation_ = 0;
  int left_ = 0;
};

void run_parts(Loop& loop, int) {
  static Pool& pool = *new Pool;  // never destroyed: its threads wait until the process ends
  pool.run(loop);
}
int pool_threads() { return 0; }
void set_pool_threads(int) {}

#else

void run_parts(Loop& loop, int threads) {
  // Always the full team: libgomp ends the threads that a smaller one leaves out.
#pragma omp parallel num_threads(threads)
  {
    // Fewer threads than asked for may have come.
    for (int part = omp_get_thread_num(); part < loop.parts; part += omp_get_num_threads()) loop.run(part);
  }
}
// What libraries on the same pool (oneDNN) use from the calling thread.
int pool_threads() { return omp_get_max_threads(); }
void set_pool_threads(int n) { omp_set_num_threads(n); }

#endif

}  // namespace

int library_threads() { return pool_threads(); }
void set_library_threads(int n) { set_pool_threads(n); }

void parallel_tiles(int64_t tiles, TileFn fn, void* ctx) {
  if (tiles <= 0) return;
  const int threads = tiles == 1 ? 1 : get_num_threads();
  if (threads == 1) return fn(ctx, 0, tiles);
  Loop loop{.tiles = tiles, .fn = fn, .ctx = ctx, .parts = static_cast<int>(std::min<int64_t>(threads, tiles))};
  run_parts(loop, threads);
  if (loop.failed.load()) std::rethrow_exception(loop.error);
}

int get_num_threads() {
  if (t_serial || g_forked.load(std::memory_order_relaxed)) return 1;
#ifndef THIXO_PARALLEL_STD
  if (omp_in_parallel()) return 1;  // someone else's parallel region
#endif
  return thread_count();
}

void set_num_threads(int n) {
  if (n < 1) {
    throw ValueError("set_num_threads: " + std::to_string(n) + " threads").need("a number of threads of at least 1");
  }
  g_threads.store(n, std::memory_order_relaxed);
  if (!g_forked.load() && !t_serial) set_library_threads(n);
}

SerialThread::SerialThread() : before_(t_serial), library_threads_(library_threads()) {
  t_serial = true;
  set_library_threads(1);
}

SerialThread::~SerialThread() {
  t_serial = before_;
  set_library_threads(library_threads_);
}

}  // namespace thixo
