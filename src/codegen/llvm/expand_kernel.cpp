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

}  // namespace thixo::codegen
