// Running sums. The sum from the other end is the gradient, so the two close between themselves.
#include "ops/batching.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

DType sum_type(const Call& c) { return is_differentiable(c.dtype(0)) ? c.dtype(0) : DType::I64; }

void cumsum_infer(Infer& c) {
  c.dim("dim", c.rank(0));
  c.result(c.op->name() == "cumsum" && !c.none("dtype") ? c.type("dtype") : sum_type(c), c.shape(0));
}

/// The sum over all places up to (or from) the element's own.
void cumsum_nest(NestCtx& c, bool reverse) {
  const int rank = c.rank(0);
  const DType t = compute_type(c.out[0].dtype);
  if (rank == 0) {
    c.values = {cast(c.load(0, {}), t)};
    return;
  }
  const int d = c.dim("dim", rank);
  Expr k = c.reduce_axis(c.shape(0)[d]), own = c.out_axis(d);
  std::vector<Expr> at;
  for (int i = 0; i < rank; ++i) at.push_back(i == d ? k : c.out_axis(i));
  c.combine = Combine::Sum;
  c.values = {select(reverse ? k >= own : k <= own, cast(c.load(0, at), t), constant(0.0, t))};
}

std::vector<Sample> cumsum_samples(bool dtype) {
  std::vector<Sample> out;
  auto add = [&](Shape x, int64_t dim, std::string bad = {}) {
    Sample& s = out.emplace_back();
    s.in.emplace_back().shape = std::move(x);
    s.attrs = {{"dim", Dim(dim)}};
    s.bad = std::move(bad);
  };
  add({7}, 0);
  add({3, 40}, 1);
  add({3, 40}, 0);
  add({2, 3, 4}, -2);
  add({}, 0);
  add({0, 3}, 0);
  if (!dtype) return out;
  out[1].attrs.emplace_back("dtype", DType::F64);
  add({2, 3}, 2, "dim 2 is out of range");
  return out;
}

}  // namespace

void def_cumsum(Op& op) {
  op.schema("cumsum(input: Tensor, dim: dim, *, dtype: dtype? = None) -> Tensor")
      .doc("Running sums along dim: each element is the sum of all up to it; integers and bool are added in int64.")
      .example(">>> thixo.cumsum(thixo.tensor([1., 2., 3.]), 0)\ntensor([1., 3., 6.])")
      .infer(cumsum_infer)
      .nest([](NestCtx& c) { cumsum_nest(c, false); })
      .kernel("cumsum")
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        return Values{cumsum_reverse(c.g(), k.dim("dim", k.rank(0))).to(k.dtype(0))};
      })
      .batch(along("dim"))
      .ulps(64, 64)
      .samples([] { return cumsum_samples(true); });
}

void def_cumsum_reverse(Op& op) {
  op.schema("cumsum_reverse(input: Tensor, dim: dim) -> Tensor @private")
      .doc("Running sums along dim from its end: each element is the sum of itself and all after it.")
      .infer(cumsum_infer)
      .nest([](NestCtx& c) { cumsum_nest(c, true); })
      .kernel("cumsum_reverse")
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        return Values{cumsum(c.g(), k.dim("dim", k.rank(0))).to(k.dtype(0))};
      })
      .batch(along("dim"))
      .ulps(64, 64)
      .samples([] { return cumsum_samples(false); });
}

}  // namespace thixo::ops
