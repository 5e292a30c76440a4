#include "base/signals.h"

#include "base/thread_state.h"

namespace thixo {
namespace {

THIXO_FAST_TLS bool t_held = false;

const sigset_t& all_but_faults() {
  static const sigset_t set = [] {
    sigset_t s;
    sigfillset(&s);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&s, fault);
    return s;
  }();
  return set;
}

}  // namespace

HoldSignals::HoldSignals() : outermost_(!t_held) {
  if (!outermost_) return;
  pthread_sigmask(SIG_BLOCK, &all_but_faults(), &before_);
  t_held = true;
}

HoldSignals::~HoldSignals() {
  if (!outermost_) return;
  t_held = false;
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace thixo
