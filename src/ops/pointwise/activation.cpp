// Activations. Each is one scalar expression; everything else derives from it.
#include "ir/op.h"

namespace thixo::ops {

void def_relu(Op& op) {
  op.schema("relu(x: Number) -> Number @inplace")
      .doc("max(x, 0), elementwise; nan stays nan.")
      .example(">>> thixo.relu(thixo.tensor([-1., 2.]))\ntensor([0., 2.])")
      .expr([](ExprCtx& c) { return select(c.x(0) < 0.0, c.c(0), c.x(0)); });
}

void def_gelu(Op& op) {
  op.schema("gelu(x: Float, *, approximate: none|tanh = none) -> Float @nn @inplace")
      .doc("x * Phi(x) with the normal distribution function Phi, or its tanh approximation, elementwise.")
      .source("Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415")
      .example(">>> thixo.nn.functional.gelu(thixo.tensor([1.]))\ntensor([0.8413])")
      .expr([](ExprCtx& c) {
        Expr x = c.x(0);
        if (std::get<std::string>(c.attr("approximate")) == "tanh") {
          Expr inner = 0.7978845608028654 * (x + 0.044715 * (x * x * x));
          return x * (0.5 * (1.0 + tanh(inner)));
        }
        return x * (0.5 * (1.0 + erf(x * 0.7071067811865476)));
      });
}

void def_silu(Op& op) {
  op.schema("silu(x: Float) -> Float @nn @inplace")
      .doc("x * sigmoid(x), elementwise.")
      .source("Elfwing et al. 2018, https://arxiv.org/abs/1702.03118")
      .example(">>> thixo.nn.functional.silu(thixo.tensor([1.]))\ntensor([0.7311])")
      .expr([](ExprCtx& c) { return c.x(0) * sigmoid(c.x(0)); });
}

}  // namespace thixo::ops
