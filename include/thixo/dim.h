// Dim: a size. In eager work it is an int64; while a kernel or a graph is recorded for any size it
// may be an expression over named sizes. Eight bytes: a few very negative numbers are handles into a
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
  /// ValueError for what 64 bits do not hold, and for the few numbers that are handles.
  template <std::integral T> Dim(T v) : v_(static_cast<int64_t>(v)) {  // NOLINT: a size is a number
    if constexpr (sizeof(T) == sizeof(int64_t)) {
      if ((std::unsigned_integral<T> && v_ < 0) || is_symbolic()) reject(v_, std::unsigned_integral<T>);
    }
  }

  /// A named size, at least 1: named("N") is equal to every other named("N").
  static Dim named(const std::string& name);
  /// Whether v is one of the numbers that stand for handles, and so can be no size.
  static bool is_handle(int64_t v) { return static_cast<uint64_t>(v) - static_cast<uint64_t>(kFirst) < kHandles; }

  bool is_symbolic() const { return is_handle(v_); }
  /// The number. Of a symbolic size: asks the recorder for a guard, or throws ValueError when nothing records.
  int64_t value() const { return is_symbolic() ? resolve() : v_; }
  operator int64_t() const { return value(); }  // NOLINT: sizes are used as numbers everywhere
  int64_t raw() const { return v_; }  ///< for hashing and for the expression table

  // Arithmetic is exact: ValueError where a result does not fit.
  friend Dim operator+(Dim a, Dim b) { return small(a, b) ? Dim(Raw{a.v_ + b.v_}) : combine('+', a, b); }
  friend Dim operator-(Dim a, Dim b) { return small(a, b) ? Dim(Raw{a.v_ - b.v_}) : combine('-', a, b); }
  friend Dim operator*(Dim a, Dim b) {
    int64_t product = 0;
    return small(a, b) && !__builtin_mul_overflow(a.v_, b.v_, &product) ? Dim(Raw{product}) : combine('*', a, b);
  }
  /// Floor division and its remainder, as in Python. A zero divisor throws ValueError.
  friend Dim operator/(Dim a, Dim b) { return small(a, b) && b.v_ > 0 ? Dim(Raw{a.v_ / b.v_}) : combine('/', a, b); }
  friend Dim operator%(Dim a, Dim b) { return small(a, b) && b.v_ > 0 ? Dim(Raw{a.v_ % b.v_}) : combine('%', a, b); }
  /// Equal expressions are equal without a guard; otherwise both are resolved.
  friend bool operator==(Dim a, Dim b) {
    return a.v_ == b.v_ || ((a.is_symbolic() || b.is_symbolic()) && a.value() == b.value());
  }

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
  friend struct DimTable;  // makes the handles
  struct Raw {
    int64_t v;
  };
  explicit Dim(Raw r) : v_(r.v) {}
  // A stretch of numbers that nobody writes as a size, a bound or an offset.
  static constexpr int64_t kFirst = -0x7d1f'5eed'0000'0000;
  static constexpr uint64_t kHandles = uint64_t{1} << 24;
  /// Both in [0, 2^62): nothing symbolic, and no sum or difference leaves 64 bits or becomes a handle.
  static bool small(Dim a, Dim b) { return static_cast<uint64_t>(a.v_ | b.v_) < uint64_t{1} << 62; }
  static Dim combine(char op, Dim a, Dim b);
  [[noreturn]] static void reject(int64_t v, bool is_unsigned);
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
