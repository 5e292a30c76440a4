// Learning rates over time, with PyTorch's formulas: call step() after each epoch (or batch).
//
//   optim::CosineAnnealingLR schedule(opt, 100);
//   for (...) { train(); schedule.step(); }
//
// A step goes from the rate that a group has, so schedules of one optimizer chain (a warm-up times a decay) and a rate
// set by hand stays. LambdaLR and OneCycleLR alone set rates that depend on nothing but the epoch.
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
  /// As after `epoch` calls of step() with nobody else changing rates: for resuming without the optimizer's state.
  void set_epoch(int64_t epoch);
  /// The rates of all groups after the last step.
  const std::vector<double>& get_last_lr() const { return last_lr_; }
  /// The rates that the schedule started from; groups added later have none.
  const std::vector<double>& base_lrs() const { return base_lrs_; }

  /// What there is to save, where the optimizer's state is saved too; the rates stay as they are.
  struct State {
    int64_t last_epoch = 0;
    std::vector<double> base_lrs, last_lr;
  };
  State state() const { return {last_epoch_, base_lrs_, last_lr_}; }
  void set_state(State s);

 protected:
  /// With a last_epoch the schedule goes on after that epoch: groups need an "initial_lr" then.
  LRScheduler(const Optimizer& optimizer, const char* name, int64_t last_epoch);
  /// The rate of a group at step t, from its present rate.
  virtual double next(size_t group, double lr, int64_t t) const = 0;
  /// The same from the rate it started with.
  virtual double closed(size_t group, double base, int64_t t) const = 0;
  /// Sets more than the rate.
  virtual void apply(ParamGroup&, size_t /*index*/, int64_t /*t*/) {}
  /// Constructors of derived classes end with it.
  void start();
  /// Whether the constructor is at work: where the schedule goes on, the rates are not those of the step before.
  bool starting() const { return starting_; }
  [[noreturn]] static void wrong(const char* name, const std::string& what, double value, const char* need);
  Ref<OptimizerState> optimizer_;
  std::vector<double> base_lrs_;

 private:
  void finish_step();
  int64_t last_epoch_;
  bool starting_ = true;
  std::vector<double> last_lr_;
};

/// base * f(t), with one function for all groups or one for each.
class THIXO_API LambdaLR : public LRScheduler {
 public:
  using Lambda = std::function<double(int64_t)>;
  LambdaLR(const Optimizer& optimizer, Lambda f, int64_t last_epoch = -1);
  LambdaLR(const Optimizer& optimizer, std::vector<Lambda> fs, int64_t last_epoch = -1);

 protected:
  double next(size_t group, double lr, int64_t t) const override;
  double closed(size_t group, double base, int64_t t) const override;

 private:
  std::vector<Lambda> fs_;
};

/// Times gamma after every step_size steps.
class THIXO_API StepLR : public LRScheduler {
 public:
  StepLR(const Optimizer& optimizer, int64_t step_size, double gamma = 0.1, int64_t last_epoch = -1);

 protected:
  double next(size_t group, double lr, int64_t t) const override;
  double closed(size_t group, double base, int64_t t) const override;

 private:
  int64_t step_size_;
  double gamma_;
};

/// Times gamma after each step.
class THIXO_API ExponentialLR : public LRScheduler {
 public:
  ExponentialLR(const Optimizer& optimizer, double gamma, int64_t last_epoch = -1);

 protected:
  double next(size_t group, double lr, int64_t t) const override;
  double closed(size_t group, double base, int64_t t) const override;

 private:
  double gamma_;
};

/// Times a factor that goes from start_factor to end_factor in total_iters steps.
class THIXO_API LinearLR : public LRScheduler {
 public:
  LinearLR(const Optimizer& optimizer, double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5,
           int64_t last_epoch = -1);

 protected:
  double next(size_t group, double lr, int64_t t) const override;
  double closed(size_t group, double base, int64_t t) const override;

 private:
  double start_, end_;
  int64_t total_;
};

/// eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2
class THIXO_API CosineAnnealingLR : public LRScheduler {
 public:
  CosineAnnealingLR(const Optimizer& optimizer, int64_t t_max, double eta_min = 0, int64_t last_epoch = -1);

 protected:
  double next(size_t group, double lr, int64_t t) const override;
  double closed(size_t group, double base, int64_t t) const override;

 private:
  int64_t t_max_;
  double eta_min_;
};

struct OneCycleOptions {
  double pct_start = 0.3;
  std::string anneal_strategy = "cos";  ///< or "linear"
  bool cycle_momentum = true;
  std::vector<double> base_momentum = {0.85}, max_momentum = {0.95};  ///< one, or one a group
  double div_factor = 25, final_div_factor = 1e4;
  bool three_phase = false;
};
/// From max_lr / div_factor up to max_lr and down to max_lr / (div_factor * final_div_factor), the momentum against it.
class THIXO_API OneCycleLR : public LRScheduler {
 public:
  OneCycleLR(const Optimizer& optimizer, double max_lr, int64_t total_steps, const OneCycleOptions& options = {},
             int64_t last_epoch = -1)
      : OneCycleLR(optimizer, std::vector<double>{max_lr}, total_steps, options, last_epoch) {}
  OneCycleLR(const Optimizer& optimizer, const std::vector<double>& max_lr, int64_t total_steps,
             const OneCycleOptions& options = {}, int64_t last_epoch = -1);

 protected:
  double next(size_t group, double lr, int64_t t) const override;
  double closed(size_t group, double base, int64_t t) const override;
  void apply(ParamGroup& group, size_t index, int64_t t) override;

 private:
  void set_group(ParamGroup& group, double max_lr, double base_momentum, double max_momentum) const;
  double at(int64_t t, double low, double high, double final) const;
  int64_t total_;
  OneCycleOptions o_;
};

}  // namespace thixo::optim
