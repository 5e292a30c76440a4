// What the expansions are written with. Everything is by type: f32 with i32, f64 with i64 (and u64).
#pragma once

#include <span>

#include "codegen/math/coefficients.h"
#include "ir/expr.h"

namespace thixo::codegen {

inline bool is_f64(Expr x) { return x.dtype() == DType::F64; }
inline DType int_of(Expr x) { return is_f64(x) ? DType::I64 : DType::I32; }
inline DType uint_of(Expr x) { return is_f64(x) ? DType::U64 : DType::U32; }
inline Expr num(double v, Expr like) { return constant(v, like.dtype()); }

/// The coefficients for x's type.
template <size_t A, size_t B> std::span<const double> for_type(Expr x, const double (&f32)[A], const double (&f64)[B]) {
  return is_f64(x) ? std::span<const double>(f64) : std::span<const double>(f32);
}

/// c[0] + c[1] x + c[2] x^2 + ...
Expr polynomial(Expr x, std::span<const double> c);

/// a - b*c, in one rounding where the target can.
inline Expr fnma(Expr b, Expr c, Expr a) { return fma(-b, c, a); }

/// x brought into [low, high]; nan stays. One instruction each on x86.
inline Expr at_least(Expr x, double low) { return select(x < low, num(low, x), x); }
inline Expr at_most(Expr x, double high) { return select(x > high, num(high, x), x); }

inline Expr shift_left(Expr a, int n) { return binary(ExprOp::Shl, a, constant_int(n, a.dtype())); }
inline Expr shift_right(Expr a, int n) { return binary(ExprOp::Shr, a, constant_int(n, a.dtype())); }
inline Expr copysign(Expr magnitude, Expr sign) { return binary(ExprOp::CopySign, magnitude, sign); }
inline Expr is_nan(Expr x) { return ne(x, x); }
inline Expr floor(Expr x) { return unary(ExprOp::Floor, x); }

/// x rounded to the nearest integer by adding and subtracting 1.5 * 2^23 (2^52) + bias. |x| must stay below 2^22
/// (2^51).
struct Rounded {
  Expr value;    // the integer as a float
  Expr biased;   // an unsigned integer whose low bits are value + bias, for making powers of two from
};
Rounded round_by_adding(Expr x, double scale, int bias);

/// x = 2^exponent m of a positive normal x, sqrt(1/2) <= m < sqrt(2); the exponent as a float.
struct Scaled {
  Expr exponent, m;
};
Scaled split_exponent(Expr x);

/// p * 2^n for the n of `r` (made with bias power_bias): any n for which the result is finite, denormal or zero.
int power_bias(Expr x);
Expr times_power(Expr p, const Rounded& r);

// The functions, by file.
Expr expand_exp(Expr x);
Expr expand_expm1(Expr x);
Expr expand_sigmoid(Expr x);
Expr expand_tanh(Expr x);
Expr expand_log(Expr x);
Expr expand_log1p(Expr x);
Expr expand_erf(Expr x);
Expr expand_sin(Expr x);
Expr expand_cos(Expr x);
Expr expand_pow(Expr x, Expr y);
Expr expand_mod(Expr x, Expr y);
Expr expand_floor_div(Expr x, Expr y);
/// The angle of the point (x, y), f64.
Expr expand_atan2(Expr y, Expr x);

}  // namespace thixo::codegen
