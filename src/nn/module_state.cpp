// The tensors of a module as a whole: state_dict, files, conversion.
#include <unordered_map>
#include <unordered_set>

#include "ir/dispatch.h"
#include "nn/names.h"
#include "thixo/autograd.h"
#include "thixo/nn_module.h"
#include "thixo/serialize.h"

namespace thixo::nn {
namespace {

/// "a, b, c and 12 more"
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

/// `names`, each with the name that was perhaps meant.
std::vector<std::string> with_hints(const std::vector<std::string>& names, const std::vector<std::string>& known) {
  std::vector<std::string> out;
  for (const std::string& n : names) {
    const std::string near = nearest(n, known);
    out.push_back(near.empty() ? n : n + " (did you mean " + near + "?)");
  }
  return out;
}

}  // namespace

void Module::collect_state(const std::string& prefix, StateDict* out) const {
  for (const auto& e : parameters_) {
    if (e.value().defined()) out->emplace_back(join(prefix, e.name), e.value());
  }
  for (const auto& e : buffers_) {
    if (e.value().defined() && e.persistent) out->emplace_back(join(prefix, e.name), e.value());
  }
  for (const auto& [name, child] : named_children()) child->collect_state(join(prefix, name), out);
}

StateDict Module::state_dict() const {
  StateDict out;
  collect_state("", &out);
  for (auto& [name, t] : out) t = t.detach();
  return out;
}

LoadReport Module::load_state_dict(const StateDict& state, bool strict) {
  std::unordered_map<std::string, const Tensor*> given;
  for (const auto& [name, t] : state) given[name] = &t;
  LoadReport report;
  std::vector<std::string> mismatched;
  std::vector<std::pair<Tensor, const Tensor*>> copies;
  std::unordered_set<std::string> known;
  StateDict own;
  collect_state("", &own);
  for (const auto& [name, mine] : own) {
    known.insert(name);
    auto it = given.find(name);
    if (it == given.end()) {
      report.missing.push_back(name);
    } else if (!(it->second->shape() == mine.shape())) {
      mismatched.push_back(name + " is " + shape_str(mine.shape()) + " here and " + shape_str(it->second->shape()) +
                           " in the state");
    } else {
      copies.emplace_back(mine, it->second);
    }
  }
  for (const auto& [name, t] : state) {
    if (!known.contains(name)) report.unexpected.push_back(name);
  }
  if (!mismatched.empty() || (strict && (!report.missing.empty() || !report.unexpected.empty()))) {
    Error e = ValueError("load_state_dict: the state does not fit this " + type_name());
    if (!report.missing.empty()) e.got("missing: " + listed(report.missing));
    if (!report.unexpected.empty()) e.got("unexpected: " + listed(with_hints(report.unexpected, report.missing)));
    if (!mismatched.empty()) e.got("mismatched: " + listed(mismatched));
    if (mismatched.empty()) {
      e.fix("load without strict to take what fits");
    } else {
      e.fix("make the module with the sizes that the state was saved with");
    }
    throw e;
  }
  GradMode off(false);
  for (auto& [mine, theirs] : copies) mine.copy_(*theirs);
  return report;
}

void Module::save(const std::string& path) const {
  TensorMap tensors;
  for (const auto& [name, t] : state_dict()) tensors.emplace(name, t);
  save_file(tensors, path);
}

LoadReport Module::load(const std::string& path, bool strict) {
  const TensorMap tensors = load_file(path);
  return load_state_dict(StateDict(tensors.begin(), tensors.end()), strict);
}

void Module::replace_tensors(const std::function<Tensor(const Tensor&)>& f) {
  GradMode off(false);
  for (const Tensor& p : parameters()) {
    Tensor value = f(p), grad = p.grad();
    if (value.is_same(p)) continue;
    const_cast<Tensor&>(p).set_grad({});
    set_data(p, value);
    if (grad.defined()) const_cast<Tensor&>(p).set_grad(f(grad));
  }
  for (const Tensor& b : buffers()) {
    if (Tensor value = f(b); !value.is_same(b)) set_data(b, value);
  }
}

Module& Module::to(DType dtype) {
  if (!is_differentiable(dtype)) {
    throw DTypeError("to: a module cannot be brought to " + std::string(dtype_name(dtype)))
        .need("a floating-point or complex dtype")
        .fix("convert the inputs instead");
  }
  replace_tensors([&](const Tensor& t) { return is_differentiable(t.dtype()) ? t.to(dtype) : t; });
  return *this;
}

Module& Module::to(Device device) {
  replace_tensors([&](const Tensor& t) { return t.to(device); });
  return *this;
}

Module& Module::to(MemoryFormat format) {
  replace_tensors([&](const Tensor& t) { return t.dim() == 4 ? t.contiguous(format) : t; });
  return *this;
}

}  // namespace thixo::nn
