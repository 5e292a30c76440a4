// Ctrl-C as a request: the first one is noted, a second one ends the program as usual.
#pragma once

#include <csignal>

namespace thixo::cli {

class Interrupt {
 public:
  Interrupt() {
    stopped_ = 0;
    struct sigaction action{};
    action.sa_handler = [](int) { stopped_ = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_int_);
    sigaction(SIGTERM, &action, &before_term_);
  }
  ~Interrupt() {
    sigaction(SIGINT, &before_int_, nullptr);
    sigaction(SIGTERM, &before_term_, nullptr);
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool requested() const { return stopped_ != 0; }

 private:
  static inline volatile std::sig_atomic_t stopped_ = 0;
  struct sigaction before_int_{}, before_term_{};
};

}  // namespace thixo::cli
