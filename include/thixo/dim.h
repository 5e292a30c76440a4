// Dim: a size. In eager work it is an int64; while a kernel or a graph is recorded for any size it
// may be an expression over named sizes. Eight bytes: the most negative values are handles into a
// table of interned expressions, so plain sizes cost nothing.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include "thixo/error.h"
#include "thixo/export.h"
#include "thixo/small_vec.h"

namespace thixo {

class THIXO_API Dim {
 public:
  Dim() = default;
  template <std::integral T> Dim(T v) : v_(static_cast<int64_t>(v)) {}  // NOLINT: a size is a number

  /// A named size, at least 1: named("N") is equal to every other named("N").
  static Dim named(const std::string& name);

  bool is_symbolic() const { return v_ < kSymbolic; }
  /// The number. Of a symbolic size: asks the recorder for a guard, or throws ValueError when nothing records.
  int64_t value() const { return is_symbolic() ? resolve() : v_; }
  operator int64_t() const { return value(); }  // NOLINT: sizes are used as numbers everywhere
  int64_t raw() const { return v_; }  ///< for hashing and for the expression table

  friend Dim operator+(Dim a, Dim b) { return plain(a, b) ? Dim(a.v_ + b.v_) : symbolic('+', a, b); }
  friend Dim operator-(Dim a, Dim b) { return plain(a, b) ? Dim(a.v_ - b.v_) : symbolic('-', a, b); }
  friend Dim operator*(Dim a, Dim b) { return plain(a, b) ? Dim(a.v_ * b.v_) : symbolic('*', a, b); }
  /// Floor division and its remainder, as in Python. A zero divisor throws ValueError.
  friend Dim operator/(Dim a, Dim b) {
    return plain(a, b) && a.v_ >= 0 && b.v_ > 0 ? Dim(a.v_ / b.v_) : symbolic('/', a, b);
  }
  friend Dim operator%(Dim a, Dim b) {
    return plain(a, b) && a.v_ >= 0 && b.v_ > 0 ? Dim(a.v_ % b.v_) : symbolic('%', a, b);
  }
  /// Equal expressions are equal without a guard; otherwise both are resolved.
  friend bool operator==(Dim a, Dim b) { return a.v_ == b.v_ || (!plain(a, b) && a.value() == b.value()); }

  // With plain integers: without these, `dim + 1` would be ambiguous with int64 + int.
  template <std::integral T> friend Dim operator+(Dim a, T b) { return a + Dim(b); }
  template <std::integral T> friend Dim operator+(T a, Dim b) { return Dim(a) + b; }
  template <std::integral T> friend Dim operator-(Dim a, T b) { return a - Dim(b); }
  template <std::integral T> friend Dim operator-(T a, Dim b) { return Dim(a) - b; }
  template <std::integral T> friend Dim operator*(Dim a, T b) { return a * Dim(b); }
  template <std::integral T> friend Dim operator*(T a, Dim b) { return Dim(a) * b; }
  template <std::integral T> friend Dim operator/(Dim a, T b) { return a / Dim(b); }
  template <std::integral T> friend Dim operator%(Dim a, T b) { return a % Dim(b); }
  template <std::integral T> friend bool operator==(Dim a, T b) { return a == Dim(b); }
  Dim& operator+=(Dim b) { return *this = *this + b; }
  Dim& operator*=(Dim b) { return *this = *this * b; }

  std::string str() const;

 private:
  static constexpr int64_t kSymbolic = INT64_MIN / 2;
  static bool plain(Dim a, Dim b) { return a.v_ >= kSymbolic && b.v_ >= kSymbolic; }
  static Dim symbolic(char op, Dim a, Dim b);
  int64_t resolve() const;
  int64_t v_ = 0;
};

/// One node of a symbolic size, for the code generator: a name, or an operator over two sizes.
struct DimNode {
  char op;  // 'n' (name) or one of + - * / %
  std::string name;
  Dim a, b;
};
THIXO_API const DimNode& dim_node(Dim symbolic);

inline constexpr size_t kMaxRank = 8;
/// Sizes of a tensor. Rank at most kMaxRank where it becomes a tensor.
using Shape = SmallVec<Dim, kMaxRank>;
using Strides = SmallVec<Dim, kMaxRank>;

THIXO_API std::string shape_str(const Shape& s);  ///< "[8, 3, 32, 32]"
THIXO_API Dim numel_of(const Shape& s);
THIXO_API Strides contiguous_strides(const Shape& s);
/// PyTorch's broadcasting. Throws ShapeError naming `op` and both shapes.
THIXO_API Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op = "broadcast");

}  // namespace thixo
