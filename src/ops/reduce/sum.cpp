// Sums over dims: the pattern of every reduction that is one nest.
#include "ir/op.h"
#include "ops/reduce/reduce.h"
#include "thixo/tensor.h"

namespace thixo::ops {

void def_sum(Op& op) {
  op.schema("sum(input: Tensor, dim: dims? = None, keepdim: bool = false, *, dtype: dtype? = None) -> Tensor")
      .doc("The sum over `dim` (all dims when None); integers and bool are added in int64.")
      .example(">>> thixo.sum(thixo.tensor([[1., 2.], [3., 4.]]), 0)\ntensor([4., 6.])")
      .infer([](Infer& c) {
        DType t = c.none("dtype") ? (is_differentiable(c.dtype(0)) ? c.dtype(0) : DType::I64) : c.type("dtype");
        c.result(t, reduced_shape(c));
      })
      .nest([](NestCtx& c) {
        reduce_nest(c, Combine::Sum, [&](Expr v) { return cast(v, compute_type(c.out[0].dtype)); });
      })
      .grad([](GradCtx& c) { return Values{expand_reduced(c.call(), c.g(), 0).to(c.call().dtype(0))}; });
}

}  // namespace thixo::ops
