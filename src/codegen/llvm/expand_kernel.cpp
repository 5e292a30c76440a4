#include "codegen/llvm/expand_kernel.h"

#include "codegen/math/expand.h"

namespace thixo::codegen {

namespace {

Expr expand(Expr e) { return e ? expand_math(expand_complex(e)) : e; }

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

Expr widen_half(DType half) { return widen(input(0, DType::U16), half); }
Expr narrow_half(DType half) { return narrow(input(0, DType::F32), half); }

}  // namespace thixo::codegen
