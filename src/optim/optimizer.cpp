// What all optimizers share: groups of parameters, settings by name, state.
#include <map>
#include <unordered_set>

#include "ir/dispatch.h"
#include "thixo/optim.h"

namespace thixo::optim {
namespace {

using StateDict = std::vector<std::pair<std::string, Tensor>>;

double* find_setting(Settings& settings, std::string_view name) {
  for (auto& [key, value] : settings) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// Settings that schedules add to groups: in a state they are there or not.
bool is_of_schedules(std::string_view name) {
  return name == "initial_lr" || name == "max_lr" || name == "min_lr" || name == "base_momentum" ||
         name == "max_momentum";
}

std::string param_prefix(size_t i) { return "state." + std::to_string(i) + "."; }
std::string group_prefix(size_t i) { return "param_groups." + std::to_string(i) + "."; }

Tensor number(double v) { return tensor(std::vector<double>{v}, {}); }

/// The tensors of a state_dict by name; each is taken once.
class Incoming {
 public:
  explicit Incoming(const StateDict& state) {
    for (const auto& [name, t] : state) by_name_[name] = t;
  }
  Tensor take(const std::string& name) {
    auto it = by_name_.find(name);
    if (it == by_name_.end()) return {};
    Tensor t = it->second;
    by_name_.erase(it);
    return t;
  }
  double take_number(const std::string& name) {
    Tensor t = take(name);
    if (!t.defined())
      throw ValueError("load_state_dict: '" + name + "' is missing")
          .fix("load the state of an optimizer of the same kind");
    return t.to(DType::F64).item();
  }
  /// The names left that start with `prefix`, without it.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const auto& [name, t] : by_name_) {
      if (name.starts_with(prefix)) out.push_back(name.substr(prefix.size()));
    }
    return out;
  }
  void expect_empty() const {
    if (by_name_.empty()) return;
    throw ValueError("load_state_dict: '" + by_name_.begin()->first + "' fits nothing in this optimizer")
        .fix("make the optimizer with the groups and parameters that the state was saved with");
  }

 private:
  std::map<std::string, Tensor> by_name_;
};

void check_count(size_t group, size_t here, double in_state) {
  if (in_state == static_cast<double>(here)) return;
  throw ValueError("load_state_dict: group " + std::to_string(group) + " differs in its number of parameters")
      .got("in the state: " + std::to_string(static_cast<int64_t>(in_state)) + "   here: " + std::to_string(here))
      .fix("make the optimizer with the groups and parameters that the state was saved with");
}

}  // namespace

bool is_flag(std::string_view setting) {
  return setting == "nesterov" || setting == "maximize" || setting == "amsgrad";
}

double& ParamGroup::operator[](std::string_view name) {
  if (double* v = find_setting(settings, name)) return *v;
  std::string known;
  for (const auto& [key, value] : settings) known += (known.empty() ? "" : ", ") + key;
  throw ValueError("optimizer: there is no setting '" + std::string(name) + "'").need(known);
}

void ParamGroup::set(std::string_view name, double value) {
  if (double* v = find_setting(settings, name)) {
    *v = value;
  } else {
    settings.emplace_back(name, value);
  }
}

bool ParamGroup::has(std::string_view name) const {
  return find_setting(const_cast<Settings&>(settings), name) != nullptr;
}

Optimizer::Optimizer(std::vector<ParamGroup> groups, Settings defaults)
    : state_(make_ref<OptimizerState>()), defaults_(std::move(defaults)) {
  for (ParamGroup& g : groups) add_param_group(std::move(g));
  if (state_->groups.empty()) throw ValueError("optimizer: it got no parameters");
}

void Optimizer::add_param_group(ParamGroup group) {
  if (group.params.empty()) {
    throw ValueError("optimizer: a group without parameters").fix("pass the parameters of a module that has some");
  }
  std::unordered_set<const TensorRecord*> seen;
  for (const ParamGroup& g : state_->groups) {
    for (const Tensor& p : g.params) seen.insert(p.record());
  }
  for (const Tensor& p : group.params) {
    if (!p.defined() || !p.is_leaf()) {
      throw ValueError("optimizer: a parameter that is the result of an op")
          .need("leaf tensors")
          .fix("pass what the module's parameters() gives");
    }
    if (!seen.insert(p.record()).second)
      throw ValueError("optimizer: a parameter appears twice").need("each parameter in one group");
  }
  for (const auto& [name, value] : group.settings) {
    if (find_setting(defaults_, name) == nullptr && name != "initial_lr") ParamGroup{{}, defaults_}[name];
  }
  const Settings own = std::exchange(group.settings, defaults_);
  for (const auto& [name, value] : own) group.set(name, value);
  state_->groups.push_back(std::move(group));
}

const ParamState* Optimizer::find_state(const Tensor& param) const {
  auto it = state_->params.find(param.record());
  return it == state_->params.end() ? nullptr : &it->second;
}

void Optimizer::zero_grad(bool set_to_none) {
  GradMode off(false);
  for (ParamGroup& g : state_->groups) {
    for (Tensor& p : g.params) {
      if (set_to_none) {
        p.set_grad({});
      } else if (Tensor grad = p.grad(); grad.defined()) {
        grad.zero_();
      }
    }
  }
}

StateDict Optimizer::state_dict() const {
  StateDict out;
  size_t i = 0;
  for (size_t g = 0; g < state_->groups.size(); ++g) {
    const double count = static_cast<double>(state_->groups[g].params.size());
    out.emplace_back(group_prefix(g) + "params", number(count));
    for (const auto& [name, value] : state_->groups[g].settings)
      out.emplace_back(group_prefix(g) + name, number(value));
    for (const Tensor& p : state_->groups[g].params) {
      const std::string prefix = param_prefix(i++);
      auto it = state_->params.find(p.record());
      if (it == state_->params.end()) continue;
      out.emplace_back(prefix + "step", number(static_cast<double>(it->second.step)));
      for (const auto& [name, t] : it->second.tensors) out.emplace_back(prefix + name, t.detach());
    }
  }
  return out;
}

void Optimizer::load_state_dict(const StateDict& state) {
  GradMode off(false);
  Incoming incoming(state);
  std::vector<ParamGroup> groups = state_->groups;
  std::unordered_map<const TensorRecord*, ParamState> params;
  size_t i = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const std::string group = group_prefix(g);
    check_count(g, groups[g].params.size(), incoming.take_number(group + "params"));
    for (const auto& [name, value] : defaults_) groups[g].set(name, incoming.take_number(group + name));
    for (const std::string& name : incoming.names(group)) {
      if (is_of_schedules(name)) groups[g].set(name, incoming.take_number(group + name));
    }
    for (const Tensor& p : groups[g].params) {
      const std::string prefix = param_prefix(i++);
      if (incoming.names(prefix).empty()) continue;
      ParamState& s = params[p.record()];
      s.step = static_cast<int64_t>(incoming.take_number(prefix + "step"));
      for (const std::string& name : incoming.names(prefix)) {
        Tensor t = incoming.take(prefix + name);
        if (!(t.shape() == p.shape())) {
          throw ShapeError("load_state_dict: '" + prefix + name + "' is " + shape_str(t.shape()) +
                           " and its parameter is " + shape_str(p.shape()));
        }
        s.tensors.emplace_back(name, t.to(p.dtype()).clone(MemoryFormat::Preserve));
      }
    }
  }
  incoming.expect_empty();
  // Tensors that exist keep their identity: a compiled step has them bound.
  for (auto& [record, s] : params) {
    for (auto& [name, t] : s.tensors) {
      for (auto& [own_name, own] : state_->params[record].tensors) {
        if (own_name == name) t = own.copy_(t);
      }
    }
  }
  state_->groups = std::move(groups);
  state_->params = std::move(params);
}

}  // namespace thixo::optim
