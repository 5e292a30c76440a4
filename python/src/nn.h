// Shared by nn.cpp and nn_layers.cpp: how a module's class is bound.
#pragma once

#include <nanobind/trampoline.h>

#include "py.h"
#include "thixo/nn.h"

namespace thixo::py {

/// How the garbage collector sees what a module refers to from C++.
extern PyType_Slot module_slots[];
void add_layers(nb::module_& m);

/// A module whose Python subclass may override forward, the name and extra_repr.
template <class Base> struct Bound : Base {
  NB_TRAMPOLINE(Base, 3);
  Tensor forward(const Tensor& x) override { NB_OVERRIDE(forward, x); }
  std::string extra_repr() const override { NB_OVERRIDE(extra_repr); }
  std::string type_name() const override {
    nb::gil_scoped_acquire gil;
    nb::handle self = nb::find(static_cast<const nn::Module*>(this));
    return self.is_valid() ? nb::cast<std::string>(self.type().attr("__name__")) : Base::type_name();
  }
};

/// Where a Bound<Impl> is made: nanobind keeps room for one wherever it keeps an Impl.
template <class Impl> void* bound(Impl* self) { return self; }

/// A class for Impl whose one-tensor forward is C++'s own.
template <class Impl>
nb::class_<Impl, nn::Module, Bound<Impl>> layer(nb::module_& m, const char* name, const char* doc) {
  nb::class_<Impl, nn::Module, Bound<Impl>> c(m, name, nb::dynamic_attr(), nb::type_slots(module_slots), doc);
  c.def(
      "forward",
      [](Impl& self, const Tensor& x) {
        Unlocked unlocked(std::span(&x, 1));
        return self.Impl::forward(x);
      },
      nb::arg("input"));
  c.def("extra_repr", [](Impl& self) { return self.Impl::extra_repr(); });
  return c;
}

}  // namespace thixo::py
