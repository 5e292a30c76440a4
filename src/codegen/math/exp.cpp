// exp and what is made of it. x = n ln 2 + r with |r| <= ln2/2; exp(x) = 2^n exp(r), exp(r) by a polynomial.
//
// Errors in ulps, f32 / f64 (at most 1 more without fma), denormal results included:
//   exp      1.0 / 1.0
//   expm1    2.0 / 2.0
//   sigmoid  1.75 / 1.75
//   tanh     1.5 / 1.5
#include "codegen/math/build.h"

namespace thixo::codegen {
namespace {

struct Reduced {
  Rounded n;
  Expr r;
};

// The first part of ln 2 is short, so n * ln2 is exact with fma and without.
Reduced reduce(Expr x, int bias) {
  const std::span<const double> ln2 = for_type(x, kLn2F32, kLn2F64);
  Rounded n = round_by_adding(x, 1.4426950408889634, bias);
  Expr r = fma(n.value, num(-ln2[0], x), x);
  return {n, fma(n.value, num(-ln2[1], x), r)};
}

/// 2^n of an n in the type's exponent range.
Expr power_of_two(const Rounded& r) {
  Expr bits = shift_left(r.biased, is_f64(r.value) ? 52 : 23);
  return bitcast(bits, r.value.dtype());
}

// exp(r)
Expr exp_polynomial(Expr r) {
  Expr p = fma(polynomial(r, for_type(r, kExpF32, kExpF64)), r, num(1, r));
  return fma(p, r, num(1, r));
}

/// exp of x whose result is far from the ends of the type's range.
Expr exp_of_moderate(Expr x) {
  auto [n, r] = reduce(x, is_f64(x) ? 1023 : 127);
  return exp_polynomial(r) * power_of_two(n);
}

}  // namespace

Expr polynomial(Expr x, std::span<const double> c) {
  Expr p = num(c.back(), x);
  for (size_t k = c.size() - 1; k-- > 0;) p = fma(p, x, num(c[k], x));
  return p;
}

Rounded round_by_adding(Expr x, double scale, int bias) {
  Expr big = num((is_f64(x) ? 0x1.8p52 : 0x1.8p23) + bias, x);
  Expr sum = fma(x, num(scale, x), big);
  return {sum - big, bitcast(sum, uint_of(x))};
}

int power_bias(Expr x) { return is_f64(x) ? 2 * 1023 : 2 * 127; }

// In two steps of about n/2, so that neither is out of range; only the second can round. The bias of 2 * 127 makes
// both halves exponent fields as they are.
Expr times_power(Expr p, const Rounded& r) {
  int width = is_f64(p) ? 52 : 23;
  Expr half = shift_right(r.biased, 1);
  Expr first = bitcast(shift_left(half, width), p.dtype());
  Expr second = bitcast(shift_left(r.biased - half, width), p.dtype());
  return p * first * second;
}

Expr expand_exp(Expr x) {
  Expr inside = is_f64(x) ? at_most(at_least(x, -746), 710) : at_most(at_least(x, -104), 89);
  auto [n, r] = reduce(inside, power_bias(x));
  return times_power(exp_polynomial(r), n);
}

// 2 (2^(n-1) (exp(r) - 1) + 2^(n-1) - 1/2): 2^(n-1) is inside the range where 2^n isn't.
Expr expand_expm1(Expr x) {
  Expr inside = is_f64(x) ? at_most(at_least(x, -40), 710) : at_most(at_least(x, -20), 89);
  auto [n, r] = reduce(inside, is_f64(x) ? 1022 : 126);
  Expr p = fma(r * r, polynomial(r, for_type(x, kExpm1F32, kExpm1F64)), r);
  Expr s = power_of_two(n);
  return copysign(fma(s, p, s - 0.5) * 2.0, x);  // the sign: expm1(-0) is -0
}

// With z = exp(-|x|), which cannot overflow, and w = z / (1+z): 1 - w above zero, w = z - z w below.
Expr expand_sigmoid(Expr x) {
  Expr z = expand_exp(-abs(x)), w = z / (z + 1.0);
  return select(x < 0.0, fma(-z, w, z), 1.0 - w);
}

// A polynomial near zero; 1 - 2 / (exp(2|x|) + 1) past 0.625, which is 1 from the bound on.
Expr expand_tanh(Expr x) {
  Expr z = x * x, small = fma(x * z, polynomial(z, for_type(x, kTanhF32, kTanhF64)), x);
  Expr a = at_most(abs(x), is_f64(x) ? 20 : 10);
  Expr e = exp_of_moderate(a + a);
  return copysign(select(a > 0.625, 1.0 - 2.0 / (e + 1.0), small), x);
}

}  // namespace thixo::codegen
