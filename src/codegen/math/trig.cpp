// sin and cos, errors in ulps, f32 / f64: 1.5 / 1.0 for every finite argument (at most 1 more
// without fma).
//
// x = k pi/2 + r with |r| <= pi/4; k mod 4 says which of sin(r), cos(r), -sin(r), -cos(r) it is.
//   |x| <= kFastF32, kFastF64   k times pi/2 in parts so short that each product is exact (Cody and Waite 1980)
//   above                       x times 2/pi modulo 4, from as many bits of 2/pi as x needs (Payne and Hanek 1983):
//                               f32 in f64 arithmetic here, f64 in integers in reduce_large.cpp
#include "codegen/math/build.h"
#include "codegen/math/reduce.h"

namespace thixo::codegen {
namespace {

constexpr double kFastF32 = 6000;  // k up to 3820, below 2^12
constexpr double kFastF64 = 1.6e6;  // k up to 1018592, below 2^20

// The last subtractions keep what they lose, as `low`. Those before are exact.
Reduction reduce_fast_f32(Expr x) {
  Rounded k = round_by_adding(x, 0.6366197723675814, 0);
  Expr t = fma(k.value, num(-kHalfPiF32[1], x), fma(k.value, num(-kHalfPiF32[0], x), x));
  Expr w = k.value * kHalfPiF32[2];
  Expr r = t - w;
  return {k.biased, r, fma(k.value, num(-kHalfPiF32[3], x), (t - r) - w)};
}

Reduction reduce_fast_f64(Expr x) {
  Rounded k = round_by_adding(x, 0.6366197723675814, 0);
  Expr high = fma(k.value, num(-kHalfPiF64[0], x), x), low;
  for (size_t part = 1; part < std::size(kHalfPiF64); ++part) {
    Expr w = k.value * kHalfPiF64[part];
    Expr sum = high - w;
    Expr lost = (high - sum) - w;
    low = low ? low + lost : lost;
    high = sum;
  }
  Expr r = high + low;
  return {k.biased, r, (high - r) + low};
}

Expr sin_of(const Reduction& a) {
  Expr r = a.r, z = r * r;
  Expr p = polynomial(z, for_type(r, kSinF32, kSinF64));
  return r + fma(z * r, p, a.low);
}

// 1 - z/2 with what it rounds off, as in fdlibm's k_cos.c.
Expr cos_of(const Reduction& a) {
  Expr r = a.r, z = r * r, half = z * 0.5;
  Expr p = polynomial(z, for_type(r, kCosF32, kCosF64));
  Expr one = 1.0 - half;
  Expr lost = (1.0 - one) - half;
  return one + fma(z * z, p, fma(-r, a.low, lost));
}

// sin of quadrant q is sin, cos, -sin, -cos; cos is sin one quadrant on.
Expr in_quadrant(const Reduction& a, int shift) {
  DType u = a.quadrant.dtype();
  Expr q = a.quadrant + constant_int(shift, u);
  Expr odd = ne(q & constant_int(1, u), constant_int(0, u));
  Expr negative = shift_left(q & constant_int(2, u), is_f64(a.r) ? 62 : 30);
  Expr v = select(odd, cos_of(a), sin_of(a));
  return bitcast(bitcast(v, u) ^ negative, a.r.dtype());
}

Expr circular(Expr x, int shift) {
  Expr fast = in_quadrant(is_f64(x) ? reduce_fast_f64(x) : reduce_fast_f32(x), shift);
  Expr slow = in_quadrant(is_f64(x) ? reduce_large_f64(x) : reduce_large_f32(x), shift);
  return select_rare(abs(x) > (is_f64(x) ? kFastF64 : kFastF32), slow, fast);
}

}  // namespace

Expr expand_sin(Expr x) { return select(eq(x, num(0, x)), x, circular(x, 0)); }
Expr expand_cos(Expr x) { return circular(x, 1); }

}  // namespace thixo::codegen
