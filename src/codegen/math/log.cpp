// Logarithms. x = 2^k m with sqrt(1/2) <= m < sqrt(2); log(x) = k ln2 + log(1+f), f = m - 1.
//
// Errors in ulps, f32 / f64 (at most 1 more without fma):
//   log    1.0 / 1.0
//   log1p  1.5 / 1.5
#include <cmath>

#include "codegen/math/build.h"

namespace thixo::codegen {
namespace {

/// k ln2 + log(1+f)
Expr log_of_parts(Expr k, Expr f) {
  const std::span<const double> ln2 = for_type(f, kLn2F32, kLn2F64);
  if (!is_f64(f)) {
    Expr h = f * f;
    Expr r = polynomial(f, kLogF32) * f;
    r = fma(r, h, k * ln2[1]);
    r = fma(h, num(-0.5, h), r);
    return fma(k, num(ln2[0], f), r + f);
  }
  // With s = f / (2+f): log(1+f) = f - f^2/2 + s (f^2/2 + R(s^2)), as in fdlibm's e_log.c.
  Expr s = f / (f + 2.0), z = s * s, half = f * f * 0.5;
  Expr r = polynomial(z, kLogF64) * z;
  Expr tail = fma(s, half + r, k * ln2[1]);
  return fma(k, num(ln2[0], f), f - (half - tail));
}

Expr smallest_normal(Expr x) { return is_f64(x) ? num(0x1p-1022, x) : num(0x1p-126, x); }

}  // namespace

// Taking sqrt(1/2) from the bits before the exponent is cut off puts m around 1.
Scaled split_exponent(Expr x) {
  if (!is_f64(x)) {
    Expr low = constant_int(0x3f3504f3, DType::I32);
    Expr bits = bitcast(x, DType::I32) - low;
    Expr m = bitcast((bits & constant_int(0x7fffff, DType::I32)) + low, DType::F32);
    return {cast(shift_right(bits, 23), DType::F32), m};
  }
  // i64 to f64 is slow without AVX-512: the exponent is put under the bits of 2^52 instead. 2^62 keeps it positive.
  Expr low = constant_int(0x3fe6a09e667f3bcd, DType::U64);
  Expr bits = bitcast(x, DType::U64) - low;
  Expr m = bitcast((bits & constant_int(0xfffffffffffff, DType::U64)) + low, DType::F64);
  Expr biased = shift_right(bits + constant_int(int64_t{1} << 62, DType::U64), 52);
  Expr k = bitcast(biased | constant_int(0x4330000000000000, DType::U64), DType::F64) - (0x1p52 + 1024);
  return {k, m};
}

Expr expand_log(Expr x) {
  Expr infinity = num(INFINITY, x);
  Expr denormal = x < smallest_normal(x);
  double scale = is_f64(x) ? 0x1p54 : 0x1p23;
  auto [k, m] = split_exponent(select(denormal, x * scale, x));
  k = select(denormal, k - (is_f64(x) ? 54.0 : 23.0), k);
  Expr r = log_of_parts(k, m - 1.0);
  r = select(x < infinity, r, x);  // inf and nan
  r = select(x < 0.0, num(NAN, x), r);
  return select(eq(x, num(0, x)), -infinity, r);
}

// k comes from 1 + x rounded, but f = m - 1 = 2^-k x + (2^-k - 1) is computed from x itself, with one rounding.
Expr expand_log1p(Expr x) {
  Expr u = x + 1.0;
  auto [k, m] = split_exponent(u);
  Expr unit = bitcast(num(1, x), uint_of(x));
  // 2^-k: the exponent of u / m, mirrored. Past 2^30 the 1 in 1 + x is below half an ulp and m is exact.
  Expr power_bits = bitcast(u, uint_of(x)) - bitcast(m, uint_of(x));
  Expr power = bitcast(unit - power_bits, x.dtype());
  Expr f = select(x > (is_f64(x) ? 0x1p60 : 0x1p30), m - 1.0, fma(x, power, power - 1.0));
  Expr r = log_of_parts(k, f);
  r = select(u < num(INFINITY, x), r, u);
  r = select(u < 0.0, num(NAN, x), r);
  r = select(eq(u, num(0, x)), num(-INFINITY, x), r);
  return select(eq(x, num(0, x)), x, r);  // -0
}

}  // namespace thixo::codegen
