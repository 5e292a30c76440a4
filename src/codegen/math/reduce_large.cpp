// x times 2/pi modulo 4, exactly enough for every float: a float comes as near as 2^-29 (f32) or 2^-61 (f64) to a
// multiple of pi/2, and what is left must have all its bits.
#include <cmath>
#include <vector>

#include "codegen/math/reduce.h"

namespace thixo::codegen {

// 2/pi in seven chunks of 29 bits; each product with the 24 bits of x is exact in f64. Of the first ones multiples of
// 4 are taken away, exactly; then they are added from the largest on, so that what cancels cancels exactly.
Reduction reduce_large_f32(Expr x32) {
  Expr x = cast(x32, DType::F64);
  std::vector<Expr> terms;
  for (double chunk : kTwoOverPiChunks) {
    Expr t = x * chunk;
    bool below_one = terms.size() >= 5;  // |x| < 2^128 and a chunk below 2^-145
    terms.push_back(below_one ? t : t - unary(ExprOp::Round, t * 0.25) * 4.0);
  }
  Expr estimate = terms[0];
  for (size_t k = 1; k < terms.size(); ++k) estimate = estimate + terms[k];
  Rounded q = round_by_adding(estimate, 1, 0);
  Expr f = terms[0] - q.value;
  for (size_t k = 1; k < terms.size(); ++k) f = f + terms[k];
  Expr angle = f * 1.5707963267948966, r = cast(angle, DType::F32);
  return {cast(q.biased, DType::U32), r, cast(angle - cast(r, DType::F64), DType::F32)};
}

namespace {

Expr u64(int64_t v) { return constant_int(v, DType::U64); }
Expr low32(Expr a) { return a & u64(0xffffffff); }
Expr high32(Expr a) { return shift_right(a, 32); }

// words[i] ... words[i + 3] of the table, i = 0 to 15, by halving: no table in memory, no gather.
std::vector<Expr> four_words(Expr index) {
  std::vector<Expr> words;
  for (uint64_t w : kTwoOverPiWords) words.push_back(u64(static_cast<int64_t>(w)));
  size_t need = 4 + 7;
  for (int step = 8; step >= 1; step /= 2) {
    Expr set = ne(index & u64(step), u64(0));
    std::vector<Expr> next;
    for (size_t k = 0; k < need; ++k) {
      size_t far = k + static_cast<size_t>(step);
      next.push_back(select(set, far < words.size() ? words[far] : u64(0), words[k]));
    }
    words = next;
    need -= static_cast<size_t>(step) / 2;
  }
  return words;
}

// 192 bits of 2/pi starting so that 4 divides what is left out, as six 32-bit digits, the highest first.
std::vector<Expr> digits_from(Expr start) {
  std::vector<Expr> w = four_words(shift_right(start, 6)), digits;
  Expr by = start & u64(63), back = u64(63) - by;
  for (size_t k = 0; k < 3; ++k) {
    Expr word = binary(ExprOp::Shl, w[k], by) | binary(ExprOp::Shr, shift_right(w[k + 1], 1), back);
    digits.push_back(high32(word));
    digits.push_back(low32(word));
  }
  return digits;
}

// The product of m (up to 53 bits) and the digits, modulo 2^192.
std::vector<Expr> multiply(Expr m, const std::vector<Expr>& digits) {
  Expr m0 = low32(m), m1 = high32(m), carry = u64(0), before = u64(0);
  std::vector<Expr> product(digits.size());
  for (size_t k = digits.size(); k-- > 0;) {
    // before: m1 times the digit one place lower.
    Expr p = m0 * digits[k];
    Expr sum = low32(p) + low32(before) + carry;
    product[k] = low32(sum);
    carry = high32(sum) + high32(p) + high32(before);
    before = m1 * digits[k];
  }
  return product;
}

Expr to_f64(Expr digit) {  // below 2^32: under the bits of 2^52
  return bitcast(digit | u64(0x4330000000000000), DType::F64) - 0x1p52;
}

// Dekker's product of a + a_low with pi/2, to about 100 bits, without fma.
Reduction times_half_pi(Expr quadrant, Expr a, Expr a_low) {
  auto split = [](Expr v) { return bitcast(bitcast(v, DType::U64) & u64(~int64_t{0x7ffffff}), DType::F64); };
  constexpr double kHigh = 0x1.921fb5p+0, kLow = 0x1.110b4611a6263p-26;  // pi/2, 24 bits and 53 more
  Expr h = split(a), rest = (a - h) + a_low;
  Expr high = h * kHigh, low = fma(h, num(kLow, a), rest * (kHigh + kLow));
  Expr r = high + low;
  return {quadrant, r, (high - r) + low};
}

}  // namespace

// x = m 2^e, m of 53 bits. The bits of 2/pi that give multiples of 4 with it are skipped; the product with the next 192
// is the fraction of x 2/pi / 4 to 139 bits.
Reduction reduce_large_f64(Expr x) {
  Expr bits = bitcast(x, DType::U64);
  Expr exponent = shift_right(bits, 52) & u64(0x7ff);
  Expr m = (bits & u64(0xfffffffffffff)) | u64(0x10000000000000);
  // e = exponent - 1075. With m, bit i of 2/pi (from 1) is worth 2^(e-i): those up to i = e - 2 are skipped. In the
  // table bit i has the place i + 39, so that no place is negative for x of 2^20 and more.
  Expr start = exponent - u64(1077 - 40);
  std::vector<Expr> p = multiply(m, digits_from(start));

  // The top two bits are the quadrant; half a quadrant is added to round it, and what is left becomes signed.
  Expr top = p[0] + u64(0x20000000);
  Expr quadrant = shift_right(top, 30);
  Expr f = to_f64(top & u64(0x3fffffff)) - 0x1p29, low = num(0, x);
  double scale = 0x1p-30;
  Expr sum = f * scale;
  for (size_t k = 1; k < 5; ++k) {
    scale *= 0x1p-32;
    Expr d = to_f64(p[k]) * scale;
    Expr next = sum + d;
    low = low + ((sum - next) + d);
    sum = next;
  }
  Expr high = sum + low;
  Reduction r = times_half_pi(quadrant, high, (sum - high) + low);
  // A negative x mirrors; inf and nan have no angle.
  Expr negative = ne(shift_right(bits, 63), u64(0));
  Expr none = eq(exponent, u64(0x7ff));
  Expr nan = num(NAN, x);
  return {select(negative, u64(0) - quadrant, quadrant), select(none, nan, select(negative, -r.r, r.r)),
          select(negative, -r.low, r.low)};
}

}  // namespace thixo::codegen
