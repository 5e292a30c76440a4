// What a module consists of: registration by name and the walks over it.
#include <unordered_set>

#include "ir/dispatch.h"
#include "nn/names.h"
#include "thixo/compile.h"
#include "thixo/nn_module.h"

namespace thixo::nn {
namespace {

template <class T> detail::Entry<T>* find_entry(std::vector<detail::Entry<T>>& list, std::string_view name) {
  for (detail::Entry<T>& e : list) {
    if (e.name == name) return &e;
  }
  return nullptr;
}
template <class T>
const detail::Entry<T>* find_entry(const std::vector<detail::Entry<T>>& list, std::string_view name) {
  return find_entry(const_cast<std::vector<detail::Entry<T>>&>(list), name);
}

/// The entry of this name, made at the end of the list where there is none.
template <class T> detail::Entry<T>& entry_for(std::vector<detail::Entry<T>>& list, std::string_view name) {
  if (detail::Entry<T>* e = find_entry(list, name)) return *e;
  list.push_back({.name = std::string(name)});
  return list.back();
}

/// The C++ member is about to go: its value stays.
template <class T> void own(std::vector<detail::Entry<T>>& list, const T* member) noexcept {
  for (detail::Entry<T>& e : list) {
    if (e.member == member) {
      e.own = *e.member;
      e.member = nullptr;
    }
  }
}

template <class T> bool erase_entry(std::vector<detail::Entry<T>>& list, std::string_view name) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].name != name) continue;
    list[i].value() = T();
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

template <class T> std::vector<std::string> names_of(const std::vector<detail::Entry<T>>& list) {
  std::vector<std::string> names;
  for (const detail::Entry<T>& e : list) names.push_back(e.name);
  return names;
}

void collect_modules(Module* m, const std::string& prefix, std::unordered_set<const Module*>* seen,
                     std::vector<Named<Module*>>* out) {
  if (!seen->insert(m).second) return;
  out->emplace_back(prefix, m);
  for (const auto& [name, child] : m->named_children()) collect_modules(child.get(), join(prefix, name), seen, out);
}

/// Both numbers as one that depends on every bit and on their order (the finaliser of MurmurHash3).
uint64_t mix(uint64_t h, uint64_t v) {
  h = h * 0x9e3779b97f4a7c15 + v;
  h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
  return h ^ h >> 33;
}

template <class T> std::vector<T> values_of(const std::vector<Named<T>>& named) {
  std::vector<T> out;
  out.reserve(named.size());
  for (const auto& [name, value] : named) out.push_back(value);
  return out;
}

}  // namespace

Module::~Module() = default;

Tensor Module::forward(const Tensor&) {
  throw NotImplementedError(type_name() + ": forward of one tensor is not defined")
      .fix("define its forward, or call it with the arguments that its own forward takes");
}

Tensor Module::operator()(const Tensor& x) {
  return run([&] { return forward(x); });
}

void Module::check_name(std::string_view name, Kind kind) const {
  const std::string quoted = "'" + std::string(name) + "'";
  if (name.empty()) throw ValueError(type_name() + ": a parameter, buffer or child needs a name");
  if (name.find('.') != name.npos) {
    throw ValueError(type_name() + ": the name " + quoted + " contains a dot")
        .need("dots stand between the names of modules");
  }
  const char* taken = kind != Kind::Parameter && find_entry(parameters_, name) != nullptr ? "parameter"
                      : kind != Kind::Buffer && find_entry(buffers_, name) != nullptr     ? "buffer"
                      : kind != Kind::Child && find_entry(children_, name) != nullptr     ? "child"
                                                                                          : nullptr;
  if (taken != nullptr) throw ValueError(type_name() + ": " + quoted + " is the name of a " + taken + " already");
}

void Module::register_parameter(std::string_view name, const Tensor& value, bool requires_grad) {
  check_name(name, Kind::Parameter);
  if (value.defined() && !value.is_leaf()) {
    throw ValueError(type_name() + ": '" + std::string(name) +
                     "' was computed with a gradient and cannot be a parameter")
        .got(describe(value))
        .need("a leaf of the graph")
        .fix("register its detach(), or compute it in forward");
  }
  Tensor leaf = value;
  if (leaf.defined() && leaf.requires_grad() != requires_grad) leaf.requires_grad_(requires_grad);
  entry_for(parameters_, name).value() = leaf;
  changed();
}

void Module::register_buffer(std::string_view name, const Tensor& value, bool persistent) {
  check_name(name, Kind::Buffer);
  detail::Entry<Tensor>& e = entry_for(buffers_, name);
  e.value() = value;
  e.persistent = persistent;
  changed();
}

void Module::register_module(std::string_view name, Ref<Module> child) {
  check_name(name, Kind::Child);
  detail::Entry<Ref<Module>>& e = entry_for(children_, name);
  if (e.member != nullptr && child && !e.fits(child.get())) {
    throw ValueError(type_name() + ": its member '" + std::string(name) + "' cannot hold a " + child->type_name())
        .fix("derive the replacement from the class that " + type_name() + " declares for '" + std::string(name) + "'");
  }
  e.value() = std::move(child);
  changed();
}

bool Module::unregister(std::string_view name) {
  changed();
  return erase_entry(parameters_, name) || erase_entry(buffers_, name) || erase_entry(children_, name);
}

const Tensor* Module::find_tensor(std::string_view name) const {
  if (const auto* e = find_entry(parameters_, name)) return &e->value();
  if (const auto* e = find_entry(buffers_, name)) return &e->value();
  return nullptr;
}

const Ref<Module>* Module::find_child(std::string_view name) const {
  const auto* e = find_entry(children_, name);
  return e != nullptr ? &e->value() : nullptr;
}

bool Module::is_member(std::string_view name) const {
  auto held = [name](const auto& list) {
    const auto* e = find_entry(list, name);
    return e != nullptr && e->member != nullptr;
  };
  return held(parameters_) || held(buffers_) || held(children_);
}

std::vector<std::string> Module::parameter_names() const { return names_of(parameters_); }
std::vector<std::string> Module::buffer_names() const { return names_of(buffers_); }
std::vector<std::string> Module::child_names() const { return names_of(children_); }

std::vector<Named<Ref<Module>>> Module::named_children() const {
  std::vector<Named<Ref<Module>>> out;
  for (const auto& e : children_) {
    if (e.value()) out.emplace_back(e.name, e.value());
  }
  return out;
}

std::vector<Named<Module*>> Module::named_modules() {
  std::vector<Named<Module*>> out;
  std::unordered_set<const Module*> seen;
  collect_modules(this, "", &seen, &out);
  return out;
}
std::vector<Module*> Module::modules() { return values_of(named_modules()); }

void Module::collect(const std::string& prefix, bool recurse, bool once, Tensors list,
                     std::vector<Named<Tensor>>* out) const {
  for (const detail::Entry<Tensor>& e : this->*list) {
    const Tensor& t = e.value();
    auto same = [&](const auto& o) { return o.second.is_same(t); };
    if (!t.defined() || (once && std::any_of(out->begin(), out->end(), same))) continue;
    out->emplace_back(join(prefix, e.name), t);
  }
  if (!recurse) return;
  for (const auto& [name, child] : named_children()) child->collect(join(prefix, name), true, once, list, out);
}

std::vector<Named<Tensor>> Module::named_parameters(bool recurse, bool remove_duplicate) const {
  std::vector<Named<Tensor>> out;
  collect("", recurse, remove_duplicate, &Module::parameters_, &out);
  return out;
}
std::vector<Named<Tensor>> Module::named_buffers(bool recurse, bool remove_duplicate) const {
  std::vector<Named<Tensor>> out;
  collect("", recurse, remove_duplicate, &Module::buffers_, &out);
  return out;
}
std::vector<Tensor> Module::parameters(bool recurse) const { return values_of(named_parameters(recurse)); }
std::vector<Tensor> Module::buffers(bool recurse) const { return values_of(named_buffers(recurse)); }

Module& Module::get_submodule(std::string_view path) {
  Module* m = this;
  for (std::string_view rest = path; !rest.empty();) {
    const size_t dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    const Ref<Module>* child = m->find_child(name);
    if (child == nullptr || !*child) {
      Error e = ValueError("get_submodule: " + m->type_name() + " has no child '" + std::string(name) + "'");
      if (std::string near = nearest(name, m->child_names()); !near.empty()) e.fix("did you mean '" + near + "'?");
      throw e;
    }
    m = child->get();
    rest = dot == rest.npos ? std::string_view() : rest.substr(dot + 1);
  }
  return *m;
}

bool Module::training() const {
  if (is_compiling()) {
    replay_while(
        [mode = mode_, then = *mode_] { return mode->training == then.training && mode->changes == then.changes; });
  }
  return mode_->training;
}

Module& Module::train(bool on) {
  mode_->training = on;
  for (const auto& [name, child] : named_children()) child->train(on);
  return *this;
}

uint64_t Module::modes() const {
  uint64_t h = uint64_t{mode_->changes} << 1 | uint64_t{mode_->training};
  for (const auto& e : children_) {
    if (e.value()) h = mix(h, e.value()->modes());
  }
  return h;
}

Module& Module::requires_grad_(bool on) {
  for (Tensor& p : parameters()) p.requires_grad_(on);
  return *this;
}

void Module::zero_grad(bool set_to_none) {
  for (Tensor& p : parameters()) {
    if (set_to_none) {
      p.set_grad({});
    } else if (Tensor g = p.grad(); g.defined()) {
      GradMode off(false);
      g.zero_();
    }
  }
}

Module& Module::apply(const std::function<void(Module&)>& f) {
  for (const auto& [name, child] : named_children()) child->apply(f);
  f(*this);
  return *this;
}

void Module::own_member(const Tensor* member) noexcept {
  own(parameters_, member);
  own(buffers_, member);
}
void Module::own_member(const Ref<Module>* member) noexcept { own(children_, member); }

Parameter::Parameter(Module* owner, std::string_view name, const Tensor& value) : owner_(owner) {
  owner->register_parameter(name, value);
  detail::Entry<Tensor>& e = *find_entry(owner->parameters_, name);
  Tensor::operator=(e.own);
  e.own = {};
  e.member = this;
}
Parameter::~Parameter() {
  if (owner_ != nullptr) owner_->own_member(this);
}

Buffer::Buffer(Module* owner, std::string_view name, const Tensor& value, bool persistent) : owner_(owner) {
  owner->register_buffer(name, value, persistent);
  detail::Entry<Tensor>& e = *find_entry(owner->buffers_, name);
  Tensor::operator=(e.own);
  e.own = {};
  e.member = this;
}
Buffer::~Buffer() {
  if (owner_ != nullptr) owner_->own_member(this);
}

void HandleBase::enter(Module* owner, std::string_view name, bool (*fits)(const Module*)) {
  owner_ = owner;
  owner->register_module(name, module_);
  detail::Entry<Ref<Module>>& e = *find_entry(owner->children_, name);
  e.own = {};
  e.member = &module_;
  e.fits = fits;
}
HandleBase::~HandleBase() {
  if (owner_ != nullptr) owner_->own_member(&module_);
}

}  // namespace thixo::nn
