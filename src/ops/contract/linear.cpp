// The affine map of a dense layer; its weight is stored as PyTorch stores it, one row an output.
#include "ops/batching.h"
#include "ops/contract/contract.h"

namespace thixo::ops {
namespace {

void linear_infer(Infer& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  if (x.empty()) throw c.error(ErrorKind::Shape, "input has no dims").need("input.shape == [..., in_features]");
  if (w.size() != 2)
    throw c.error(ErrorKind::Shape, "weight has " + std::to_string(w.size()) + " dims")
        .need("weight.shape == [out_features, in_features]");
  require_same_dtype(c, 0, 1);
  if (!(x[x.size() - 1] == w[1])) {
    throw c.error(ErrorKind::Shape, "input has " + x[x.size() - 1].str() + " features but weight expects " + w[1].str())
        .need("input.shape[-1] == weight.shape[1]")
        .fix("make the layer with in_features=" + x[x.size() - 1].str());
  }
  if (c.has(2)) {
    require_same_dtype(c, 0, 2);
    if (c.rank(2) != 1 || !(c.shape(2)[0] == w[0])) {
      throw c
          .error(ErrorKind::Shape,
                 "bias has shape " + shape_str(c.shape(2)) + " but the layer has " + w[0].str() + " outputs")
          .need("bias.shape == [weight.shape[0]]");
    }
  }
  Shape out = x;
  out[out.size() - 1] = w[0];
  c.result(c.dtype(0), std::move(out));
}

void linear_nest(NestCtx& c) {
  const int last = c.rank(0) - 1;
  Expr k = c.reduce_axis(c.shape(1)[1]), o = c.out_axis(last);
  std::vector<Expr> ix;
  for (int d = 0; d < last; ++d) ix.push_back(c.out_axis(d));
  ix.push_back(k);
  c.combine = Combine::Sum;
  c.values = {widened(c.load(0, ix)) * widened(c.load(1, {o, k}))};
  if (c.has(2)) {
    Expr bias = widened(c.load(2, {o}));
    c.finish = [bias](Expr sum) { return sum + bias; };
  }
}

Values linear_grad(GradCtx& c) {
  Values r{Tensor(), Tensor(), Tensor()};
  Tensor g = c.g();
  const bool vector = g.dim() == 1;
  auto conjugate = [](const Tensor& t) { return is_complex(t.dtype()) ? t.conj() : t; };
  if (c.needs(0)) r[0] = matmul(g, conjugate(c.in(1)));
  if (c.needs(1)) {
    Tensor rows = vector ? g.unsqueeze(0) : fold_rows(g);
    Tensor x = vector ? c.in(0).unsqueeze(0) : fold_rows(c.in(0));
    r[1] = matmul(rows.transpose(0, 1), conjugate(x));
  }
  if (c.call().has(2) && c.needs(2)) r[2] = vector ? g : fold_rows(g).sum(0);
  return r;
}

BatchResult linear_batch(const BatchArgs& b) {
  if (b.batch_dim[1] < 0 && (!b.call.has(2) || b.batch_dim[2] < 0)) {
    return {{linear(batch_first(b, 0), b.call.in[1], b.call.in[2])}, {0}};
  }
  // Every example has its own weights: a product of matrices an example.
  Tensor w = b.batch_dim[1] >= 0 ? batch_first(b, 1) : b.call.in[1].unsqueeze(0);
  Tensor x = b.batch_dim[0] >= 0 ? batch_first(b, 0) : b.call.in[0].unsqueeze(0);
  const bool vector = x.dim() == 2;
  if (vector) x = x.unsqueeze(1);
  const int64_t lead = x.dim() - 3;
  for (int64_t d = 0; d < lead; ++d) w = w.unsqueeze(1);
  Tensor out = matmul(x, w.transpose(-2, -1));
  if (b.call.has(2)) {
    Tensor bias = b.batch_dim[2] >= 0 ? batch_first(b, 2) : b.call.in[2].unsqueeze(0);
    for (int64_t d = 0; d < lead + 1; ++d) bias = bias.unsqueeze(1);
    out = out + bias;
  }
  return {{vector ? out.squeeze(1) : out}, {0}};
}

}  // namespace

void def_linear(Op& op) {
  op.schema("linear(input: FloatC, weight: FloatC, bias: FloatC?) -> FloatC @nn")
      .doc("input @ weight^T + bias over the last dim of input.")
      .example(
          ">>> thixo.nn.functional.linear(thixo.tensor([1., 2.]), thixo.tensor([[1., 1.]]), "
          "thixo.tensor([0.5]))\ntensor([3.5000])")
      .infer(linear_infer)
      .nest(linear_nest)
      .kernel("linear")
      .grad(linear_grad)
      .batch(linear_batch)
      .ulps(64, 64)
      .samples([] {
        auto call = [](Shape x, Shape w, std::optional<Shape> b, std::string bad = {}) {
          Sample s{{{x}, {w}, {b.value_or(Shape())}}, {}, std::move(bad)};
          s.in[2].absent = !b;
          return s;
        };
        return std::vector<Sample>{
            call({4}, {3, 4}, Shape{3}),
            call({5, 4}, {3, 4}, {}),
            call({2, 5, 4}, {3, 4}, Shape{3}),
            call({33, 40}, {17, 40}, Shape{17}),
            call({0, 4}, {3, 4}, Shape{3}),
            call({2, 0}, {3, 0}, Shape{3}),
            call({2, 5}, {3, 4}, {}, "input has 5 features but weight expects 4"),
            call({2, 4}, {3, 4}, Shape{4}, "bias has shape [4] but the layer has 3 outputs"),
            call({2, 4}, {4}, {}, "weight has 1 dims"),
        };
      });
}

}  // namespace thixo::ops
