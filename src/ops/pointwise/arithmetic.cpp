// Sums, products, quotients and what is made of them.
#include "ir/op.h"
#include "private_ops.h"

namespace thixo::ops {

void def_add(Op& op) {
  op.schema("add(input: Tensor, other: Tensor, *, alpha: scalar = 1) -> Tensor @inplace")
      .doc("input + alpha * other, elementwise, broadcast and promoted. On bool: logical or.")
      .example(">>> thixo.add(thixo.tensor([1, 2]), 10)\ntensor([11, 12])")
      .expr([](ExprCtx& c) {
        if (c.dtype == DType::Bool) return c.x(0) | c.x(1);
        return c.attr("alpha") == Attr(Scalar(1)) ? c.x(0) + c.x(1) : c.x(0) + c.param("alpha") * c.x(1);
      });
}

void def_sub(Op& op) {
  op.schema("sub(input: Number, other: Number, *, alpha: scalar = 1) -> Number @inplace")
      .doc("input - alpha * other, elementwise, broadcast and promoted.")
      .example(">>> thixo.sub(thixo.tensor([1, 2]), 1)\ntensor([0, 1])")
      .expr([](ExprCtx& c) {
        return c.attr("alpha") == Attr(Scalar(1)) ? c.x(0) - c.x(1) : c.x(0) - c.param("alpha") * c.x(1);
      });
}

void def_mul(Op& op) {
  op.schema("mul(input: Tensor, other: Tensor) -> Tensor @inplace")
      .doc("input * other, elementwise, broadcast and promoted. On bool: logical and.")
      .example(">>> thixo.mul(thixo.tensor([1., 2.]), 3)\ntensor([3., 6.])")
      .commutative()
      .expr([](ExprCtx& c) { return c.dtype == DType::Bool ? c.x(0) & c.x(1) : c.x(0) * c.x(1); });
}

void def_div(Op& op) {
  op.schema("div(input: FloatC, other: FloatC) -> FloatC @inplace")
      .doc("input / other, elementwise; integers are divided as floats.")
      .example(">>> thixo.div(thixo.tensor([1, 2]), 2)\ntensor([0.5000, 1.0000])")
      .expr([](ExprCtx& c) { return c.x(0) / c.x(1); });
}

void def_div_mode(Op& op) {
  op.schema("div.mode(input: Number, other: Number, *, rounding_mode: trunc|floor?) -> Number @inplace")
      .doc(
          "input / other rounded toward zero (`trunc`) or down (`floor`); integers stay integers. None: the true "
          "quotient.")
      .example(">>> thixo.div(thixo.tensor([-7, 7]), 2, rounding_mode='floor')\ntensor([-4,  3])")
      .compose([](const Call& c) {
        if (c.none("rounding_mode")) return Values{div(c.in[0], c.in[1])};
        return Values{c.text("rounding_mode") == "floor" ? floor_divide(c.in[0], c.in[1])
                                                         : div_trunc(c.in[0], c.in[1])};
      })
      .samples([] {
        std::vector<Sample> out;
        for (const Attr& mode : {Attr(), Attr(std::string("trunc")), Attr(std::string("floor"))}) {
          out.push_back({.in = {{{3, 4}}, {{4}}}, .attrs = {{"rounding_mode", mode}}});
          Sample signs{.in = {{.shape = {4, 1}, .values = {-7, 7, 0, 400}}, {.shape = {4}, .values = {2, -2, 3, -3}}},
                       .attrs = {{"rounding_mode", mode}}};
          out.push_back(signs);
        }
        out.push_back({.in = {{{}}, {{0, 2}}}});
        out.push_back(
            {.in = {{{2, 3}}, {{4}}}, .attrs = {{"rounding_mode", std::string("floor")}}, .bad = "broadcast"});
        return out;
      });
}

void def_div_trunc(Op& op) {
  op.schema("div_trunc(input: Number, other: Number) -> Number @private")
      .doc("The quotient rounded toward zero.")
      .expr([](ExprCtx& c) {  // not defined for complex numbers
        return is_differentiable(c.dtype) ? unary(ExprOp::Trunc, c.x(0) / c.x(1)) : c.x(0) / c.x(1);
      });
}

void def_floor_divide(Op& op) {
  op.schema("floor_divide(input: Number, other: Number) -> Number @inplace")
      .doc("The quotient rounded down: Python's //.")
      .example(">>> thixo.floor_divide(thixo.tensor([-7, 7]), 2)\ntensor([-4,  3])")
      .expr([](ExprCtx& c) { return floor_div(c.x(0), c.x(1)); });
}

void def_remainder(Op& op) {
  op.schema("remainder(input: Number, other: Number) -> Number @inplace")
      .doc(
          "input - other * floor(input / other), with the sign of other: Python's %; exact while |input / other| < "
          "2^52.")
      .example(">>> thixo.remainder(thixo.tensor([-7, 7]), 3)\ntensor([2, 1])")
      .expr([](ExprCtx& c) { return mod(c.x(0), c.x(1)); })
      .samples([] {
        const std::vector<double> values{-400, -20, -7.5, -1,  -0.5,     -0.0,      0,  0.25,
                                         1,    2,   3,    400, INFINITY, -INFINITY, NAN};
        const Dim n = static_cast<int64_t>(values.size());
        return std::vector<Sample>{{.in = {{{3, 37}}, {{3, 37}}}},
                                   {.in = {{.shape = {n, 1}, .values = values}, {.shape = {n}, .values = values}}},
                                   {.in = {{.shape = {5}, .values = {-1e9, -1e6, 1e6, 1e9, 1e12}}, {{}}}},
                                   {.in = {{{3, 1}}, {{4}}}},
                                   {.in = {{{}}, {{}}}},
                                   {.in = {{{0, 2}}, {{2}}}},
                                   {.in = {{{2, 3}}, {{4}}}, .bad = "broadcast"}};
      });
}

void def_neg(Op& op) {
  op.schema("neg(input: Number) -> Number @inplace")
      .doc("-input, elementwise.")
      .example(">>> thixo.neg(thixo.tensor([1, -2]))\ntensor([-1,  2])")
      .expr([](ExprCtx& c) { return -c.x(0); });
}

void def_abs(Op& op) {
  op.schema("abs(input: Number) -> Real @inplace")
      .doc("|input|, elementwise; of complex numbers the magnitude, a real tensor.")
      .example(">>> thixo.abs(thixo.tensor([-1.5, 2.]))\ntensor([1.5000, 2.0000])")
      .expr([](ExprCtx& c) { return is_unsigned(c.dtype) ? c.x(0) : abs(c.x(0)); });
}

void def_square(Op& op) {
  op.schema("square(input: Number) -> Number @inplace")
      .doc("input * input, elementwise.")
      .example(">>> thixo.square(thixo.tensor([-2., 3.]))\ntensor([4., 9.])")
      .expr([](ExprCtx& c) { return c.x(0) * c.x(0); });
}

void def_reciprocal(Op& op) {
  op.schema("reciprocal(input: FloatC) -> FloatC @inplace")
      .doc("1 / input, elementwise.")
      .example(">>> thixo.reciprocal(thixo.tensor([2., 4.]))\ntensor([0.5000, 0.2500])")
      .expr([](ExprCtx& c) { return 1.0 / c.x(0); });
}

void def_addcmul(Op& op) {
  op.schema("addcmul(input: Number, tensor1: Number, tensor2: Number, *, value: scalar = 1) -> Number @inplace")
      .doc("input + value * tensor1 * tensor2, elementwise.")
      .example(">>> thixo.addcmul(thixo.tensor([1.]), thixo.tensor([2.]), thixo.tensor([3.]), value=0.5)\ntensor([4.])")
      .expr([](ExprCtx& c) { return c.x(0) + c.param("value") * c.x(1) * c.x(2); })
      .ulps(4, 4, 3);  // the sum may cancel
}

void def_addcdiv(Op& op) {
  op.schema("addcdiv(input: FloatC, tensor1: FloatC, tensor2: FloatC, *, value: scalar = 1) -> FloatC @inplace")
      .doc("input + value * tensor1 / tensor2, elementwise.")
      .example(">>> thixo.addcdiv(thixo.tensor([1.]), thixo.tensor([3.]), thixo.tensor([2.]))\ntensor([2.5000])")
      .expr([](ExprCtx& c) { return c.x(0) + c.param("value") * c.x(1) / c.x(2); })
      .ulps(4, 4, 3);  // the sum may cancel
}

void def_lerp(Op& op) {
  op.schema("lerp(input: Float, end: Float, weight: Float) -> Float @inplace")
      .doc("input + weight * (end - input), elementwise; exactly `end` at weight 1.")
      .example(">>> thixo.lerp(thixo.tensor([0.]), thixo.tensor([10.]), 0.25)\ntensor([2.5000])")
      .expr([](ExprCtx& c) {
        Expr a = c.x(0), b = c.x(1), w = c.x(2);
        return select(abs(w) < 0.5, a + w * (b - a), b - (b - a) * (1.0 - w));
      });
}

}  // namespace thixo::ops
