// The 16-bit floats by integer operations, without denormals of f32 on the way (they are slow on many processors).
#include "codegen/math/build.h"
#include "codegen/math/expand.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

Expr u32(int64_t v) { return constant_int(v, DType::U32); }
Expr as_f32(Expr bits) { return bitcast(bits, DType::F32); }

Expr widen_f16(Expr h) {
  Expr sign = shift_left(h & u32(0x8000), 16), magnitude = shift_left(h & u32(0x7fff), 13);
  Expr normal = magnitude + u32(112 << 23);  // the exponent's bias is 127 in place of 15
  Expr special = select(magnitude >= u32(31 << 23), normal + u32(112 << 23), normal);
  // A denormal's bits as the mantissa of 2^-14, less that 2^-14.
  Expr denormal = bitcast(as_f32(normal + u32(1 << 23)) - 0x1p-14, DType::U32);
  return as_f32(select(magnitude < u32(1 << 23), denormal, special) | sign);
}

Expr narrow_f16(Expr bits) {
  Expr sign = shift_right(bits, 16) & u32(0x8000), magnitude = bits & u32(0x7fffffff);
  Expr odd = shift_right(magnitude, 13) & u32(1);
  Expr normal = shift_right(magnitude + odd + u32(0xfff - (112 << 23)), 13);
  Expr denormal = bitcast(as_f32(magnitude) + 0.5, DType::U32) - u32(0x3f000000);  // the addition rounds
  Expr nan = (shift_right(magnitude, 13) & u32(0x3ff)) | u32(0x7e00);
  Expr h = select(magnitude < u32(0x38800000), denormal, normal);
  h = select(magnitude >= u32(0x47800000), u32(0x7c00), h);  // 65536 and more; what rounds up to it carries there
  return select(magnitude > u32(0x7f800000), nan, h) | sign;
}

Expr narrow_bf16(Expr bits) {
  Expr odd = shift_right(bits, 16) & u32(1);
  Expr rounded = shift_right(bits + odd + u32(0x7fff), 16);
  Expr nan = shift_right(bits, 16) | u32(0x40);
  return select((bits & u32(0x7fffffff)) > u32(0x7f800000), nan, rounded);
}

void need_half(DType half) {
  if (half == DType::F16 || half == DType::BF16) return;
  throw InternalError("a 16-bit float is float16 or bfloat16").got(std::string(dtype_name(half)));
}

}  // namespace

Expr widen(Expr bits, DType half) {
  need_half(half);
  Expr h = cast(bits, DType::U32);
  return half == DType::F16 ? widen_f16(h) : as_f32(shift_left(h, 16));
}

Expr narrow(Expr f32, DType half) {
  need_half(half);
  Expr bits = bitcast(f32, DType::U32);
  return cast(half == DType::F16 ? narrow_f16(bits) : narrow_bf16(bits), DType::U16);
}

}  // namespace thixo::codegen
