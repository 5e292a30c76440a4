#include "codegen/llvm/expand_kernel.h"

#if __has_include("codegen/math/expand.h")
#include "codegen/math/expand.h"
#endif

namespace thixo::codegen {

namespace {

#if __has_include("codegen/math/expand.h")
Expr expand(Expr e) { return e ? expand_math(expand_complex(e)) : e; }
#else
Expr expand(Expr e) { return e; }
#endif

void expand_block(Block& body) {
  for (Stmt& s : body) {
    s.extent = expand(s.extent);
    s.index = expand(s.index);
    s.predicate = expand(s.predicate);
    s.value = expand(s.value);
    for (AccDecl& a : s.accs) a.init = expand(a.init);
    expand_block(s.body);
  }
}

}  // namespace

Kernel expand_kernel(const Kernel& k) {
  Kernel out = k;
  expand_block(out.body);
  return out;
}

namespace {

Expr u32(uint32_t v) { return constant_int(v, DType::U32); }
Expr shl(Expr a, int bits) { return binary(ExprOp::Shl, a, u32(static_cast<uint32_t>(bits))); }
Expr shr(Expr a, int bits) { return binary(ExprOp::Shr, a, u32(static_cast<uint32_t>(bits))); }
Expr as_float(Expr bits) { return bitcast(bits, DType::F32); }

Expr widen_f16(Expr bits) {
  const Expr magnitude = bits & u32(0x7fff), sign = shl(bits & u32(0x8000), 16);
  const Expr normal = shl(magnitude, 13) + u32(112u << 23);
  const Expr special = normal + u32(112u << 23);  // infinity and nan keep the largest exponent
  const Expr tiny = bitcast(cast(magnitude, DType::F32) * constant(0x1p-24, DType::F32), DType::U32);
  return as_float(sign | select(magnitude < u32(0x400), tiny, select(magnitude < u32(0x7c00), normal, special)));
}

Expr narrow_f16(Expr bits) {
  const Expr magnitude = bits & u32(0x7fffffff), sign = shr(bits, 16) & u32(0x8000);
  const Expr rounded = shr(magnitude + u32(0xfff) + (shr(magnitude, 13) & u32(1)) - u32(112u << 23), 13);
  // Below 2^-14 the sum with 0.5 has its last bit where a denormal's is, and rounds there.
  const Expr tiny = bitcast(as_float(magnitude) + constant(0.5, DType::F32), DType::U32) - u32(0x3f000000);
  const Expr nan = u32(0x7e00) | (shr(magnitude, 13) & u32(0x3ff));
  const Expr large = select(u32(0x7f800000) < magnitude, nan, u32(0x7c00));
  return sign | select(magnitude < u32(0x38800000), tiny, select(magnitude < u32(0x47800000), rounded, large));
}

Expr narrow_bf16(Expr bits) {
  const Expr rounded = bits + u32(0x7fff) + (shr(bits, 16) & u32(1));
  const Expr is_nan = u32(0x7f800000) < (bits & u32(0x7fffffff));
  return shr(select(is_nan, bits | u32(0x400000), rounded), 16);
}

}  // namespace

Expr widen_half(DType half) {
  const Expr bits = cast(input(0, DType::U16), DType::U32);
  return half == DType::F16 ? widen_f16(bits) : as_float(shl(bits, 16));
}

Expr narrow_half(DType half) {
  const Expr bits = bitcast(input(0, DType::F32), DType::U32);
  return cast(half == DType::F16 ? narrow_f16(bits) : narrow_bf16(bits), DType::U16);
}

}  // namespace thixo::codegen
