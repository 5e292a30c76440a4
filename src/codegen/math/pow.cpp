// pow, errors in ulps, f32 / f64: 1.0 / 1.0 (f32 without fma: 1.25). Special values as C99 annex F.
//
// f64 follows fdlibm's e_pow.c (Sun Microsystems 1993, freely distributable): log2(x) in two parts, their product with
// y in parts whose products are exact, then 2^z.
#include <bit>
#include <cmath>

#include "codegen/math/build.h"

namespace thixo::codegen {
namespace {

// --- |x|^y of f32: log2(x) and its product with y in f64, the rest in f32

// The polynomial in halves of halves (Estrin): more operations than Horner's, but few that wait for each other, which
// is what a loop as long as this one waits for.
Expr in_halves(Expr x, std::span<const double> c) {
  if (c.size() == 1) return num(c[0], x);
  if (c.size() == 2) return fma(x, num(c[1], x), num(c[0], x));
  size_t low = std::bit_ceil(c.size()) / 2;
  Expr power = x;
  for (size_t k = 1; k < low; k *= 2) power = power * power;
  return fma(power, in_halves(x, c.subspan(low)), in_halves(x, c.first(low)));
}

Expr magnitude_f32(Expr x, Expr y) {
  Expr denormal = x < 0x1p-126;
  auto [k, m] = split_exponent(select(denormal, x * 0x1p23, x));
  k = select(denormal, k - 23.0, k);
  k = select(eq(x, num(0, x)), num(-INFINITY, x), select(x < num(INFINITY, x), k, x));
  Expr f = cast(m, DType::F64) - 1.0;
  Expr log2 = fma(f, in_halves(f, kLog2ForPowF32), cast(k, DType::F64));
  Expr z = cast(y, DType::F64) * log2;
  z = at_most(at_least(z, -152), 130);  // all powers past these are 0 or infinite
  Rounded n = round_by_adding(z, 1, power_bias(x));
  Expr g = cast(z - n.value, DType::F32);
  const std::span<const double> c = kExp2ForPowF32;
  Expr p = fma(g, in_halves(g, c.subspan(1)), num(c[0], g));
  return times_power(fma(g, p, num(1, g)), {g, cast(n.biased, DType::U32)});
}

// --- |x|^y of f64

constexpr double kL[] = {5.99999999999994648725e-01, 4.28571428578550184252e-01, 3.33333329818377432918e-01,
                         2.72728123808534006489e-01, 2.30660745775561754067e-01, 2.06975017800338417784e-01};
constexpr double kP[] = {1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
                         -1.65339022054652515390e-06, 4.13813679705723846039e-08};
constexpr double kLn2 = 6.93147180559945286227e-01, kLn2High = 6.93147182464599609375e-01,
                 kLn2Low = -1.90465429995776804525e-09;
// 2 / (3 ln 2), and log2(1.5)
constexpr double kCp = 9.61796693925975554329e-01, kCpHigh = 9.61796700954437255859e-01,
                 kCpLow = -7.02846165095275826516e-09;
constexpr double kLog2Of1Point5High = 5.84962487220764160156e-01, kLog2Of1Point5Low = 1.35003920212974897128e-08;

// x = 2^exponent m of a positive normal f64, 1 <= m < 2.
Scaled split_at_one(Expr x) {
  auto u64 = [](int64_t v) { return constant_int(v, DType::U64); };
  Expr bits = bitcast(x, DType::U64);
  Expr k = bitcast(shift_right(bits, 52) | u64(0x4330000000000000), DType::F64) - (0x1p52 + 1023);
  Expr m = bitcast((bits & u64(0xfffffffffffff)) | u64(0x3ff0000000000000), DType::F64);
  return {k, m};
}

/// The upper 21 bits of the significand: products of two such numbers are exact.
Expr short_of(Expr v) {
  return bitcast(bitcast(v, DType::U64) & constant_int(~int64_t{0xffffffff}, DType::U64), DType::F64);
}

struct Double {
  Expr high, low;
};

// log2(x) = k + log2(c) + log2(m/c), c of 1 or 1.5; log((1+s)/(1-s)) with s = (m-c) / (m+c).
Double log2_of(Expr x) {
  Expr denormal = x < 0x1p-1022;
  auto [k, m] = split_at_one(select(denormal, x * 0x1p53, x));
  k = select(denormal, k - 53.0, k);
  Expr top = m >= 1.7320508075688772;  // sqrt(3)
  m = select(top, m * 0.5, m);
  k = select(top, k + 1.0, k);
  Expr upper = m >= 1.224744871391589;  // sqrt(3/2)
  auto choose = [&](double a, double b) { return select(upper, num(a, x), num(b, x)); };
  Expr c = choose(1.5, 1), log2_c_high = choose(kLog2Of1Point5High, 0), log2_c_low = choose(kLog2Of1Point5Low, 0);

  Expr u = m - c, v = 1.0 / (m + c), s = u * v;
  Expr s_high = short_of(s);
  Expr t_high = short_of(m + c);
  Expr t_low = m - (t_high - c);
  Expr s_low = v * ((u - s_high * t_high) - s_high * t_low);

  Expr s2 = s * s;
  Expr r = s2 * s2 * polynomial(s2, kL) + s_low * (s_high + s);
  s2 = s_high * s_high;
  t_high = short_of(s2 + 3.0 + r);
  t_low = r - ((t_high - 3.0) - s2);
  // (s_high + s_low) (t_high + t_low) = 3/2 log(m/c)
  u = s_high * t_high;
  v = s_low * t_high + t_low * s;
  Expr p_high = short_of(u + v);
  Expr p_low = v - (p_high - u);
  Expr z_high = p_high * kCpHigh;
  Expr z_low = p_high * kCpLow + p_low * kCp + log2_c_low;
  Expr high = short_of(((z_high + z_low) + log2_c_high) + k);
  return {high, z_low - (((high - k) - log2_c_high) - z_high)};
}

Expr magnitude_f64(Expr x, Expr y_any) {
  Double l = log2_of(x);
  // Past 2^65 every power of a double that isn't 1 is 0 or infinite, and the products below stay finite.
  Expr y = at_most(at_least(y_any, -0x1p65), 0x1p65);
  Expr y_high = short_of(y);
  Expr p_low = (y - y_high) * l.high + y * l.low, p_high = y_high * l.high;
  Expr whole = p_low + p_high;

  Rounded n = round_by_adding(at_most(at_least(whole, -1080), 1030), 1, power_bias(x));
  p_high = p_high - n.value;
  Expr t = short_of(p_low + p_high);
  Expr u = t * kLn2High, v = (p_low - (t - p_high)) * kLn2 + t * kLn2Low;
  Expr z = u + v, w = v - (z - u);
  Expr t1 = z - (z * z) * polynomial(z * z, kP);
  Expr r = (z * t1) / (t1 - 2.0) - (w + z * w);
  Expr power = times_power(1.0 - (r - z), n);

  power = select(whole >= 1025.0, num(INFINITY, x), select(whole <= -1076.0, num(0, x), power));
  Expr ends = eq(x, num(0, x)) | eq(x, num(INFINITY, x));  // 0 and inf, and their inverses for y below 0
  Expr at_end = select((x > 1.0) ^ (y < 0.0), num(INFINITY, x), num(0, x));
  power = select(ends & eq(y, y), at_end, power);
  return select(is_nan(x), x, power);
}

}  // namespace

Expr expand_pow(Expr x, Expr y) {
  auto same = [](Expr v, double to) { return eq(v, num(to, v)); };
  auto is_const = [](Expr v, double to) { return v->op == ExprOp::Const && v->f == to; };
  if (is_const(y, 2)) return x * x;
  if (is_const(y, -1)) return 1.0 / x;

  Expr a = abs(x), half = y * 0.5;
  Expr r = is_f64(x) ? magnitude_f64(a, y) : magnitude_f32(a, y);
  r = select(same(a, 1) & eq(y, y), num(1, x), r);  // y may be infinite
  // The sign of x counts for odd y. What isn't an integer has no power of x below 0. inf counts as even.
  Expr whole = eq(floor(y), y);
  r = select(whole & ne(floor(half), half), copysign(r, x), r);
  r = select((x < 0.0) & (a < num(INFINITY, x)) & ne(floor(y), y), num(NAN, x), r);
  return select(same(y, 0) | same(x, 1), num(1, x), r);
}

}  // namespace thixo::codegen
