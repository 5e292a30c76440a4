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

}  // namespace

double& ParamGroup::operator[](std::string_view name) {
  if (double* v = find_setting(settings, name)) return *v;
  std::string known;
  for (const auto& [key, value] : settings) known += (known.empty() ? "" : ", ") + key;
  throw ValueError("optimizer: there is no setting '" + std::string(name) + "'").need(known);
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
    if (find_setting(defaults_, name) == nullptr) ParamGroup{{}, defaults_}[name];
  }
  Settings settings = defaults_;
  for (const auto& [name, value] : group.settings) *find_setting(settings, name) = value;
  group.settings = std::move(settings);
  state_->groups.push_back(std::move(group));
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
    for (auto& [name, value] : groups[g].settings) {
      // "initial_lr" is there only where a scheduler was.
      if (name != "initial_lr" || !incoming.names(group_prefix(g) + name).empty())
        value = incoming.take_number(group_prefix(g) + name);
    }
    if (Tensor t = incoming.take(group_prefix(g) + "initial_lr"); t.defined()) {
      groups[g].settings.emplace_back("initial_lr", t.to(DType::F64).item());
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
