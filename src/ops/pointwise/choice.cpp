// Choosing between values: conditions, bounds, extremes of two, and rounding.
#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

/// Integers are whole; rounding is not defined for complex numbers.
Expr rounded(ExprOp how, const ExprCtx& c) { return is_differentiable(c.dtype) ? unary(how, c.x(0)) : c.x(0); }

}  // namespace

void def_where(Op& op) {
  op.schema("where(condition: Bool, input: Tensor, other: Tensor) -> Tensor")
      .doc("input where condition is true, other elsewhere, elementwise and broadcast.")
      .example(">>> thixo.where(thixo.tensor([True, False]), thixo.tensor([1, 2]), 0)\ntensor([1, 0])")
      .expr([](ExprCtx& c) { return select(c.x(0), c.x(1), c.x(2)); });
}

void def_masked_fill(Op& op) {
  op.schema("masked_fill(input: Tensor, mask: Bool, value: Tensor) -> Tensor @inplace")
      .doc("value where mask is true, input elsewhere; the mask is broadcast and the dtype is input's.")
      .example(">>> thixo.tensor([1., 2.]).masked_fill(thixo.tensor([True, False]), 0)\ntensor([0., 2.])")
      .compose([](const Call& c) {
        if (c.rank(2) != 0) throw c.error(ErrorKind::Shape, "value must be a number or a tensor without dims");
        if (!can_cast(c.dtype(2), c.dtype(0))) {
          throw c.error(ErrorKind::DType, "a value of " + std::string(dtype_name(c.dtype(2))) + " does not fit into " +
                                              std::string(dtype_name(c.dtype(0))));
        }
        return Values{where(c.in[1], c.in[2].to(c.dtype(0)), c.in[0])};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 4}}, {{3, 4}}, {{}}}},
            {.in = {{{2, 3, 4}}, {{3, 1}}, {{}}}},
            {.in = {{{}}, {{}}, {{}}}},
            {.in = {{{0, 2}}, {{2}}, {{}}}},
            {.in = {{{2}}, {{2}}, {{1}}}, .bad = "value must be a number"},
            {.in = {{{2, 3}}, {{4}}, {{}}}, .bad = "broadcast"},
            {.in = {{.shape = {2}, .dtype = DType::I64}, {{2}}, {.shape = {}, .dtype = DType::F32}},
             .bad = "a value of float32 does not fit into int64"}};
      });
}

void def_maximum(Op& op) {
  op.schema("maximum(input: Real, other: Real) -> Real")
      .doc("The larger of both, elementwise; nan when one is.")
      .example(">>> thixo.maximum(thixo.tensor([1, 5]), thixo.tensor([3, 2]))\ntensor([3, 5])")
      .commutative()
      .expr([](ExprCtx& c) { return c.dtype == DType::Bool ? c.x(0) | c.x(1) : max(c.x(0), c.x(1)); });
}

void def_minimum(Op& op) {
  op.schema("minimum(input: Real, other: Real) -> Real")
      .doc("The smaller of both, elementwise; nan when one is.")
      .example(">>> thixo.minimum(thixo.tensor([1, 5]), thixo.tensor([3, 2]))\ntensor([1, 2])")
      .commutative()
      .expr([](ExprCtx& c) { return c.dtype == DType::Bool ? c.x(0) & c.x(1) : min(c.x(0), c.x(1)); });
}

void def_clamp(Op& op) {
  op.schema("clamp(input: Number, min: scalar? = None, max: scalar? = None) -> Number @inplace")
      .doc(
          "input brought into [min, max]; a bound of None is none. nan stays nan. Integers with a floating-point "
          "bound become floating-point numbers.")
      .numbers_promote()
      .example(">>> thixo.clamp(thixo.tensor([-2., 0.5, 3.]), min=-1, max=1)\ntensor([-1.0000,  0.5000,  1.0000])")
      .expr([](ExprCtx& c) {
        Expr x = c.x(0);
        if (!c.none("min")) x = select(x < c.param("min"), c.param("min"), x);
        if (!c.none("max")) x = select(x > c.param("max"), c.param("max"), x);
        return x;
      });
}

void def_clamp_tensor(Op& op) {
  op.schema("clamp.tensor(input: Number, min: Number?, max: Number?) -> Number @inplace")
      .doc("input brought between the elements of min and max, either of which may be left out.")
      .example(">>> thixo.clamp(thixo.tensor([0., 5.]), max=thixo.tensor([1., 2.]))\ntensor([0., 2.])")
      .compose([](const Call& c) {
        // Not maximum and minimum: at a bound the gradient goes to the input alone.
        Tensor x = c.in[0];
        if (c.has(1)) x = where(logical_or(lt(x, c.in[1]), isnan(c.in[1])), c.in[1], x);
        if (c.has(2)) x = where(logical_or(gt(x, c.in[2]), isnan(c.in[2])), c.in[2], x);
        return Values{x};
      })
      .samples([] {
        Sample low{.in = {{{3, 4}}, {{4}}, {.absent = true}}}, high{.in = {{{3, 4}}, {.absent = true}, {{3, 1}}}};
        Sample odd{
            .in = {{.shape = {4, 1}, .values = {-400, 0, 400, NAN}}, {.shape = {3}, .values = {-1, NAN, 2}}, {{}}}};
        return std::vector<Sample>{{.in = {{{3, 4}}, {{3, 4}}, {{3, 4}}}},
                                   low,
                                   high,
                                   odd,
                                   {.in = {{{}}, {{}}, {{}}}},
                                   {.in = {{{0, 2}}, {{2}}, {{}}}},
                                   {.in = {{{2, 3}}, {{4}}, {{}}}, .bad = "broadcast"}};
      });
}

void def_sign(Op& op) {
  op.schema("sign(input: Real) -> Real @inplace")
      .doc("-1, 0 or 1, elementwise; 0 for nan.")
      .example(">>> thixo.sign(thixo.tensor([-2., 0., 3.]))\ntensor([-1.,  0.,  1.])")
      .expr([](ExprCtx& c) {
        if (c.dtype == DType::Bool) return c.x(0);
        Expr positive = select(c.x(0) > 0.0, c.c(1), c.c(0));
        return is_unsigned(c.dtype) ? positive : select(c.x(0) < 0.0, c.c(-1), positive);
      });
}

void def_floor(Op& op) {
  op.schema("floor(input: Number) -> Number @inplace")
      .doc("The largest integer that is not above input, elementwise.")
      .example(">>> thixo.floor(thixo.tensor([-1.5, 1.5]))\ntensor([-2.,  1.])")
      .expr([](ExprCtx& c) { return rounded(ExprOp::Floor, c); });
}

void def_ceil(Op& op) {
  op.schema("ceil(input: Number) -> Number @inplace")
      .doc("The smallest integer that is not below input, elementwise.")
      .example(">>> thixo.ceil(thixo.tensor([-1.5, 1.5]))\ntensor([-1.,  2.])")
      .expr([](ExprCtx& c) { return rounded(ExprOp::Ceil, c); });
}

void def_trunc(Op& op) {
  op.schema("trunc(input: Number) -> Number @inplace")
      .doc("input without its fraction, elementwise.")
      .example(">>> thixo.trunc(thixo.tensor([-1.5, 1.5]))\ntensor([-1.,  1.])")
      .expr([](ExprCtx& c) { return rounded(ExprOp::Trunc, c); });
}

void def_round(Op& op) {
  op.schema("round(input: Number) -> Number @inplace")
      .doc("The nearest integer, elementwise; halves go to the even one.")
      .example(">>> thixo.round(thixo.tensor([0.5, 1.5, 2.6]))\ntensor([0., 2., 3.])")
      .expr([](ExprCtx& c) { return rounded(ExprOp::Round, c); });
}

}  // namespace thixo::ops
