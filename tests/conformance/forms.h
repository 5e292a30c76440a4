// Every op by its public C++ names: what build/<preset>/gen/op_forms.cpp (tools/opforms.py) is made of.
#pragma once

#include <optional>
#include <span>
#include <tuple>

#include "ir/op.h"
#include "thixo/generator.h"
#include "thixo/tensor.h"

namespace thixo::conformance {

/// The forms of an op, each called with the operands and attributes of a Call; null where the op has no such form.
struct Forms {
  int op = 0;  // OpId
  Values (*function)(const Call& c) = nullptr;
  Tensor& (*out)(const Call& c, Tensor& out) = nullptr;
  Values (*method)(const Call& c) = nullptr;
  Tensor& (*inplace)(const Call& c, Tensor& receiver) = nullptr;  // with `receiver` in place of that operand
  int receiver = -1;                                              // which operand a method is called on
};
std::span<const Forms> all_forms();

/// An attribute as the argument that a user writes.
template <class T> struct FromAttr {
  static T get(const Attr& a) { return std::get<T>(a); }
};
template <> struct FromAttr<int64_t> {
  static int64_t get(const Attr& a) { return std::get<Dim>(a).value(); }
};
template <> struct FromAttr<IntList> {
  static IntList get(const Attr& a) {
    IntList out;
    if (a.index() == 0) return out;  // the empty list stands for None
    for (const Dim& d : std::get<Shape>(a)) out.push_back(d.value());
    return out;
  }
};
template <> struct FromAttr<Generator*> {
  static Generator* get(const Attr& a) {
    static Generator generator;
    const RngKey k = std::get<RngKey>(a);
    generator.set_state({k.key, k.counter});
    return &generator;
  }
};
template <class T> struct FromAttr<std::optional<T>> {
  static std::optional<T> get(const Attr& a) {
    return a.index() == 0 ? std::nullopt : std::optional<T>(FromAttr<T>::get(a));
  }
};
template <class T> T from(const Attr& a) { return FromAttr<T>::get(a); }

/// The operands that stand for declaration k, a list, of n.
inline TensorList list(const Call& c, size_t k, size_t n) {
  const auto first = c.in.begin() + static_cast<ptrdiff_t>(k);
  return TensorList(first, first + static_cast<ptrdiff_t>(c.in.size() + 1 - n));
}

inline Values values(const Tensor& t) { return {t}; }
inline Values values(const TensorList& l) {
  Values out;
  out.append(l.begin(), l.end());
  return out;
}
template <class... T> Values values(const std::tuple<T...>& t) {
  return std::apply([](const auto&... each) { return Values{each...}; }, t);
}

}  // namespace thixo::conformance
