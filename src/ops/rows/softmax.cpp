// softmax: composed of other ops; eager runs the decomposition fused, one kernel a row.
#include "ir/op.h"
#include "private_ops.h"

namespace thixo::ops {

void def_softmax(Op& op) {
  op.schema("softmax(input: Float, dim: dim, *, dtype: dtype? = None) -> Float")
      .doc("exp(x - max) / sum(exp(x - max)) along dim.")
      .example(">>> thixo.softmax(thixo.tensor([0., 0.]), 0)\ntensor([0.5000, 0.5000])")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = c.none("dtype") ? c.in[0] : c.in[0].to(c.type("dtype"));
        int64_t dim = c.dim("dim", c.rank(0));
        Tensor e = (x - x.amax(dim, true)).exp();
        return Values{e / e.sum(dim, true)};
      })
      .grad([](GradCtx& c) {
        int64_t dim = c.call().dim("dim", c.call().rank(0));
        return Values{softmax_backward(c.g(), c.out(), dim).to(c.call().dtype(0))};
      });
}

void def_softmax_backward(Op& op) {
  op.schema("softmax_backward(g: Float, y: Float, dim: dim) -> Float @private")
      .doc("The gradient of softmax from its output: y * (g - sum(g * y)).")
      .fused_rows()
      .compose([](const Call& c) {
        const Tensor &g = c.in[0], &y = c.in[1];
        return Values{y * (g - (g * y).sum(c.dim("dim", c.rank(0)), true))};
      });
}

}  // namespace thixo::ops
