// A progress bar that is redrawn in place on a terminal, and one line an epoch elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace thixo::cli {

class Progress {
 public:
  Progress(int64_t epochs, int64_t steps_per_epoch);
  /// After each step: the epoch (from 1), the step in it (from 1), samples so far, and the means of the epoch so far.
  void update(int64_t epoch, int64_t step, int64_t samples, double loss, double accuracy);
  /// Ends a line that is being redrawn.
  void finish();
  double seconds() const;

 private:
  std::string line(int64_t epoch, int64_t step, int64_t samples, double loss, double accuracy) const;
  using Clock = std::chrono::steady_clock;
  int64_t epochs_, steps_;
  bool terminal_;
  bool open_ = false;  // the cursor stands on a line being redrawn
  Clock::time_point start_, drawn_;
};

}  // namespace thixo::cli
