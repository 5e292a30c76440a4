// Threads that leave signals to others.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

namespace thixo {

/// While it lives, signals wait or go to other threads; only faults of this thread's own (SIGSEGV, ...) come to it.
/// Where they are held back already (a quiet thread) it costs nothing, else two system calls.
class HoldSignals {
 public:
  HoldSignals();
  ~HoldSignals();
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;

 private:
  sigset_t before_;  // of the outermost one
  bool outermost_;
};

/// A thread that takes no signals: for work of the library's own. What runs a user's code takes them, since processes
/// started there would inherit it.
template <class F> std::thread quiet_thread(F f) {
  const HoldSignals inherited;
  return std::thread([f = std::move(f)]() mutable {
    const HoldSignals always;  // known to those within
    f();
  });
}

}  // namespace thixo
