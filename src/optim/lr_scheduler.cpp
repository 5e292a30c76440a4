#include "thixo/lr_scheduler.h"

#include <cmath>
#include <numbers>

namespace thixo::optim {

LRScheduler::LRScheduler(const Optimizer& optimizer) : optimizer_(optimizer.state()) {
  for (ParamGroup& g : optimizer_->groups) {
    if (!g.has("initial_lr")) g.settings.emplace_back("initial_lr", g["lr"]);
  }
}

void LRScheduler::step() { set_epoch(last_epoch_ + 1); }

void LRScheduler::set_epoch(int64_t epoch) {
  last_epoch_ = epoch;
  for (size_t i = 0; i < optimizer_->groups.size(); ++i) apply(optimizer_->groups[i], i, epoch);
}

void LRScheduler::apply(ParamGroup& group, size_t index, int64_t t) { group["lr"] = lr(index, group["initial_lr"], t); }

std::vector<double> LRScheduler::get_last_lr() const {
  std::vector<double> rates;
  for (const ParamGroup& g : optimizer_->groups) rates.push_back(g["lr"]);
  return rates;
}

LambdaLR::LambdaLR(const Optimizer& optimizer, std::function<double(int64_t)> f)
    : LRScheduler(optimizer), f_(std::move(f)) {
  start();
}

StepLR::StepLR(const Optimizer& optimizer, int64_t step_size, double gamma)
    : LRScheduler(optimizer), step_size_(step_size), gamma_(gamma) {
  if (step_size < 1) throw ValueError("StepLR: step_size is " + std::to_string(step_size)).need("step_size >= 1");
  start();
}
double StepLR::lr(size_t, double base, int64_t t) const {
  return base * std::pow(gamma_, static_cast<double>(t / step_size_));
}

ExponentialLR::ExponentialLR(const Optimizer& optimizer, double gamma) : LRScheduler(optimizer), gamma_(gamma) {
  start();
}
double ExponentialLR::lr(size_t, double base, int64_t t) const {
  return base * std::pow(gamma_, static_cast<double>(t));
}

LinearLR::LinearLR(const Optimizer& optimizer, double start_factor, double end_factor, int64_t total_iters)
    : LRScheduler(optimizer), start_(start_factor), end_(end_factor), total_(total_iters) {
  if (total_iters < 1)
    throw ValueError("LinearLR: total_iters is " + std::to_string(total_iters)).need("total_iters >= 1");
  start();
}
double LinearLR::lr(size_t, double base, int64_t t) const {
  return base * (start_ + (end_ - start_) * static_cast<double>(std::min(t, total_)) / static_cast<double>(total_));
}

CosineAnnealingLR::CosineAnnealingLR(const Optimizer& optimizer, int64_t t_max, double eta_min)
    : LRScheduler(optimizer), t_max_(t_max), eta_min_(eta_min) {
  if (t_max < 1) throw ValueError("CosineAnnealingLR: T_max is " + std::to_string(t_max)).need("T_max >= 1");
  start();
}
double CosineAnnealingLR::lr(size_t, double base, int64_t t) const {
  const double phase = std::numbers::pi * static_cast<double>(t) / static_cast<double>(t_max_);
  return eta_min_ + (base - eta_min_) * (1 + std::cos(phase)) / 2;
}

OneCycleLR::OneCycleLR(const Optimizer& optimizer, double max_lr, int64_t total_steps, const OneCycleOptions& options)
    : LRScheduler(optimizer), max_lr_(max_lr), total_(total_steps), o_(options) {
  if (total_steps < 1)
    throw ValueError("OneCycleLR: total_steps is " + std::to_string(total_steps)).need("total_steps >= 1");
  if (o_.anneal_strategy != "cos" && o_.anneal_strategy != "linear") {
    throw ValueError("OneCycleLR: there is no anneal_strategy '" + o_.anneal_strategy + "'").need("cos or linear");
  }
  if (!(o_.pct_start >= 0 && o_.pct_start <= 1))
    throw ValueError("OneCycleLR: pct_start is " + std::to_string(o_.pct_start)).need("0 <= pct_start <= 1");
  for (const ParamGroup& g : optimizer_->groups) {
    if (o_.cycle_momentum && !g.has("momentum") && !g.has("beta1")) {
      throw ValueError("OneCycleLR: the optimizer has no momentum to cycle").fix("switch cycle_momentum off");
    }
  }
  start();
}

/// low until the start, high at the end of the first phase, then down to `final`; PyTorch's phases.
double OneCycleLR::at(int64_t t, double low, double high, double final) const {
  struct Phase {
    double end, from, to;
  };
  const double up = o_.pct_start * static_cast<double>(total_) - 1, last = static_cast<double>(total_ - 1);
  std::vector<Phase> phases;
  if (o_.three_phase) {
    phases = {{up, low, high}, {2 * up, high, low}, {last, low, final}};
  } else {
    phases = {{up, low, high}, {last, high, final}};
  }
  double start = 0;
  for (size_t i = 0; i < phases.size(); ++i) {
    const Phase& p = phases[i];
    const double now = static_cast<double>(t);
    if (now > p.end && i + 1 < phases.size()) {
      start = p.end;
      continue;
    }
    const double part = p.end == start ? 1 : std::min((now - start) / (p.end - start), 1.0);
    if (o_.anneal_strategy == "linear") return p.from + (p.to - p.from) * part;
    return p.to + (p.from - p.to) / 2 * (1 + std::cos(std::numbers::pi * part));
  }
  return final;
}

double OneCycleLR::lr(size_t, double, int64_t t) const {
  const double initial = max_lr_ / o_.div_factor;
  return at(t, initial, max_lr_, initial / o_.final_div_factor);
}

void OneCycleLR::apply(ParamGroup& group, size_t index, int64_t t) {
  if (t > total_) {
    throw ValueError("OneCycleLR: step " + std::to_string(t) + " of a schedule of " + std::to_string(total_))
        .fix("make it with more total_steps");
  }
  group["lr"] = lr(index, 0, t);
  if (!o_.cycle_momentum) return;
  group[group.has("momentum") ? "momentum" : "beta1"] = at(t, o_.max_momentum, o_.base_momentum, o_.max_momentum);
}

}  // namespace thixo::optim
