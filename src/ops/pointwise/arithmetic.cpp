// Sums, products, powers and the extremes of two values.
#include "ir/op.h"

namespace thixo::ops {

void def_add(Op& op) {
  op.schema("add(x: Tensor, y: Tensor, *, alpha: scalar = 1) -> Tensor @inplace")
      .doc("x + alpha * y, elementwise, broadcast and promoted. On bool: logical or.")
      .example(">>> thixo.add(thixo.tensor([1, 2]), 10)\ntensor([11, 12])")
      .expr([](ExprCtx& c) {
        if (c.dtype == DType::Bool) return c.x(0) || c.x(1);
        return std::get<Scalar>(c.attr("alpha")) == Scalar(1) ? c.x(0) + c.x(1) : c.x(0) + c.param("alpha") * c.x(1);
      });
}

void def_sub(Op& op) {
  op.schema("sub(x: Number, y: Number, *, alpha: scalar = 1) -> Number @inplace")
      .doc("x - alpha * y, elementwise, broadcast and promoted.")
      .example(">>> thixo.sub(thixo.tensor([1, 2]), 1)\ntensor([0, 1])")
      .expr([](ExprCtx& c) {
        return std::get<Scalar>(c.attr("alpha")) == Scalar(1) ? c.x(0) - c.x(1) : c.x(0) - c.param("alpha") * c.x(1);
      });
}

void def_mul(Op& op) {
  op.schema("mul(x: Tensor, y: Tensor) -> Tensor @inplace")
      .doc("x * y, elementwise, broadcast and promoted. On bool: logical and.")
      .example(">>> thixo.mul(thixo.tensor([1., 2.]), 3)\ntensor([3., 6.])")
      .commutative()
      .expr([](ExprCtx& c) { return c.dtype == DType::Bool ? c.x(0) && c.x(1) : c.x(0) * c.x(1); });
}

}  // namespace thixo::ops
