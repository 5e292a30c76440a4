#include "ops/random/philox.h"

#include <cmath>

namespace thixo::ops {
namespace {

Expr u32(uint32_t v) { return constant_int(static_cast<int64_t>(v), DType::U32); }
Expr u64(int64_t v) { return constant_int(v, DType::U64); }
Expr shifted_down(Expr v) { return binary(ExprOp::Shr, v, u64(32)); }

/// How many bits a uniform number of dtype t can hold without rounding up to 1.
int uniform_bits(DType t) { return t == DType::F64 ? 53 : t == DType::F32 ? 24 : t == DType::F16 ? 11 : 8; }

}  // namespace

RandomBlock::RandomBlock(NestCtx& c, const std::string& rng) {
  Expr place = constant_int(0);
  for (size_t d = 0; d < c.out[0].shape.size(); ++d) {
    place = place * size(c.out[0].shape[d]) + c.out_axis(static_cast<int>(d));
  }
  Expr counter = c.param(rng + ".counter", DType::U64) + cast(place, DType::U64),
       key = c.param(rng + ".key", DType::U64);
  // 32-bit words in the low halves of 64 bits; what stands above is cut off before it counts. A product then has both
  // its halves in place, which takes half the time of products of words.
  auto times = [](int64_t m, Expr x) { return u64(m) * binary(ExprOp::And, x, u64(0xffffffff)); };
  auto exclusive_or = [](Expr a, Expr b) { return binary(ExprOp::Xor, a, b); };
  Expr x0 = counter, x1 = shifted_down(counter), x2 = u64(0), x3 = u64(0);
  Expr k0 = key, k1 = shifted_down(key);
  for (int round = 0; round < 10; ++round) {
    Expr product0 = times(0xD2511F53, x0), product1 = times(0xCD9E8D57, x2);
    x0 = exclusive_or(exclusive_or(shifted_down(product1), x1), k0);
    x1 = product1;
    x2 = exclusive_or(exclusive_or(shifted_down(product0), x3), k1);
    x3 = product0;
    k0 = k0 + u64(0x9E3779B9);
    k1 = k1 + u64(0xBB67AE85);
  }
  words_[0] = x0, words_[1] = x1, words_[2] = x2, words_[3] = x3;
  for (Expr& w : words_) w = cast(w, DType::U32);
}

Expr RandomBlock::uniform(DType t, int first) const {
  if (t == DType::F64) {
    Expr high = cast(word(first), DType::U64), low = cast(word(first + 1), DType::U64);
    Expr bits = binary(ExprOp::Or, binary(ExprOp::Shl, high, constant_int(21, DType::U64)),
                       binary(ExprOp::Shr, low, constant_int(11, DType::U64)));
    return cast(bits, DType::F64) * 0x1p-53;
  }
  int bits = uniform_bits(t);
  return cast(binary(ExprOp::Shr, word(first), u32(static_cast<uint32_t>(32 - bits))), DType::F32) *
         std::ldexp(1.0, -bits);
}

Expr RandomBlock::open_uniform(DType t, int first) const { return 1.0 - uniform(t, first); }

Expr RandomBlock::normal(DType t) const {
  DType wide = t == DType::F64 ? t : DType::F32;
  return sqrt(-2.0 * log(open_uniform(wide, 0))) * cos(6.283185307179586 * uniform(wide, 2));
}

}  // namespace thixo::ops
