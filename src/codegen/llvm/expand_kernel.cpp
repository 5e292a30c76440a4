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

Expr widen_half(DType half) {
  const Expr bits = input(0, DType::U16);
#if __has_include("codegen/math/expand.h")
  return half == DType::F16 ? widen_f16(bits) : widen_bf16(bits);
#else
  return half == DType::F16
             ? cast(bits, DType::F32)
             : bitcast(binary(ExprOp::Shl, cast(bits, DType::U32), constant_int(16, DType::U32)), DType::F32);
#endif
}

Expr narrow_half(DType half) {
  const Expr value = input(0, DType::F32);
#if __has_include("codegen/math/expand.h")
  return half == DType::F16 ? narrow_f16(value) : narrow_bf16(value);
#else
  return half == DType::F16
             ? cast(value, DType::U16)
             : cast(binary(ExprOp::Shr, bitcast(value, DType::U32), constant_int(16, DType::U32)), DType::U16);
#endif
}

}  // namespace thixo::codegen
