// Views by strides: the storage stays, shape and strides change.
#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {

void def_select(Op& op) {
  op.schema("select(input: Tensor, dim: dim, index: int) -> Tensor")
      .doc("The slice at `index` along `dim`, without that dim: a view.")
      .example(">>> thixo.select(thixo.tensor([[1, 2], [3, 4]]), 0, 1)\ntensor([3, 4])")
      .view([](const Call& c) {
        int d = c.dim("dim", c.rank(0));
        Dim n = c.shape(0)[d], i = c.integer("index");
        if (c.rank(0) == 0) throw c.error(ErrorKind::Index, "cannot select from a tensor without dims");
        if (i < -n.value() || i >= n) {
          throw c.error(ErrorKind::Index, "index " + i.str() + " is out of range for dim " + std::to_string(d) + " of size " + n.str());
        }
        ViewSpec v{c.shape(0), c.in[0].strides(), c.in[0].storage_offset()};
        v.offset += v.strides[d] * (i < 0 ? i + n : i);
        v.shape.erase(d);
        v.strides.erase(d);
        return v;
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        int d = k.dim("dim", k.rank(0));
        return Values{select_backward(c.g(), k.shape(0), d, k.integer("index"))};
      });
}

}  // namespace thixo::ops
