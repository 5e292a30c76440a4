// Choosing by masks and triangles, and numbers as unit vectors.
#include "ops/batching.h"
#include "ops/index/index.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// x where keep(column - row, diagonal) holds, zero elsewhere.
void triangle(NestCtx& c, const std::function<Expr(Expr, Expr)>& keep) {
  std::vector<Expr> at;
  for (int d = 0; d < c.rank(0); ++d) at.push_back(c.out_axis(d));
  Expr off = c.out_axis(c.rank(0) - 1) - c.out_axis(c.rank(0) - 2);
  c.values = {select(keep(off, c.param("diagonal", DType::I64)), c.load(0, at), constant(0, compute_type(c.dtype(0))))};
}

void triangle_infer(Infer& c) {
  c.require(c.rank(0) >= 2, ErrorKind::Shape,
            "takes a matrix or a batch of matrices, got shape " + shape_str(c.shape(0)));
  c.result(c.dtype(0), c.shape(0));
}

std::vector<Sample> triangle_samples() {
  auto with = [](int k) { return std::vector<std::pair<std::string, Attr>>{{"diagonal", Dim(k)}}; };
  return {{.in = {{{4, 4}}}, .attrs = with(0)},
          {.in = {{{2, 3, 5}}}, .attrs = with(1)},
          {.in = {{{5, 3}}}, .attrs = with(-2)},
          {.in = {{{0, 3}}}, .attrs = with(0)},
          {.in = {{{3}}}, .attrs = with(0), .bad = "takes a matrix or a batch of matrices, got shape [3]"}};
}

}  // namespace

void def_tril(Op& op) {
  op.schema("tril(input: Tensor, diagonal: int = 0) -> Tensor @inplace")
      .doc(
          "The lower triangle of each matrix: elements on and below the diagonal (column - row <= diagonal), zero "
          "above.")
      .example(">>> thixo.ones(2, 2).tril()\ntensor([[1., 0.],\n        [1., 1.]])")
      .infer(triangle_infer)
      .nest([](NestCtx& c) { triangle(c, [](Expr off, Expr k) { return off <= k; }); })
      .grad([](GradCtx& c) { return Values{c.g().tril(c.call().integer("diagonal"))}; })
      .batch(batch_leading)
      .samples(triangle_samples);
}

void def_triu(Op& op) {
  op.schema("triu(input: Tensor, diagonal: int = 0) -> Tensor @inplace")
      .doc(
          "The upper triangle of each matrix: elements on and above the diagonal (column - row >= diagonal), zero "
          "below.")
      .example(">>> thixo.ones(2, 2).triu()\ntensor([[1., 1.],\n        [0., 1.]])")
      .infer(triangle_infer)
      .nest([](NestCtx& c) { triangle(c, [](Expr off, Expr k) { return k <= off; }); })
      .grad([](GradCtx& c) { return Values{c.g().triu(c.call().integer("diagonal"))}; })
      .batch(batch_leading)
      .samples(triangle_samples);
}

void def_one_hot(Op& op) {
  op.schema("one_hot(tensor: Index, num_classes: int = -1) -> Index @nn")
      .doc(
          "A last dim of num_classes with 1 at the element's value and 0 elsewhere; -1 takes the largest value plus "
          "one.")
      .example(">>> thixo.nn.functional.one_hot(thixo.tensor([1, 0]), 3)\ntensor([[0, 1, 0],\n        [1, 0, 0]])")
      .index_bounds([](const Call& c) {
        Dim n = c.integer("num_classes");
        return n < 0 ? std::vector<IndexBound>{} : std::vector<IndexBound>{{0, c.rank(0), n}};
      })
      .compose([](const Call& c) {
        Dim n = c.integer("num_classes");
        if (n < -1) throw c.error(ErrorKind::Value, "num_classes must be -1 or at least 0, got " + n.str());
        if (n < 0) {
          if (c.in[0].numel() == 0)
            throw c.error(ErrorKind::Value, "num_classes cannot be found from an empty tensor").fix("pass num_classes");
          if (c.in[0].amin().item<int64_t>() < 0) throw c.error(ErrorKind::Value, "class values must not be negative");
          n = c.in[0].amax().item<int64_t>() + 1;
        }
        return Values{eq(c.in[0].unsqueeze(-1), iota(n)).to(DType::I64)};
      })
      .no_grad()
      .samples([] {
        auto with = [](int64_t n) { return std::vector<std::pair<std::string, Attr>>{{"num_classes", Dim(n)}}; };
        return std::vector<Sample>{
            {.in = {indices({3}, {1, 0, 3})}, .attrs = with(5)},
            {.in = {indices({2, 2}, {1, 0, 3, 2})}, .attrs = with(-1)},
            {.in = {indices({}, {1})}, .attrs = with(2)},
            {.in = {indices({0}, {})}, .attrs = with(2)},
            {.in = {indices({2}, {0, 2})}, .attrs = with(2), .bad = "index 2 is out of range for dim 1 of size 2"},
            {.in = {indices({2}, {0, 1})}, .attrs = with(INT64_MIN), .bad = "num_classes must be -1 or at least 0"},
            {.in = {indices({2}, {1, -2})}, .attrs = with(-1), .bad = "class values must not be negative"},
            {.in = {indices({0}, {})}, .attrs = with(-1), .bad = "num_classes cannot be found from an empty tensor"}};
      });
}

void def_nonzero(Op& op) {
  op.schema("nonzero(input: Tensor) -> Index")
      .doc(
          "The places of the elements that are not zero, one row of indices each, in row-major order. The result's "
          "size depends on the values.")
      .example(">>> thixo.nonzero(thixo.tensor([0, 5, 7]))\ntensor([[1],\n        [2]])")
      .infer([](Infer& c) {
        // Reading the count is reading a value: while a program is recorded it becomes a guard.
        c.result(DType::I64, {Dim(ne(c.in[0], 0).sum().item<int64_t>()), Dim(c.rank(0))});
      })
      .kernel("nonzero")
      .no_grad()
      .samples([] {
        return std::vector<Sample>{{.in = {{.shape = {2, 3}, .values = {0, 1, 0, 2, 3, 0}}}},
                                   {.in = {{.shape = {4}, .values = {0}}}},
                                   {.in = {{.shape = {}, .values = {2}}}},
                                   {.in = {{{0, 2}}}}};
      });
}

void def_masked_select(Op& op) {
  op.schema("masked_select(input: Tensor, mask: Bool) -> Tensor")
      .doc(
          "The elements where mask is true, in row-major order; both are broadcast. The result's size depends on the "
          "mask.")
      .example(">>> thixo.masked_select(thixo.tensor([1, 2, 3]), thixo.tensor([True, False, True]))\ntensor([1, 3])")
      .compose([](const Call& c) {
        Shape both = broadcast_shapes(c.shape(0), c.shape(1), "masked_select");
        Tensor places = c.in[1].expand(both).reshape({-1}).nonzero().squeeze(1);
        return Values{c.in[0].expand(both).reshape({-1}).index_select(0, places)};
      })
      .samples([] {
        SampleTensor mask{.shape = {2, 3}, .dtype = DType::Bool, .values = {0, 1, 0, 1, 1, 0}};
        return std::vector<Sample>{{.in = {{{2, 3}}, mask}},
                                   {.in = {{{3}}, mask}},
                                   {.in = {{{}}, {.shape = {}, .dtype = DType::Bool, .values = {1}}}},
                                   {.in = {{{4}}, mask}, .bad = "do not broadcast"}};
      });
}

}  // namespace thixo::ops
