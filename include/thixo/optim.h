// Optimizers with PyTorch's names, defaults and formulas.
//
//   optim::AdamW opt(net->parameters(), {.lr = 1e-3, .weight_decay = 0.1});
//   opt.zero_grad();
//   loss.backward();
//   opt.step();
//   opt.param_groups()[0]["lr"] = 1e-4;
//
// One step is one parallel loop over all parameters, in place. Inside a compiled function settings and step counts
// stay live: they are read at each call.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "thixo/tensor.h"

namespace thixo::optim {

/// Settings by name ("lr", "weight_decay", ...); flags are 0 or 1.
using Settings = std::vector<std::pair<std::string, double>>;
/// Whether the setting of this name is a flag ("nesterov", "amsgrad", ...).
THIXO_API bool is_flag(std::string_view setting);

/// Parameters that share settings.
struct THIXO_API ParamGroup {
  TensorList params;
  Settings settings;
  /// ValueError lists the settings when there is none of this name.
  double& operator[](std::string_view name);
  double operator[](std::string_view name) const { return const_cast<ParamGroup&>(*this)[name]; }
  bool has(std::string_view name) const;
  /// Changes a setting or adds it: what schedules keep in a group ("initial_lr", ...).
  void set(std::string_view name, double value);
};

/// What an optimizer remembers of one parameter.
struct ParamState {
  int64_t step = 0;
  int64_t begun = 0;  ///< steps made before there were tensors: momentum may be turned on later
  std::vector<std::pair<std::string, Tensor>> tensors;  ///< "exp_avg", ...
};

/// The memory of an optimizer; schedulers and compiled programs share it.
struct THIXO_API OptimizerState : Object {
  std::vector<ParamGroup> groups;
  std::unordered_map<const TensorRecord*, ParamState> params;
};

/// One element-wise update op and its runtime scalars.
struct Update {
  const char* op;
  SmallVec<double, 10> scalars;
};

class THIXO_API Optimizer : public Object {
 public:
  /// `defaults` are the settings of groups that do not have their own.
  Optimizer(std::vector<ParamGroup> groups, Settings defaults);

  /// Parameters without a gradient are left alone.
  virtual void step() = 0;
  void zero_grad(bool set_to_none = true);
  /// Settings that the group does not have are the defaults; it may have an "initial_lr" for schedules that go on.
  void add_param_group(ParamGroup group);
  std::vector<ParamGroup>& param_groups() { return state_->groups; }
  const std::vector<ParamGroup>& param_groups() const { return state_->groups; }
  ParamState& state_of(const Tensor& param) { return state_->params[param.record()]; }
  /// Null before the first step of the parameter.
  const ParamState* find_state(const Tensor& param) const;
  const Ref<OptimizerState>& state() const { return state_; }
  const Settings& defaults() const { return defaults_; }

  /// "state.<parameter>.<name>" and "param_groups.<group>.<setting>", numbers as f64 tensors: fit for safetensors.
  std::vector<std::pair<std::string, Tensor>> state_dict() const;
  /// Everything is checked before anything is taken over.
  void load_state_dict(const std::vector<std::pair<std::string, Tensor>>& state);

 private:
  Ref<OptimizerState> state_;
  Settings defaults_;
};

/// An optimizer whose step is an update op.
class THIXO_API FusedOptimizer : public Optimizer {
 public:
  /// `first`: the step begins with new state tensors.
  using Rule = Update (*)(const ParamGroup& group, int64_t step, bool first);
  FusedOptimizer(std::vector<ParamGroup> groups, Settings defaults, Rule rule)
      : Optimizer(std::move(groups), std::move(defaults)), rule_(rule) {}
  void step() override;

 private:
  Rule rule_;
};

struct SGDOptions {
  double lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false, maximize = false;
};
class THIXO_API SGD : public FusedOptimizer {
 public:
  SGD(const TensorList& params, const SGDOptions& options = {})
      : SGD(std::vector<ParamGroup>{{params, {}}}, options) {}  // NOLINT
  SGD(std::vector<ParamGroup> groups, const SGDOptions& options = {});
};

struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false, maximize = false;
};
class THIXO_API Adam : public FusedOptimizer {
 public:
  Adam(const TensorList& params, const AdamOptions& options = {})
      : Adam(std::vector<ParamGroup>{{params, {}}}, options) {}  // NOLINT
  Adam(std::vector<ParamGroup> groups, const AdamOptions& options = {});
};

struct AdamWOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false, maximize = false;
};
/// Adam whose weight decay does not pass through the moments.
class THIXO_API AdamW : public FusedOptimizer {
 public:
  AdamW(const TensorList& params, const AdamWOptions& options = {})
      : AdamW(std::vector<ParamGroup>{{params, {}}}, options) {}  // NOLINT
  AdamW(std::vector<ParamGroup> groups, const AdamWOptions& options = {});
};

}  // namespace thixo::optim
