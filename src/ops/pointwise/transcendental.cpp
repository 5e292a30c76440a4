// Roots, exponentials, logarithms and trigonometry. Integers are promoted to the default float dtype.
#include "ir/op.h"

namespace thixo::ops {

void def_exp(Op& op) {
  op.schema("exp(input: FloatC) -> FloatC @inplace")
      .doc("e to the power of input, elementwise.")
      .example(">>> thixo.exp(thixo.tensor([0., 1.]))\ntensor([1.0000, 2.7183])")
      .expr([](ExprCtx& c) { return exp(c.x(0)); });
}

void def_expm1(Op& op) {
  op.schema("expm1(input: Float) -> Float @inplace")
      .doc("exp(input) - 1, elementwise, exact near zero.")
      .example(">>> thixo.expm1(thixo.tensor([0., 1.]))\ntensor([0.0000, 1.7183])")
      .expr([](ExprCtx& c) { return unary(ExprOp::Expm1, c.x(0)); });
}

void def_log(Op& op) {
  op.schema("log(input: FloatC) -> FloatC @inplace")
      .doc("The natural logarithm, elementwise; nan below zero, -inf at zero.")
      .example(">>> thixo.log(thixo.tensor([1., 10.]))\ntensor([0.0000, 2.3026])")
      .expr([](ExprCtx& c) { return log(c.x(0)); });
}

void def_log1p(Op& op) {
  op.schema("log1p(input: Float) -> Float @inplace")
      .doc("log(1 + input), elementwise, exact near zero.")
      .example(">>> thixo.log1p(thixo.tensor([0., 1.]))\ntensor([0.0000, 0.6931])")
      .expr([](ExprCtx& c) { return unary(ExprOp::Log1p, c.x(0)); });
}

void def_sqrt(Op& op) {
  op.schema("sqrt(input: FloatC) -> FloatC @inplace")
      .doc("The square root, elementwise; nan below zero.")
      .example(">>> thixo.sqrt(thixo.tensor([4., 9.]))\ntensor([2., 3.])")
      .expr([](ExprCtx& c) { return sqrt(c.x(0)); });
}

void def_rsqrt(Op& op) {
  op.schema("rsqrt(input: Float) -> Float @inplace")
      .doc("1 / sqrt(input), elementwise.")
      .example(">>> thixo.rsqrt(thixo.tensor([4., 16.]))\ntensor([0.5000, 0.2500])")
      .expr([](ExprCtx& c) { return rsqrt(c.x(0)); });
}

void def_sin(Op& op) {
  op.schema("sin(input: FloatC) -> FloatC @inplace")
      .doc("The sine, elementwise; the input is in radians.")
      .example(">>> thixo.sin(thixo.tensor([0., 1.]))\ntensor([0.0000, 0.8415])")
      .expr([](ExprCtx& c) { return sin(c.x(0)); });
}

void def_cos(Op& op) {
  op.schema("cos(input: FloatC) -> FloatC @inplace")
      .doc("The cosine, elementwise; the input is in radians.")
      .example(">>> thixo.cos(thixo.tensor([0., 1.]))\ntensor([1.0000, 0.5403])")
      .expr([](ExprCtx& c) { return cos(c.x(0)); });
}

void def_tanh(Op& op) {
  op.schema("tanh(input: FloatC) -> FloatC @inplace")
      .doc("The hyperbolic tangent, elementwise.")
      .example(">>> thixo.tanh(thixo.tensor([0., 1.]))\ntensor([0.0000, 0.7616])")
      .expr([](ExprCtx& c) { return tanh(c.x(0)); });
}

void def_sigmoid(Op& op) {
  op.schema("sigmoid(input: FloatC) -> FloatC @inplace")
      .doc("1 / (1 + exp(-input)), elementwise.")
      .example(">>> thixo.sigmoid(thixo.tensor([0., 1.]))\ntensor([0.5000, 0.7311])")
      .expr([](ExprCtx& c) { return sigmoid(c.x(0)); });
}

void def_erf(Op& op) {
  op.schema("erf(input: Float) -> Float @inplace")
      .doc("The error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to input, elementwise.")
      .example(">>> thixo.erf(thixo.tensor([0., 1.]))\ntensor([0.0000, 0.8427])")
      .expr([](ExprCtx& c) { return erf(c.x(0)); });
}

}  // namespace thixo::ops
