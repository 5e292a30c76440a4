// Parts of complex numbers. Real tensors pass through.
#include "ir/op.h"

namespace thixo::ops {

void def_conj(Op& op) {
  op.schema("conj(input: Tensor) -> Tensor")
      .doc("The complex conjugate, elementwise; a new tensor.")
      .example(">>> thixo.conj(thixo.tensor([1 + 2j]))\ntensor([1.-2.j])")
      .expr([](ExprCtx& c) { return is_complex(c.dtype) ? conj(c.x(0)) : c.x(0); });
}

void def_real(Op& op) {
  op.schema("real(input: Tensor) -> Real")
      .doc("The real part, elementwise.")
      .example(">>> thixo.real(thixo.tensor([1 + 2j]))\ntensor([1.])")
      .expr([](ExprCtx& c) { return is_complex(c.dtype) ? unary(ExprOp::Real, c.x(0)) : c.x(0); });
}

void def_imag(Op& op) {
  op.schema("imag(input: Tensor) -> Real")
      .doc("The imaginary part, elementwise; zero for real numbers.")
      .example(">>> thixo.imag(thixo.tensor([1 + 2j]))\ntensor([2.])")
      .expr([](ExprCtx& c) { return is_complex(c.dtype) ? unary(ExprOp::Imag, c.x(0)) : c.c(0); });
}

}  // namespace thixo::ops
