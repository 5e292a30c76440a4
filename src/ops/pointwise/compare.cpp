// Comparisons, logic and bits. Comparisons are made in the promoted dtype and give bool.
#include "ir/op.h"

namespace thixo::ops {
namespace {

Expr less(ExprCtx& c, Expr a, Expr b) { return c.dtype == DType::Bool ? ~a & b : a < b; }
Expr less_equal(ExprCtx& c, Expr a, Expr b) { return c.dtype == DType::Bool ? ~a | b : a <= b; }
Expr truth(ExprCtx& c, Expr v) { return c.dtype == DType::Bool ? v : ne(v, c.c(0)); }

}  // namespace

void def_eq(Op& op) {
  op.schema("eq(input: Tensor, other: Tensor) -> Bool @inplace")
      .doc("input == other, elementwise.")
      .example(">>> thixo.eq(thixo.tensor([1, 2]), 2)\ntensor([False,  True])")
      .bool_result()
      .commutative()
      .expr([](ExprCtx& c) { return eq(c.x(0), c.x(1)); });
}

void def_ne(Op& op) {
  op.schema("ne(input: Tensor, other: Tensor) -> Bool @inplace")
      .doc("input != other, elementwise; true where one is nan.")
      .example(">>> thixo.ne(thixo.tensor([1, 2]), 2)\ntensor([ True, False])")
      .bool_result()
      .commutative()
      .expr([](ExprCtx& c) { return ne(c.x(0), c.x(1)); });
}

void def_lt(Op& op) {
  op.schema("lt(input: Real, other: Real) -> Bool @inplace")
      .doc("input < other, elementwise.")
      .example(">>> thixo.lt(thixo.tensor([1, 2]), 2)\ntensor([ True, False])")
      .bool_result()
      .expr([](ExprCtx& c) { return less(c, c.x(0), c.x(1)); });
}

void def_le(Op& op) {
  op.schema("le(input: Real, other: Real) -> Bool @inplace")
      .doc("input <= other, elementwise.")
      .example(">>> thixo.le(thixo.tensor([1, 2, 3]), 2)\ntensor([ True,  True, False])")
      .bool_result()
      .expr([](ExprCtx& c) { return less_equal(c, c.x(0), c.x(1)); });
}

void def_gt(Op& op) {
  op.schema("gt(input: Real, other: Real) -> Bool @inplace")
      .doc("input > other, elementwise.")
      .example(">>> thixo.gt(thixo.tensor([2, 3]), 2)\ntensor([False,  True])")
      .bool_result()
      .expr([](ExprCtx& c) { return less(c, c.x(1), c.x(0)); });
}

void def_ge(Op& op) {
  op.schema("ge(input: Real, other: Real) -> Bool @inplace")
      .doc("input >= other, elementwise.")
      .example(">>> thixo.ge(thixo.tensor([1, 2, 3]), 2)\ntensor([False,  True,  True])")
      .bool_result()
      .expr([](ExprCtx& c) { return less_equal(c, c.x(1), c.x(0)); });
}

void def_logical_and(Op& op) {
  op.schema("logical_and(input: Tensor, other: Tensor) -> Bool @inplace")
      .doc("Whether both are not zero, elementwise.")
      .example(">>> thixo.logical_and(thixo.tensor([0, 1, 2]), thixo.tensor([1, 0, 3]))\ntensor([False, False,  True])")
      .bool_result()
      .commutative()
      .expr([](ExprCtx& c) { return truth(c, c.x(0)) & truth(c, c.x(1)); });
}

void def_logical_or(Op& op) {
  op.schema("logical_or(input: Tensor, other: Tensor) -> Bool @inplace")
      .doc("Whether one of both is not zero, elementwise.")
      .example(">>> thixo.logical_or(thixo.tensor([0, 1]), thixo.tensor([0, 0]))\ntensor([False,  True])")
      .bool_result()
      .commutative()
      .expr([](ExprCtx& c) { return truth(c, c.x(0)) | truth(c, c.x(1)); });
}

void def_logical_xor(Op& op) {
  op.schema("logical_xor(input: Tensor, other: Tensor) -> Bool @inplace")
      .doc("Whether exactly one of both is not zero, elementwise.")
      .example(">>> thixo.logical_xor(thixo.tensor([0, 1]), thixo.tensor([1, 1]))\ntensor([ True, False])")
      .bool_result()
      .commutative()
      .expr([](ExprCtx& c) { return ne(truth(c, c.x(0)), truth(c, c.x(1))); });
}

void def_logical_not(Op& op) {
  op.schema("logical_not(input: Tensor) -> Bool @inplace")
      .doc("Whether input is zero, elementwise.")
      .example(">>> thixo.logical_not(thixo.tensor([0., 2.]))\ntensor([ True, False])")
      .bool_result()
      .expr([](ExprCtx& c) { return ~truth(c, c.x(0)); });
}

void def_bitwise_and(Op& op) {
  op.schema("bitwise_and(input: Integral, other: Integral) -> Integral @inplace")
      .doc("The bits that are set in both, elementwise; logical and on bool: Python's &.")
      .example(">>> thixo.bitwise_and(thixo.tensor([6]), 3)\ntensor([2])")
      .commutative()
      .expr([](ExprCtx& c) { return binary(ExprOp::And, c.x(0), c.x(1)); })
      .no_grad();
}

void def_bitwise_or(Op& op) {
  op.schema("bitwise_or(input: Integral, other: Integral) -> Integral @inplace")
      .doc("The bits that are set in one of both, elementwise; logical or on bool: Python's |.")
      .example(">>> thixo.bitwise_or(thixo.tensor([6]), 3)\ntensor([7])")
      .commutative()
      .expr([](ExprCtx& c) { return binary(ExprOp::Or, c.x(0), c.x(1)); })
      .no_grad();
}

void def_bitwise_xor(Op& op) {
  op.schema("bitwise_xor(input: Integral, other: Integral) -> Integral @inplace")
      .doc("The bits that are set in exactly one of both, elementwise: Python's ^.")
      .example(">>> thixo.bitwise_xor(thixo.tensor([6]), 3)\ntensor([5])")
      .commutative()
      .expr(
          [](ExprCtx& c) { return c.dtype == DType::Bool ? ne(c.x(0), c.x(1)) : binary(ExprOp::Xor, c.x(0), c.x(1)); })
      .no_grad();
}

void def_bitwise_not(Op& op) {
  op.schema("bitwise_not(input: Integral) -> Integral @inplace")
      .doc("Every bit turned, elementwise; logical not on bool: Python's ~.")
      .example(">>> thixo.bitwise_not(thixo.tensor([0, 5]))\ntensor([-1, -6])")
      .expr([](ExprCtx& c) {
        return c.dtype == DType::Bool ? ~c.x(0) : binary(ExprOp::Xor, c.x(0), constant_int(-1, c.dtype));
      })
      .no_grad();
}

void def_isnan(Op& op) {
  op.schema("isnan(input: Tensor) -> Bool")
      .doc("Whether the element is nan; of complex numbers, whether a part is.")
      .example(">>> thixo.isnan(thixo.tensor([1., float('nan')]))\ntensor([False,  True])")
      .bool_result()
      .expr([](ExprCtx& c) { return ne(c.x(0), c.x(0)); });
}

void def_isinf(Op& op) {
  op.schema("isinf(input: Tensor) -> Bool")
      .doc("Whether the element is positive or negative infinity; of complex numbers, whether a part is.")
      .example(">>> thixo.isinf(thixo.tensor([1., float('-inf')]))\ntensor([False,  True])")
      .bool_result()
      .expr([](ExprCtx& c) {
        if (!is_differentiable(c.dtype)) return ne(c.x(0), c.x(0));
        auto infinite = [](Expr v) { return eq(abs(v), constant(INFINITY, v.dtype())); };
        if (is_float(c.dtype)) return infinite(c.x(0));
        return infinite(unary(ExprOp::Real, c.x(0))) | infinite(unary(ExprOp::Imag, c.x(0)));
      });
}

void def_isfinite(Op& op) {
  op.schema("isfinite(input: Tensor) -> Bool")
      .doc("Whether the element is neither nan nor infinite.")
      .example(">>> thixo.isfinite(thixo.tensor([1., float('inf')]))\ntensor([ True, False])")
      .bool_result()
      .expr([](ExprCtx& c) {
        if (!is_differentiable(c.dtype)) return eq(c.x(0), c.x(0));
        auto finite = [](Expr v) { return abs(v) < constant(INFINITY, v.dtype()); };
        if (is_float(c.dtype)) return finite(c.x(0));
        return finite(unary(ExprOp::Real, c.x(0))) & finite(unary(ExprOp::Imag, c.x(0)));
      });
}

}  // namespace thixo::ops
