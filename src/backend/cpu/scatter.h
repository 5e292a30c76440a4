// Shared by the scatters: what happens where an element of the source meets its place in the table.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <utility>

#include "base/half.h"
#include "core/record.h"

namespace thixo::cpu {

/// A rule meets elements of type Item; the table is kept in Sum meanwhile. kBackwards: the walk over the index starts
/// at its end. kLast: of equal places only the last one counts.
template <class T> struct PutRule {
  using Item = T;
  using Sum = T;
  static constexpr bool kBackwards = false, kLast = true;
  static Sum load(Item v) { return v; }
  static Item store(Sum v) { return v; }
  static void meet(Sum& place, Item& src) { place = src; }
};

/// The way back of PutRule: the last of equal places takes what is there and leaves zero for those before it.
template <class T> struct TakeRule : PutRule<T> {
  static constexpr bool kBackwards = true, kLast = false;
  static void meet(T& place, T& src) {
    src = place;
    place = T{};
  }
};

template <class T> struct AddRule : PutRule<T> {
  static constexpr bool kLast = false;
  static void meet(T& place, T& src) { place = static_cast<T>(place + src); }
};

struct OrRule : PutRule<uint8_t> {
  static constexpr bool kLast = false;
  static void meet(uint8_t& place, uint8_t& src) { place = place | src; }
};

/// 16-bit floats add up in f32 and are rounded once, as the definition says.
template <bool brain> struct HalfAddRule {
  using Item = uint16_t;
  using Sum = float;
  static constexpr bool kBackwards = false, kLast = false;
  static Sum load(Item v) { return brain ? bf16_to_f32(v) : f16_to_f32(v); }
  static Item store(Sum v) { return brain ? f32_to_bf16(v) : f32_to_f16(v); }
  static void meet(Sum& place, Item& src) { place += load(src); }
};

template <template <class> class Rule, class F> void with_rule_of_size(size_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f(Rule<uint8_t>());
    case 2: return f(Rule<uint16_t>());
    case 4: return f(Rule<uint32_t>());
    case 8: return f(Rule<uint64_t>());
    default: return f(Rule<std::complex<double>>());
  }
}

template <class F> void with_add_rule(DType t, F&& f) {
  switch (t) {
    case DType::F64: return f(AddRule<double>());
    case DType::F32: return f(AddRule<float>());
    case DType::F16: return f(HalfAddRule<false>());
    case DType::BF16: return f(HalfAddRule<true>());
    case DType::I64:
    case DType::U64: return f(AddRule<uint64_t>());
    case DType::I32:
    case DType::U32: return f(AddRule<uint32_t>());
    case DType::I16:
    case DType::U16: return f(AddRule<uint16_t>());
    case DType::I8:
    case DType::U8: return f(AddRule<uint8_t>());
    case DType::Bool: return f(OrRule());
    case DType::C64: return f(AddRule<std::complex<float>>());
    case DType::C128: return f(AddRule<std::complex<double>>());
  }
}

template <class F> void with_scatter_rule(DType t, bool accumulate, F&& f) {
  if (accumulate) {
    with_add_rule(t, std::forward<F>(f));
  } else {
    with_rule_of_size<PutRule>(item_size(t), std::forward<F>(f));
  }
}

/// What the table holds before anything is put there.
enum class Start : uint8_t {
  There,   ///< it is in the result already
  Copy,    ///< to be copied from x, tile by tile
  Number,  ///< x is one number, expanded
};

/// How y comes to start as x; copies now what tiles cannot copy as they go. `tiles`: whether they could.
Start start_as(const Tensor& x, const Tensor& y, bool tiles);

/// t, or a copy where it is a result's own memory or its last dim is strided.
Tensor apart(const Tensor& t, std::span<const Tensor> out);
/// Index as i64, likewise.
Tensor wide_index(const Tensor& index, std::span<const Tensor> out);

/// Operands of one scatter along `dim`; index has the shape of src. Strides of any kind.
struct AlongCall {
  Tensor x, y, index, src;
  size_t dim;
};
void scatter_along(const AlongCall& call, bool accumulate);

}  // namespace thixo::cpu
