// Activations. Each is one scalar expression; everything else derives from it.
#include "ir/op.h"

namespace thixo::ops {
namespace {

/// -|x|, whose derivative at 0 is 1: so expressions that meet smoothly there have their second derivative.
Expr minus_abs(Expr x) { return select(x > 0.0, -x, x); }

}  // namespace

void def_relu(Op& op) {
  op.schema("relu(input: Real) -> Real @inplace")
      .doc("max(input, 0), elementwise; nan stays nan.")
      .example(">>> thixo.relu(thixo.tensor([-1., 2.]))\ntensor([0., 2.])")
      .expr([](ExprCtx& c) { return c.dtype == DType::Bool ? c.x(0) : select(c.x(0) <= 0.0, c.c(0), c.x(0)); });
}

void def_gelu(Op& op) {
  op.schema("gelu(input: Float, *, approximate: none|tanh = none) -> Float @nn @inplace")
      .doc("x * Phi(x) with the normal distribution function Phi, or its tanh approximation, elementwise.")
      .source("Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415")
      .example(">>> thixo.nn.functional.gelu(thixo.tensor([1.]))\ntensor([0.8413])")
      .expr([](ExprCtx& c) {
        Expr x = c.x(0);
        if (c.text("approximate") == "tanh") {
          Expr inner = 0.7978845608028654 * (x + 0.044715 * (x * x * x));
          return x * (0.5 * (1.0 + tanh(inner)));
        }
        return x * (0.5 * (1.0 + erf(x * 0.7071067811865476)));
      })
      .ulps(4, 4, 1);  // 1 + erf cancels for negative x
}

void def_silu(Op& op) {
  op.schema("silu(input: Float) -> Float @nn @inplace")
      .doc("x * sigmoid(x), elementwise.")
      .source("Elfwing et al. 2018, https://arxiv.org/abs/1702.03118")
      .reference("input * sigmoid(input)")
      .example(">>> thixo.nn.functional.silu(thixo.tensor([1.]))\ntensor([0.7311])")
      .expr([](ExprCtx& c) { return c.x(0) * sigmoid(c.x(0)); });
}

void def_mish(Op& op) {
  op.schema("mish(input: Float) -> Float @nn @inplace")
      .doc("x * tanh(softplus(x)), elementwise.")
      .source("Misra 2019, https://arxiv.org/abs/1908.08681")
      .reference("input * tanh(log(1 + exp(input)))")
      .example(">>> thixo.nn.functional.mish(thixo.tensor([1.]))\ntensor([0.8651])")
      .expr([](ExprCtx& c) {
        // tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2); from 20 on it is 1, before e^x overflows.
        Expr x = c.x(0), e = exp(min(x, 20.0)), n = e * (e + 2.0);
        return x * (n / (n + 2.0));
      });
}

void def_leaky_relu(Op& op) {
  op.schema("leaky_relu(input: Float, negative_slope: float = 0.01) -> Float @nn @inplace")
      .doc("x above zero, negative_slope * x below, elementwise.")
      .source("Maas et al. 2013, Rectifier nonlinearities improve neural network acoustic models")
      .reference("input if input > 0 else negative_slope * input")
      .example(">>> thixo.nn.functional.leaky_relu(thixo.tensor([-1., 2.]))\ntensor([-0.0100,  2.0000])")
      .expr([](ExprCtx& c) { return select(c.x(0) > 0.0, c.x(0), c.param("negative_slope") * c.x(0)); });
}

void def_elu(Op& op) {
  op.schema("elu(input: Float, alpha: float = 1) -> Float @nn @inplace")
      .doc("x above zero, alpha * (exp(x) - 1) below, elementwise.")
      .source("Clevert et al. 2016, https://arxiv.org/abs/1511.07289")
      .reference("input if input > 0 else alpha * (exp(input) - 1)")
      .example(">>> thixo.nn.functional.elu(thixo.tensor([-1., 2.]))\ntensor([-0.6321,  2.0000])")
      .expr([](ExprCtx& c) { return select(c.x(0) > 0.0, c.x(0), c.param("alpha") * unary(ExprOp::Expm1, c.x(0))); });
}

void def_softplus(Op& op) {
  op.schema("softplus(input: Float, beta: float = 1, threshold: float = 20) -> Float @nn")
      .doc("log(1 + exp(beta * x)) / beta, elementwise; x itself where beta * x is above threshold.")
      .source("Dugas et al. 2001, Incorporating second-order functional knowledge")
      .reference("input if beta * input > threshold else log(1 + exp(beta * input)) / beta")
      .example(">>> thixo.nn.functional.softplus(thixo.tensor([0., 1.]))\ntensor([0.6931, 1.3133])")
      .expr([](ExprCtx& c) {
        Expr x = c.x(0), beta = c.param("beta"), bx = beta * x;
        Expr soft = (select(bx > 0.0, bx, c.c(0)) + unary(ExprOp::Log1p, exp(minus_abs(bx)))) / beta;
        return select(bx > c.param("threshold"), x, soft);
      });
}

void def_logsigmoid(Op& op) {
  op.schema("logsigmoid(input: Float) -> Float @nn")
      .doc("log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|)), elementwise.")
      .reference("log(sigmoid(input))")
      .example(">>> thixo.nn.functional.logsigmoid(thixo.tensor([0.]))\ntensor([-0.6931])")
      .expr([](ExprCtx& c) {
        Expr x = c.x(0);
        return select(x > 0.0, c.c(0), x) - unary(ExprOp::Log1p, exp(minus_abs(x)));
      });
}

void def_hardtanh(Op& op) {
  op.schema("hardtanh(input: Float, min_val: float = -1, max_val: float = 1) -> Float @nn @inplace")
      .doc("x brought into [min_val, max_val]; flat at both ends, elementwise.")
      .example(">>> thixo.nn.functional.hardtanh(thixo.tensor([-2., 0.5]))\ntensor([-1.0000,  0.5000])")
      .expr([](ExprCtx& c) {
        Expr x = c.x(0), low = c.param("min_val"), high = c.param("max_val");
        return select(x <= low, low, select(x >= high, high, x));
      });
}

void def_relu6(Op& op) {
  op.schema("relu6(input: Number) -> Number @nn @inplace")
      .doc("min(max(x, 0), 6), elementwise.")
      .source("Howard et al. 2017, https://arxiv.org/abs/1704.04861")
      .example(">>> thixo.nn.functional.relu6(thixo.tensor([-1., 3., 8.]))\ntensor([0., 3., 6.])")
      .expr([](ExprCtx& c) { return select(c.x(0) <= 0.0, c.c(0), select(c.x(0) >= 6.0, c.c(6), c.x(0))); });
}

}  // namespace thixo::ops
