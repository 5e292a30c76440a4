// Parts of complex numbers. Real tensors pass through. No function here is holomorphic, so gradients stand by hand:
// real and imaginary parts of a gradient belong to those of the operand.
#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {

void def_conj(Op& op) {
  op.schema("conj(input: Tensor) -> Tensor")
      .doc("The complex conjugate, elementwise; a new tensor.")
      .example(">>> thixo.conj(thixo.tensor([1 + 2j]))\ntensor([1.-2.j])")
      .expr([](ExprCtx& c) { return is_complex(c.dtype) ? conj(c.x(0)) : c.x(0); })
      .grad([](GradCtx& c) { return Values{conj(c.g())}; });
}

void def_real(Op& op) {
  op.schema("real(input: Tensor) -> Real")
      .doc("The real part, elementwise.")
      .example(">>> thixo.real(thixo.tensor([1 + 2j]))\ntensor([1.])")
      .expr([](ExprCtx& c) { return is_complex(c.dtype) ? unary(ExprOp::Real, c.x(0)) : c.x(0); })
      .grad([](GradCtx& c) { return Values{c.g()}; });
}

void def_imag(Op& op) {
  op.schema("imag(input: Tensor) -> Real")
      .doc("The imaginary part, elementwise; zero for real numbers.")
      .example(">>> thixo.imag(thixo.tensor([1 + 2j]))\ntensor([2.])")
      .expr([](ExprCtx& c) { return is_complex(c.dtype) ? unary(ExprOp::Imag, c.x(0)) : c.c(0); })
      .grad([](GradCtx& c) {
        const bool complex = is_complex(c.call().dtype(0));
        return Values{complex ? c.g() * Scalar(std::complex(0.0, 1.0)) : Tensor()};
      });
}

}  // namespace thixo::ops
