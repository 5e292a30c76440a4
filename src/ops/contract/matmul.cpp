// Matrix products of every rank, with PyTorch's rules: 1-d operands are a row or a column, leading dims broadcast.
#include "ops/batching.h"
#include "ops/contract/contract.h"

namespace thixo::ops {
namespace {

void matmul_infer(Infer& c) {
  const Shape &x = c.shape(0), &y = c.shape(1);
  const int rx = c.rank(0), ry = c.rank(1);
  if (rx == 0 || ry == 0) {
    throw c.error(ErrorKind::Shape, std::string(rx == 0 ? "input" : "other") + " has no dims")
        .need("at least 1 dim each")
        .fix("use input * other for numbers");
  }
  require_same_dtype(c, 0, 1);
  const Dim kx = x[rx - 1], ky = ry == 1 ? y[0] : y[ry - 2];
  if (!(kx == ky)) {
    throw c.error(ErrorKind::Shape, "input has " + kx.str() + " columns but other has " + ky.str() + " rows")
        .need(ry == 1 ? "input.shape[-1] == other.shape[0]" : "input.shape[-1] == other.shape[-2]");
  }
  Shape out;
  if (rx > 2 || ry > 2) {
    const Shape bx(std::span(x.data(), static_cast<size_t>(std::max(rx - 2, 0)))),
        by(std::span(y.data(), static_cast<size_t>(std::max(ry - 2, 0))));
    try {
      out = broadcast_shapes(bx, by, "matmul");
    } catch (const Error&) {
      throw c
          .error(ErrorKind::Shape, "the leading dims " + shape_str(bx) + " and " + shape_str(by) + " do not broadcast")
          .need("each pair equal, or one of them 1 or missing");
    }
  }
  if (rx > 1) out.push_back(x[rx - 2]);
  if (ry > 1) out.push_back(y[ry - 1]);
  c.result(c.dtype(0), std::move(out));
}

void matmul_nest(NestCtx& c) {
  const int rx = c.rank(0), ry = c.rank(1), ro = static_cast<int>(c.out[0].shape.size());
  const int rows = rx > 1 ? 1 : 0, columns = ry > 1 ? 1 : 0, lead = ro - rows - columns;
  Expr k = c.reduce_axis(c.shape(0)[rx - 1]);
  auto leading = [&](int operand, int rank) {
    std::vector<Expr> at;
    for (int d = 0; d < rank - 2; ++d) {
      const int o = d + lead - (rank - 2);
      at.push_back(c.shape(operand)[d] == c.out[0].shape[o] ? c.out_axis(o) : constant_int(0));
    }
    return at;
  };
  std::vector<Expr> ix = leading(0, rx), iy = leading(1, ry);
  if (rows != 0) ix.push_back(c.out_axis(lead));
  ix.push_back(k);
  iy.push_back(k);
  if (columns != 0) iy.push_back(c.out_axis(ro - 1));
  c.combine = Combine::Sum;
  c.values = {widened(c.load(0, ix)) * widened(c.load(1, iy))};
}

Values matmul_grad(GradCtx& c) {
  const Shape x = c.call().shape(0), y = c.call().shape(1);
  const bool row = x.size() == 1, column = y.size() == 1;
  Tensor g = c.g();
  if (column) g = g.unsqueeze(-1);
  if (row) g = g.unsqueeze(-2);
  Values r{Tensor(), Tensor()};
  if (c.needs(0)) {
    Tensor ym = column ? c.in(1).unsqueeze(-1) : c.in(1);
    Tensor d = matmul(g, adjoint(ym));
    r[0] = row ? sum_to(d, Shape{1, x[0]}).squeeze(0) : sum_to(d, x);
  }
  if (c.needs(1)) {
    Tensor xm = row ? c.in(0).unsqueeze(0) : c.in(0);
    // A matrix that met a whole batch gets its gradient by one product over all rows of the batch.
    const bool fold = y.size() <= 2 && xm.dim() > 2;
    Tensor d = fold ? matmul(adjoint(fold_rows(xm)), fold_rows(g)) : matmul(adjoint(xm), g);
    r[1] = column ? sum_to(d, Shape{y[0], 1}).squeeze(1) : sum_to(d, y);
  }
  return r;
}

/// Operands as [batch, leading..., rows, columns] with as many leading dims on both sides.
BatchResult matmul_batch(const BatchArgs& b) {
  const bool row = b.call.rank(0) - (b.batch_dim[0] >= 0 ? 1 : 0) == 1;
  const bool column = b.call.rank(1) - (b.batch_dim[1] >= 0 ? 1 : 0) == 1;
  Tensor t[2];
  int64_t rank[2];
  for (size_t k = 0; k < 2; ++k) {
    t[k] = batch_first(b, static_cast<int>(k));
    if (k == 0 && row) t[k] = t[k].unsqueeze(-2);
    if (k == 1 && column) t[k] = t[k].unsqueeze(-1);
    rank[k] = t[k].dim() - (b.batch_dim[k] >= 0 ? 1 : 0);
  }
  for (size_t k = 0; k < 2; ++k) {
    for (; b.batch_dim[k] >= 0 && rank[k] < rank[1 - k]; ++rank[k]) t[k] = t[k].unsqueeze(1);
  }
  Tensor out = matmul(t[0], t[1]);
  if (column) out = out.squeeze(-1);
  if (row) out = out.squeeze(column ? -1 : -2);
  return {{out}, {0}};
}

}  // namespace

void def_matmul(Op& op) {
  op.schema("matmul(input: Number, other: Number) -> Number")
      .doc(
          "The matrix product: of two vectors their dot product, else sums over input's last and other's second to "
          "last dim; leading dims broadcast.")
      .example(">>> thixo.matmul(thixo.tensor([[1., 2.], [3., 4.]]), thixo.tensor([1., 1.]))\ntensor([3., 7.])")
      .infer(matmul_infer)
      .nest(matmul_nest)
      .kernel("matmul")
      .grad(matmul_grad)
      .batch(matmul_batch)
      .ulps(64, 64)
      .samples([] {
        auto call = [](Shape x, Shape y, std::string bad = {}) { return Sample{{{x}, {y}}, {}, std::move(bad)}; };
        return std::vector<Sample>{
            call({5}, {5}),
            call({3, 4}, {4}),
            call({4}, {4, 3}),
            call({3, 4}, {4, 5}),
            call({17, 40}, {40, 33}),
            call({2, 3, 4}, {4, 5}),
            call({2, 3, 4}, {4}),
            call({4}, {2, 4, 3}),
            call({2, 1, 3, 4}, {3, 4, 5}),
            call({2, 3, 4}, {2, 4, 5}),
            call({0, 4}, {4, 3}),
            call({3, 0}, {0, 2}),
            call({3, 4}, {5, 2}, "input has 4 columns but other has 5 rows"),
            call({}, {3}, "input has no dims"),
            call({2, 3, 4}, {3, 4, 5}, "the leading dims [2] and [3] do not broadcast"),
        };
      });
}

}  // namespace thixo::ops
