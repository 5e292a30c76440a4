// Learning rates over time, with PyTorch's formulas in closed form: call step() after each epoch (or batch).
//
//   optim::CosineAnnealingLR schedule(opt, 100);
//   for (...) { train(); schedule.step(); }
#pragma once

#include <functional>
#include <string>

#include "thixo/optim.h"

namespace thixo::optim {

class THIXO_API LRScheduler : public Object {
 public:
  /// Moves on and sets the rates of all groups.
  void step();
  int64_t last_epoch() const { return last_epoch_; }
  /// As after `epoch` calls of step(): for resuming.
  void set_epoch(int64_t epoch);
  std::vector<double> get_last_lr() const;

 protected:
  explicit LRScheduler(const Optimizer& optimizer);
  /// The rate of a group (its "initial_lr" is `base`) after t steps.
  virtual double lr(size_t group, double base, int64_t t) const = 0;
  /// Sets more than the rate.
  virtual void apply(ParamGroup& group, size_t index, int64_t t);
  /// Constructors of derived classes end with it.
  void start() { set_epoch(0); }
  Ref<OptimizerState> optimizer_;

 private:
  int64_t last_epoch_ = 0;
};

/// base * f(t)
class THIXO_API LambdaLR : public LRScheduler {
 public:
  LambdaLR(const Optimizer& optimizer, std::function<double(int64_t)> f);

 protected:
  double lr(size_t, double base, int64_t t) const override { return base * f_(t); }

 private:
  std::function<double(int64_t)> f_;
};

/// base * gamma^(t / step_size)
class THIXO_API StepLR : public LRScheduler {
 public:
  StepLR(const Optimizer& optimizer, int64_t step_size, double gamma = 0.1);

 protected:
  double lr(size_t, double base, int64_t t) const override;

 private:
  int64_t step_size_;
  double gamma_;
};

/// base * gamma^t
class THIXO_API ExponentialLR : public LRScheduler {
 public:
  ExponentialLR(const Optimizer& optimizer, double gamma);

 protected:
  double lr(size_t, double base, int64_t t) const override;

 private:
  double gamma_;
};

/// base * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)
class THIXO_API LinearLR : public LRScheduler {
 public:
  LinearLR(const Optimizer& optimizer, double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);

 protected:
  double lr(size_t, double base, int64_t t) const override;

 private:
  double start_, end_;
  int64_t total_;
};

/// eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2
class THIXO_API CosineAnnealingLR : public LRScheduler {
 public:
  CosineAnnealingLR(const Optimizer& optimizer, int64_t t_max, double eta_min = 0);

 protected:
  double lr(size_t, double base, int64_t t) const override;

 private:
  int64_t t_max_;
  double eta_min_;
};

struct OneCycleOptions {
  double pct_start = 0.3;
  std::string anneal_strategy = "cos";  ///< or "linear"
  bool cycle_momentum = true;
  double base_momentum = 0.85, max_momentum = 0.95;
  double div_factor = 25, final_div_factor = 1e4;
  bool three_phase = false;
};
/// From max_lr / div_factor up to max_lr and down to max_lr / (div_factor * final_div_factor), the momentum against it.
class THIXO_API OneCycleLR : public LRScheduler {
 public:
  OneCycleLR(const Optimizer& optimizer, double max_lr, int64_t total_steps, const OneCycleOptions& options = {});

 protected:
  double lr(size_t, double base, int64_t t) const override;
  void apply(ParamGroup& group, size_t index, int64_t t) override;

 private:
  double at(int64_t t, double low, double high, double final) const;
  double max_lr_;
  int64_t total_;
  OneCycleOptions o_;
};

}  // namespace thixo::optim
