// Workers take numbers in order, the caller takes the results in order.
#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>

#include "thixo/data.h"
#include "thixo/parallel.h"

namespace thixo::data {

struct Prefetch::Work {
  Make make;
  Options options;
  int64_t taken = 0;  // by the caller

  std::mutex mutex;
  std::condition_variable changed;
  int64_t begun = 0;  // by the workers
  int running = 0;
  std::atomic<bool> stopped = false;
  struct Done {
    Result result;
    std::exception_ptr error;
  };
  std::map<int64_t, Done> done;

  Done make_one(int64_t k) {
    Done d;
    // Random numbers belong to k: which worker makes it, and what it made before, does not matter.
    const auto block = philox4x32(options.seed, static_cast<uint64_t>(k), 1);
    ThreadGenerator random(static_cast<uint64_t>(block[0]) << 32 | block[1]);
    try {
      d.result = make(k, stopped);
    } catch (...) {
      d.error = std::current_exception();
    }
    return d;
  }

  void work() {
    SerialThread serial;
    const int64_t ahead = std::max(options.ahead, 1) * static_cast<int64_t>(options.workers);
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stopped || begun >= options.count || begun < taken + ahead; });
      if (stopped || begun >= options.count) break;
      const int64_t mine = begun++;
      lock.unlock();
      Done result = make_one(mine);
      lock.lock();
      done[mine] = std::move(result);
      changed.notify_all();
    }
    --running;
    changed.notify_all();
  }
};

Prefetch::Prefetch(Make make, const Options& options) : work_(std::make_shared<Work>()) {
  work_->make = std::move(make);
  work_->options = options;
  work_->taken = work_->begun = options.from;
  work_->running = options.workers;
  for (int i = 0; i < options.workers; ++i) threads_.emplace_back([w = work_.get()] { w->work(); });
}

Prefetch::~Prefetch() {
  stop();
  for (std::thread& t : threads_) t.join();
}

std::optional<Prefetch::Result> Prefetch::next(const std::function<void()>& tick) {
  constexpr auto kTick = std::chrono::milliseconds(50);
  Work& w = *work_;
  if (w.stopped || w.taken >= w.options.count) return {};
  if (threads_.empty()) return w.make(w.taken++, w.stopped);
  std::unique_lock lock(w.mutex);
  auto ready = [&] { return w.stopped || w.done.contains(w.taken); };
  while (!w.changed.wait_for(lock, kTick, ready)) {
    if (!tick) continue;
    lock.unlock();
    tick();
    lock.lock();
  }
  if (w.stopped) return {};
  Work::Done d = std::move(w.done.extract(w.taken).mapped());
  ++w.taken;
  lock.unlock();
  w.changed.notify_all();
  if (d.error) std::rethrow_exception(d.error);
  return std::move(d.result);
}

void Prefetch::stop() {
  {
    std::lock_guard lock(work_->mutex);
    work_->stopped = true;
  }
  work_->changed.notify_all();
}

bool Prefetch::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(work_->mutex);
  return work_->changed.wait_for(lock, most, [&] { return work_->running == 0; });
}

}  // namespace thixo::data
