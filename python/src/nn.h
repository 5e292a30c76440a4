// Shared by nn.cpp, nn_layers.cpp and nn_simple.cpp: how a module's class is bound.
#pragma once

#include <nanobind/trampoline.h>

#include "py.h"
#include "thixo/nn.h"

namespace thixo::py {

/// How the garbage collector sees what a module refers to from C++.
extern PyType_Slot module_slots[];
void add_layers(nb::module_& m);
void add_simple_layers(nb::module_& m);

/// A module whose Python subclass may override forward, train, the name and extra_repr.
template <class Base> struct Bound : Base {
  NB_TRAMPOLINE(Base, 4);
  Tensor forward(const Tensor& x) override { NB_OVERRIDE(forward, x); }
  std::string extra_repr() const override { NB_OVERRIDE(extra_repr); }
  nn::Module& train(bool on) override {
    nb::detail::ticket python(this->nb_trampoline, "train", nb::detail::str_hash("train"), false);
    if (!python.key.is_valid()) return Base::train(on);
    this->nb_trampoline.base().attr(python.key)(on);  // whatever it returns
    return *this;
  }
  std::string type_name() const override {
    nb::gil_scoped_acquire gil;
    nb::handle self = nb::find(static_cast<const nn::Module*>(this));
    return self.is_valid() ? nb::cast<std::string>(self.type().attr("__name__")) : Base::type_name();
  }
};

/// Where a Bound<Impl> is made: nanobind keeps room for one wherever it keeps an Impl.
template <class Impl> void* bound(Impl* self) { return self; }

inline IntList int_list(nb::handle o) {
  IntList l;
  for (Dim d : to_shape(o.ptr())) l.push_back(d.value());
  return l;
}
inline std::optional<DType> maybe_dtype(nb::handle o) {
  return o.is_none() ? std::nullopt : std::optional(to_dtype(o.ptr()));
}
inline nn::Padding to_padding(nb::handle o) {
  if (nb::isinstance<nb::str>(o)) return nn::Padding(nb::cast<std::string>(o));
  return nn::Padding(int_list(o));
}

/// A setting as Python writes it: sizes as one int or a tuple, everything else as nanobind has it.
template <class T> struct Setting {
  using Given = T;
  static T in(T v) { return v; }
  static T out(const T& v) { return v; }
};
template <> struct Setting<IntList> {
  using Given = nb::object;
  static IntList in(nb::handle v) { return int_list(v); }
  static nb::object tuple(const IntList& v) {
    nb::list l;
    for (int64_t i : v) l.append(i);
    return nb::tuple(l);
  }
  static nb::object out(const IntList& v) { return v.size() == 1 ? nb::object(nb::int_(v[0])) : tuple(v); }
};
template <> struct Setting<std::optional<IntList>> {
  using Given = nb::object;
  static std::optional<IntList> in(nb::handle v) { return v.is_none() ? std::nullopt : std::optional(int_list(v)); }
  static nb::object out(const std::optional<IntList>& v) { return v ? Setting<IntList>::out(*v) : nb::none(); }
};
template <> struct Setting<nn::Padding> {
  using Given = nb::object;
  static nn::Padding in(nb::handle v) { return to_padding(v); }
  static nb::object out(const nn::Padding& v) {
    return v.same() ? nb::object(nb::str("same")) : Setting<IntList>::out(v.sizes());
  }
};

/// The Python class of Impl. Its settings are properties with the names that they have in the constructor, from which
/// a copy is made (`_settings`).
template <class Impl> class Layer : public nb::class_<Impl, nn::Module, Bound<Impl>> {
 public:
  using nb::class_<Impl, nn::Module, Bound<Impl>>::class_;
  template <class... X> Layer& init(X&&... x) {
    this->def("__init__", std::forward<X>(x)...);
    return *this;
  }
  /// place(layer) is the C++ member, which each call reads.
  template <class Place> Layer& setting(const char* name, Place place) {
    using S = Setting<std::remove_cvref_t<decltype(place(std::declval<Impl&>()))>>;
    return property(name, place, [place](Impl& m) { return S::out(place(m)); });
  }
  /// A shape: a tuple for one number too.
  template <class Place> Layer& shape(const char* name, Place place) {
    return property(name, place, [place](Impl& m) { return Setting<IntList>::tuple(place(m)); });
  }
  /// What is decided when the layer is made.
  template <class Place> Layer& fixed(const char* name, Place place) {
    using S = Setting<std::remove_cvref_t<decltype(place(std::declval<Impl&>()))>>;
    this->def_prop_ro(name, [place](Impl& m) { return S::out(place(m)); });
    return note(name);
  }

 private:
  template <class Place, class Get> Layer& property(const char* name, Place place, Get get) {
    using S = Setting<std::remove_cvref_t<decltype(place(std::declval<Impl&>()))>>;
    auto set = [place](Impl& m, typename S::Given v) {
      place(m) = S::in(std::move(v));
      m.changed();
    };
    auto value = [] {
      using Given = typename S::Given;
      if constexpr (std::is_arithmetic_v<Given> || std::is_same_v<Given, std::string>) {
        return nb::arg("value");
      } else {
        return nb::arg("value").none();
      }
    };
    this->def_prop_rw(name, get, set, nb::for_setter(nb::name(name)), nb::for_setter(value()));
    return note(name);
  }
  Layer& note(const char* name) {
    this->attr("_settings") = nb::object(this->attr("_settings")) + nb::make_tuple(name);
    return *this;
  }
};

/// A class for Impl whose one-tensor forward is C++'s own.
template <class Impl> Layer<Impl> layer(nb::module_& m, const char* name, const char* doc) {
  Layer<Impl> c(m, name, nb::dynamic_attr(), nb::type_slots(module_slots), doc);
  c.def(
      "forward",
      [](Impl& self, const Tensor& x) {
        Unlocked unlocked(std::span(&x, 1));
        return self.Impl::forward(x);
      },
      nb::arg("input"));
  c.def("extra_repr", [](Impl& self) { return self.Impl::extra_repr(); });
  c.attr("_settings") = nb::tuple();
  return c;
}

}  // namespace thixo::py
