#include "base/pool.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/signals.h"
#include "base/thread_state.h"

namespace thixo {
namespace {

THIXO_FAST_TLS bool t_serial = false;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int kPauses = 1000;                            // some 20 us: the next loop of the same program
constexpr auto kAwake = std::chrono::microseconds(500);  // sleeping and waking cost up to 50 us on a virtual machine

/// Waits until `word` is no longer `old`: first awake, since loops follow each other closely, giving way to whoever
/// else wants the core; then asleep.
template <class T> T wait_while(const std::atomic<T>& word, T old, bool own_core) {
  auto now = word.load(std::memory_order_acquire);
  for (int i = 0; own_core && i < kPauses && now == old; ++i) {
    pause();
    now = word.load(std::memory_order_acquire);
  }
  const auto until = std::chrono::steady_clock::now() + kAwake;
  while (now == old && std::chrono::steady_clock::now() < until) {
    sched_yield();
    now = word.load(std::memory_order_acquire);
  }
  for (; now == old; now = word.load(std::memory_order_acquire)) word.wait(old, std::memory_order_acquire);
  return now;
}

class Pool {
 public:
  void run(Loop& loop, int threads) {
    const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn) {
      for (int part = 0; part < loop.parts; ++part) loop.run(part);
      return;
    }
    grow(threads);
    loop_ = &loop;
    team_.store(threads, std::memory_order_relaxed);
    left_.store(loop.parts, std::memory_order_relaxed);
    const uint64_t now =
        ((round_of(word_.load(std::memory_order_relaxed)) + 1) << 16) | static_cast<uint64_t>(loop.parts);
    word_.store(now, std::memory_order_release);
    word_.notify_all();  // costs nothing while none sleeps
    take(0, now);
    for (int left = left_.load(std::memory_order_acquire); left != 0;) left = wait_while(left_, left, own_core_);
  }

 private:
  // A round, and how many parts it has: one word, so that a thread that comes late never mixes two rounds up.
  static uint64_t round_of(uint64_t word) { return word >> 16; }
  static int parts_of(uint64_t word) { return static_cast<int>(word & 0xffff); }

  void grow(int threads) {
    own_core_ = threads <= static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    try {
      while (static_cast<int>(threads_.size()) < threads - 1) {
        threads_.push_back(quiet_thread([this, me = static_cast<int>(threads_.size()) + 1] { work(me); }));
      }
    } catch (const std::system_error&) {
      // The system gives no more: those that are there, at least the caller, do it all.
    }
  }

  void work(int me) {
    for (uint64_t word = 0;;) {
      word = wait_while(word_, word, own_core_.load(std::memory_order_relaxed));
      if (me < team_.load(std::memory_order_relaxed)) take(me, word);
    }
  }

  /// Runs parts until none is left: first those that are this thread's by their place (what it touched in the last loop
  /// is in its caches), then any that nobody has taken up.
  void take(int me, uint64_t word) {
    const int parts = parts_of(word), team = std::max(1, team_.load(std::memory_order_relaxed));
    const int first = static_cast<int>(int64_t{parts} * std::min(me, team - 1) / team);
    for (int k = 0; k < parts; ++k) {
      const int part = first + k < parts ? first + k : first + k - parts;
      if (!claim(part, round_of(word))) continue;
      loop_->run(part);  // lives while a claimed part is not done
      if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_all();
    }
  }

  /// True for one thread a round. Of a round that is over all parts were claimed, so a late thread gets none.
  bool claim(int part, uint64_t round) {
    std::atomic<uint64_t>& by = claimed_[static_cast<size_t>(part)];
    uint64_t last = by.load(std::memory_order_relaxed);
    return last < round && by.compare_exchange_strong(last, round, std::memory_order_acq_rel);
  }

  std::mutex turn_;
  std::vector<std::thread> threads_;
  std::atomic<bool> own_core_{true};
  Loop* loop_ = nullptr;
  std::atomic<int> team_{0};
  alignas(64) std::atomic<uint64_t> word_{0};
  alignas(64) std::atomic<int> left_{0};
  alignas(64) std::array<std::atomic<uint64_t>, kMaxParts> claimed_{};
};

}  // namespace

void Loop::run(int part) noexcept {
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

void run_on_pool(Loop& loop, int threads) {
  static Pool& pool = *new Pool;  // never destroyed: its threads wait until the process ends
  pool.run(loop, threads);
}

bool thread_is_serial() { return t_serial; }
void set_thread_serial(bool serial) { t_serial = serial; }

}  // namespace thixo
