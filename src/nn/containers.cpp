// Modules that consist of other modules.
#include "thixo/nn_simple.h"

namespace thixo::nn {
namespace {

Ref<Module> child_at(const char* type, const std::vector<detail::Entry<Ref<Module>>>& children, int64_t i) {
  const auto n = static_cast<int64_t>(children.size());
  if (i < -n || i >= n) {
    throw IndexError(std::string(type) + ": index " + std::to_string(i) + " is out of range for " + std::to_string(n) +
                     " modules");
  }
  return children[static_cast<size_t>(i < 0 ? i + n : i)].value();
}

/// The name of the next module: its place, or the next number that is free.
std::string next_name(const Module& m, size_t place) {
  while (m.find_child(std::to_string(place)) != nullptr) ++place;
  return std::to_string(place);
}

}  // namespace

SequentialImpl::SequentialImpl(const std::vector<Ref<Module>>& modules) {
  for (const Ref<Module>& m : modules) append(m);
}
SequentialImpl::SequentialImpl(const std::vector<Named<Ref<Module>>>& modules) {
  for (const auto& [name, m] : modules) register_module(name, m);
}
Tensor SequentialImpl::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& e : children_) y = (*e.value())(y);
  return y;
}
SequentialImpl& SequentialImpl::append(Ref<Module> m) {
  register_module(next_name(*this, children_.size()), std::move(m));
  return *this;
}
Ref<Module> SequentialImpl::operator[](int64_t i) const { return child_at("Sequential", children_, i); }

ModuleListImpl::ModuleListImpl(const std::vector<Ref<Module>>& modules) {
  for (const Ref<Module>& m : modules) append(m);
}
ModuleListImpl& ModuleListImpl::append(Ref<Module> m) {
  register_module(next_name(*this, children_.size()), std::move(m));
  return *this;
}
Ref<Module> ModuleListImpl::operator[](int64_t i) const { return child_at("ModuleList", children_, i); }

}  // namespace thixo::nn
