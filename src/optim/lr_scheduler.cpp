// PyTorch's schedules. Each step multiplies the present rate, by PyTorch's recursions and so to the same bits.
#include "thixo/lr_scheduler.h"

#include <cmath>
#include <numbers>

#include "thixo/compile.h"

namespace thixo::optim {
namespace {

constexpr double kPi = std::numbers::pi;

/// One value for all groups, or one for each.
double of_group(const char* name, const std::vector<double>& values, size_t group, size_t groups) {
  if (values.size() == 1) return values[0];
  if (values.size() == groups) return values[group];
  throw ValueError("OneCycleLR: " + std::string(name) + " has " + std::to_string(values.size()) + " values")
      .need("one, or one for each of the " + std::to_string(groups) + " groups");
}

}  // namespace

LRScheduler::LRScheduler(const Optimizer& optimizer, const char* name, int64_t last_epoch)
    : optimizer_(optimizer.state()), last_epoch_(last_epoch) {
  if (last_epoch < -1) wrong(name, "last_epoch", static_cast<double>(last_epoch), "last_epoch >= -1");
  for (ParamGroup& g : optimizer_->groups) {
    if (last_epoch >= 0 && !g.has("initial_lr")) {
      throw ValueError(std::string(name) + ": last_epoch is given, but a group has no 'initial_lr'")
          .fix("load the optimizer's state first, or make the group with \"initial_lr\"");
    }
    if (!g.has("initial_lr")) g.set("initial_lr", g["lr"]);
    base_lrs_.push_back(g["initial_lr"]);
  }
}

void LRScheduler::wrong(const char* name, const std::string& what, double value, const char* need) {
  std::string text = std::to_string(value);
  if (value == std::floor(value) && std::abs(value) < 1e15) text = std::to_string(static_cast<int64_t>(value));
  throw ValueError(std::string(name) + ": " + what + " is " + text).need(need);
}

void LRScheduler::start() {
  starting_ = true;
  step();
  starting_ = false;
}

void LRScheduler::step() {
  if (is_compiling()) {
    throw NotImplementedError("compile: the function moves a learning rate schedule on, which a replay would not do")
        .fix("call the schedule's step() outside of the compiled function");
  }
  const int64_t t = last_epoch_ + 1;
  std::vector<double> rates;  // all before any is set: a function of the user may raise
  for (size_t i = 0; i < optimizer_->groups.size(); ++i) rates.push_back(next(i, optimizer_->groups[i]["lr"], t));
  for (size_t i = 0; i < rates.size(); ++i) optimizer_->groups[i]["lr"] = rates[i];
  last_epoch_ = t;
  finish_step();
}

void LRScheduler::set_epoch(int64_t epoch) {
  for (size_t i = 0; i < base_lrs_.size(); ++i) optimizer_->groups[i]["lr"] = closed(i, base_lrs_[i], epoch);
  last_epoch_ = epoch;
  finish_step();
}

void LRScheduler::finish_step() {
  last_lr_.clear();
  for (size_t i = 0; i < optimizer_->groups.size(); ++i) {
    if (i < base_lrs_.size()) apply(optimizer_->groups[i], i, last_epoch_);
    last_lr_.push_back(optimizer_->groups[i]["lr"]);
  }
}

void LRScheduler::set_state(State s) {
  if (s.base_lrs.size() != base_lrs_.size()) {
    throw ValueError("load_state_dict: a schedule of " + std::to_string(s.base_lrs.size()) + " groups")
        .need(std::to_string(base_lrs_.size()) + " groups");
  }
  last_epoch_ = s.last_epoch;
  base_lrs_ = std::move(s.base_lrs);
  last_lr_ = std::move(s.last_lr);
}

LambdaLR::LambdaLR(const Optimizer& optimizer, Lambda f, int64_t last_epoch)
    : LambdaLR(optimizer, std::vector<Lambda>(optimizer.param_groups().size(), std::move(f)), last_epoch) {}
LambdaLR::LambdaLR(const Optimizer& optimizer, std::vector<Lambda> fs, int64_t last_epoch)
    : LRScheduler(optimizer, "LambdaLR", last_epoch), fs_(std::move(fs)) {
  if (fs_.size() != base_lrs_.size()) {
    throw ValueError("LambdaLR: " + std::to_string(fs_.size()) + " functions")
        .need("one, or one for each of the " + std::to_string(base_lrs_.size()) + " groups");
  }
  start();
}
double LambdaLR::next(size_t group, double lr, int64_t t) const {
  return group < base_lrs_.size() ? closed(group, base_lrs_[group], t) : lr;
}
double LambdaLR::closed(size_t group, double base, int64_t t) const { return base * fs_[group](t); }

StepLR::StepLR(const Optimizer& optimizer, int64_t step_size, double gamma, int64_t last_epoch)
    : LRScheduler(optimizer, "StepLR", last_epoch), step_size_(step_size), gamma_(gamma) {
  if (step_size < 1) wrong("StepLR", "step_size", static_cast<double>(step_size), "step_size >= 1");
  start();
}
double StepLR::next(size_t, double lr, int64_t t) const { return t == 0 || t % step_size_ != 0 ? lr : lr * gamma_; }
double StepLR::closed(size_t, double base, int64_t t) const {
  return base * std::pow(gamma_, static_cast<double>(t / step_size_));
}

ExponentialLR::ExponentialLR(const Optimizer& optimizer, double gamma, int64_t last_epoch)
    : LRScheduler(optimizer, "ExponentialLR", last_epoch), gamma_(gamma) {
  start();
}
double ExponentialLR::next(size_t, double lr, int64_t t) const { return t == 0 ? lr : lr * gamma_; }
double ExponentialLR::closed(size_t, double base, int64_t t) const {
  return base * std::pow(gamma_, static_cast<double>(t));
}

LinearLR::LinearLR(const Optimizer& optimizer, double start_factor, double end_factor, int64_t total_iters,
                   int64_t last_epoch)
    : LRScheduler(optimizer, "LinearLR", last_epoch), start_(start_factor), end_(end_factor), total_(total_iters) {
  if (total_iters < 1) wrong("LinearLR", "total_iters", static_cast<double>(total_iters), "total_iters >= 1");
  if (!(start_ > 0 && start_ <= 1)) wrong("LinearLR", "start_factor", start_, "0 < start_factor <= 1");
  if (!(end_ >= 0 && end_ <= 1)) wrong("LinearLR", "end_factor", end_, "0 <= end_factor <= 1");
  start();
}
double LinearLR::next(size_t, double lr, int64_t t) const {
  if (t == 0) return lr * start_;
  if (t > total_) return lr;
  const double n = static_cast<double>(total_), before = static_cast<double>(t - 1);
  return lr * (1.0 + (end_ - start_) / (n * start_ + before * (end_ - start_)));
}
double LinearLR::closed(size_t, double base, int64_t t) const {
  return base * (start_ + (end_ - start_) * static_cast<double>(std::min(t, total_)) / static_cast<double>(total_));
}

CosineAnnealingLR::CosineAnnealingLR(const Optimizer& optimizer, int64_t t_max, double eta_min, int64_t last_epoch)
    : LRScheduler(optimizer, "CosineAnnealingLR", last_epoch), t_max_(t_max), eta_min_(eta_min) {
  if (t_max < 1) wrong("CosineAnnealingLR", "T_max", static_cast<double>(t_max), "T_max >= 1");
  start();
}
double CosineAnnealingLR::next(size_t group, double lr, int64_t t) const {
  if (t == 0) return lr;
  const bool has_base = group < base_lrs_.size();
  const double n = static_cast<double>(t_max_), now = static_cast<double>(t);
  if (starting()) return has_base ? closed(group, base_lrs_[group], t) : lr;
  // At the bottom the recursion would divide by zero.
  if ((t - 1 - t_max_) % (2 * t_max_) == 0)
    return has_base ? lr + (base_lrs_[group] - eta_min_) * (1 - std::cos(kPi / n)) / 2 : lr;
  return (1 + std::cos(kPi * now / n)) / (1 + std::cos(kPi * (now - 1) / n)) * (lr - eta_min_) + eta_min_;
}
double CosineAnnealingLR::closed(size_t, double base, int64_t t) const {
  return eta_min_ + (base - eta_min_) * (1 + std::cos(kPi * static_cast<double>(t) / static_cast<double>(t_max_))) / 2;
}

OneCycleLR::OneCycleLR(const Optimizer& optimizer, const std::vector<double>& max_lr, int64_t total_steps,
                       const OneCycleOptions& options, int64_t last_epoch)
    : LRScheduler(optimizer, "OneCycleLR", last_epoch), total_(total_steps), o_(options) {
  if (total_steps < 1) wrong("OneCycleLR", "total_steps", static_cast<double>(total_steps), "total_steps >= 1");
  if (o_.anneal_strategy != "cos" && o_.anneal_strategy != "linear") {
    throw ValueError("OneCycleLR: there is no anneal_strategy '" + o_.anneal_strategy + "'").need("cos or linear");
  }
  if (!(o_.pct_start >= 0 && o_.pct_start <= 1)) wrong("OneCycleLR", "pct_start", o_.pct_start, "0 <= pct_start <= 1");
  std::vector<ParamGroup>& groups = optimizer_->groups;
  for (size_t i = 0; i < groups.size(); ++i) {
    ParamGroup& g = groups[i];
    if (o_.cycle_momentum && !g.has("momentum") && !g.has("beta1")) {
      throw ValueError("OneCycleLR: the optimizer has no momentum to cycle").fix("switch cycle_momentum off");
    }
    const double high = of_group("max_lr", max_lr, i, groups.size());
    const double base_momentum = of_group("base_momentum", o_.base_momentum, i, groups.size());
    const double max_momentum = of_group("max_momentum", o_.max_momentum, i, groups.size());
    if (last_epoch == -1) set_group(g, high, base_momentum, max_momentum);
    if (!g.has("max_lr") || (o_.cycle_momentum && !g.has("max_momentum"))) {
      throw ValueError("OneCycleLR: last_epoch is given, but a group has no 'max_lr'")
          .fix("load the state of an optimizer that had a OneCycleLR first");
    }
    base_lrs_[i] = g["initial_lr"];
  }
  start();
}

void OneCycleLR::set_group(ParamGroup& g, double max_lr, double base_momentum, double max_momentum) const {
  g.set("initial_lr", max_lr / o_.div_factor);
  g.set("max_lr", max_lr);
  g.set("min_lr", g["initial_lr"] / o_.final_div_factor);
  if (!o_.cycle_momentum) return;
  g.set("base_momentum", base_momentum);
  g.set("max_momentum", max_momentum);
}

/// low until the start, high at the end of the first phase, then down to `final`; PyTorch's phases.
double OneCycleLR::at(int64_t t, double low, double high, double final) const {
  struct Phase {
    double end, from, to;
  };
  const double up = o_.pct_start * static_cast<double>(total_) - 1, last = static_cast<double>(total_ - 1);
  std::vector<Phase> phases;
  if (o_.three_phase) {
    phases = {{up, low, high}, {2 * o_.pct_start * static_cast<double>(total_) - 2, high, low}, {last, low, final}};
  } else {
    phases = {{up, low, high}, {last, high, final}};
  }
  double start = 0;
  size_t i = 0;
  for (; i + 1 < phases.size() && static_cast<double>(t) > phases[i].end; ++i) start = phases[i].end;
  const Phase& p = phases[i];
  const double part = p.end == start ? 1 : (static_cast<double>(t) - start) / (p.end - start);
  if (o_.anneal_strategy == "linear") return (p.to - p.from) * part + p.from;
  return p.to + (p.from - p.to) / 2.0 * (std::cos(kPi * part) + 1);
}

double OneCycleLR::next(size_t group, double lr, int64_t t) const {
  return group < base_lrs_.size() ? closed(group, 0, t) : lr;
}

double OneCycleLR::closed(size_t group, double, int64_t t) const {
  if (t > total_) {
    throw ValueError("OneCycleLR: step " + std::to_string(t) + " of a schedule of " + std::to_string(total_))
        .fix("make it with more total_steps");
  }
  const ParamGroup& g = optimizer_->groups[group];
  return at(t, g["initial_lr"], g["max_lr"], g["min_lr"]);
}

void OneCycleLR::apply(ParamGroup& g, size_t, int64_t t) {
  if (!o_.cycle_momentum) return;
  g[g.has("momentum") ? "momentum" : "beta1"] = at(t, g["max_momentum"], g["base_momentum"], g["max_momentum"]);
}

}  // namespace thixo::optim
