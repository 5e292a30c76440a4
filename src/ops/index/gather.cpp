// Reading elements at computed places.
#include "ops/batching.h"
#include "ops/index/index.h"
#include "private_ops.h"

namespace thixo::ops {

int indexed_dim(const Call& c, int rank) {
  if (rank == 0) return 0;
  return c.dim("dim", rank);
}

Expr place(const NestCtx& c, int operand, std::vector<Expr> at) {
  return cast(c.load(operand, std::move(at)), DType::I64);
}

SampleTensor indices(Shape shape, std::vector<double> values) {
  return {.shape = std::move(shape), .dtype = DType::I64, .values = std::move(values)};
}

namespace {

std::vector<Expr> axes(const NestCtx& c) {
  std::vector<Expr> at;
  for (size_t d = 0; d < c.out[0].shape.size(); ++d) at.push_back(c.out_axis(static_cast<int>(d)));
  return at;
}

}  // namespace

void def_index_select(Op& op) {
  op.schema("index_select(input: Tensor, dim: dim, index: Index) -> Tensor")
      .doc("The slices of input along `dim` that the 1-d index names, in its order.")
      .example(
          ">>> thixo.index_select(thixo.tensor([[1, 2], [3, 4]]), 0, thixo.tensor([1, 0]))\ntensor([[3, 4],\n        "
          "[1, 2]])")
      .infer([](Infer& c) {
        c.require(c.rank(1) <= 1, ErrorKind::Shape, "index must have one dim, got shape " + shape_str(c.shape(1)));
        Shape s = c.shape(0);
        int d = indexed_dim(c, c.rank(0));
        Dim n = numel_of(c.shape(1));
        if (s.empty()) {
          c.require(n == 1, ErrorKind::Shape, "a tensor without dims takes one index, got " + n.str());
        } else {
          s[static_cast<size_t>(d)] = n;
        }
        c.result(c.dtype(0), s);
      })
      .index_bounds([](const Call& c) {
        int d = indexed_dim(c, c.rank(0));
        return std::vector<IndexBound>{{1, d, c.rank(0) == 0 ? Dim(1) : c.shape(0)[static_cast<size_t>(d)]}};
      })
      .nest([](NestCtx& c) {
        std::vector<Expr> at = axes(c);
        if (!at.empty()) {
          Expr& i = at[static_cast<size_t>(indexed_dim(c, c.rank(0)))];
          i = place(c, 1, c.rank(1) == 0 ? std::vector<Expr>{} : std::vector<Expr>{i});
        }
        c.values = {c.load(0, at)};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        if (k.rank(0) == 0) return Values{c.g(), Tensor()};
        return Values{index_select_backward(c.g(), k.shape(0), indexed_dim(k, k.rank(0)), c.in(1)), Tensor()};
      })
      .batch([](const BatchArgs& a) {
        int rank = static_cast<int>(a.call.in[0].dim()) - (a.batch_dim[0] >= 0 ? 1 : 0);
        if (a.batch_dim[1] >= 0 || rank == 0) return BatchResult{};
        int d = indexed_dim(a.call, rank);
        return BatchResult{{batch_first(a, 0).index_select(d + 1, a.call.in[1])}, {0}};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{4, 3}}, indices({5}, {3, 0, 0, 2, 1})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{2, 5}}, indices({2}, {4, 1})}, .attrs = {{"dim", Dim(-1)}}},
            {.in = {{{2, 5, 3}}, indices({2}, {4, 1})}, .attrs = {{"dim", Dim(1)}}},
            {.in = {{{3}}, indices({}, {2})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{3}}, indices({0}, {})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{}}, indices({1}, {0})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{}}, indices({2}, {0, 0})},
             .attrs = {{"dim", Dim(0)}},
             .bad = "a tensor without dims takes one index, got 2"},
            {.in = {{{3}}, indices({2}, {0, 3})},
             .attrs = {{"dim", Dim(0)}},
             .bad = "index 3 is out of range for dim 0 of size 3"},
            {.in = {{{3}}, indices({1}, {-1})},
             .attrs = {{"dim", Dim(0)}},
             .bad = "index -1 is out of range for dim 0 of size 3"},
            {.in = {{{3}}, indices({1, 1}, {0})}, .attrs = {{"dim", Dim(0)}}, .bad = "index must have one dim"},
            {.in = {{{3}}, {.shape = {1}, .dtype = DType::F32}},
             .attrs = {{"dim", Dim(0)}},
             .bad = "index is float32 but the op takes int64 or int32"}};
      });
}

void def_index_select_backward(Op& op) {
  op.schema("index_select_backward(grad: Tensor, size: size, dim: dim, index: Index) -> Tensor @private")
      .doc("Zeros of `size` with the slices of grad added at index along `dim`.")
      .compose([](const Call& c) {
        Tensor none = zeros({}, {.dtype = c.dtype(0)}).expand(c.list("size"));
        return Values{none.index_add(c.dim("dim", c.rank(0)), c.in[1].reshape({-1}), c.in[0])};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 2}}, indices({3}, {1, 1, 3})}, .attrs = {{"size", Shape{4, 2}}, {"dim", Dim(0)}}},
            {.in = {{{2, 3}}, indices({3}, {1, 1, 0})}, .attrs = {{"size", Shape{2, 4}}, {"dim", Dim(1)}}}};
      });
}

void def_gather(Op& op) {
  op.schema("gather(input: Tensor, dim: dim, index: Index) -> Tensor")
      .doc("out[i, j] = input[index[i, j], j] for dim 0, and so for the others: the index has the result's shape.")
      .example(
          ">>> thixo.gather(thixo.tensor([[1, 2], [3, 4]]), 1, thixo.tensor([[1], [0]]))\ntensor([[2],\n        [3]])")
      .infer([](Infer& c) {
        int rank = c.rank(0), d = indexed_dim(c, rank);
        c.require(std::max(rank, 1) == std::max(c.rank(1), 1), ErrorKind::Shape,
                  "index has rank " + std::to_string(c.rank(1)) + " but input has " + std::to_string(rank),
                  "equal ranks");
        for (int e = 0; e < std::min(rank, c.rank(1)); ++e) {
          auto k = static_cast<size_t>(e);
          c.require(e == d || c.shape(1)[k] <= c.shape(0)[k], ErrorKind::Shape,
                    "index has size " + c.shape(1)[k].str() + " in dim " + std::to_string(e) + " but input has " +
                        c.shape(0)[k].str());
        }
        c.result(c.dtype(0), c.shape(1));
      })
      .index_bounds([](const Call& c) {
        int d = indexed_dim(c, c.rank(0));
        return std::vector<IndexBound>{{1, d, c.rank(0) == 0 ? Dim(1) : c.shape(0)[static_cast<size_t>(d)]}};
      })
      .nest([](NestCtx& c) {
        std::vector<Expr> at = axes(c);
        Expr i = place(c, 1, at);
        if (c.rank(0) == 0) {
          at.clear();
        } else if (at.empty()) {
          at.push_back(i);
        } else {
          at[static_cast<size_t>(indexed_dim(c, c.rank(0)))] = i;
        }
        c.values = {c.load(0, at)};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Tensor none = zeros({}, {.dtype = c.g().dtype()}).expand(k.shape(0));
        return Values{none.scatter_add(k.integer("dim"), c.in(1), c.g()), Tensor()};
      })
      .batch([](const BatchArgs& a) {
        const bool number = a.call.rank(1) == (a.batch_dim[1] >= 0 ? 1 : 0);  // as the index of a single dim
        return number ? BatchResult{} : batch_along(a, "dim");
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 4}}, indices({2, 4}, {0, 2, 1, 0, 2, 2, 0, 1})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{3, 4}}, indices({3, 1}, {3, 0, 3})}, .attrs = {{"dim", Dim(-1)}}},
            {.in = {{{2, 4, 3}}, indices({2, 2, 3}, {3, 0, 3, 1, 1, 2})}, .attrs = {{"dim", Dim(1)}}},
            {.in = {{{1, 2, 3}}, indices({1, 2, 2}, {0})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{3, 4, 2}}, indices({2, 3, 1}, {1, 0, 1, 0, 0, 1})}, .attrs = {{"dim", Dim(2)}}},
            {.in = {{{4}}, indices({6}, {3, 3, 3, 0, 1, 2})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{}}, indices({}, {0})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{3}}, indices({}, {2})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{3}}, indices({0}, {})}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{3}}, indices({1}, {3})},
             .attrs = {{"dim", Dim(0)}},
             .bad = "index 3 is out of range for dim 0 of size 3"},
            {.in = {{{3, 2}}, indices({3}, {0, 0, 0})},
             .attrs = {{"dim", Dim(0)}},
             .bad = "index has rank 1 but input has 2"},
            {.in = {{{2, 2}}, indices({3, 1}, {0, 0, 0})},
             .attrs = {{"dim", Dim(1)}},
             .bad = "index has size 3 in dim 0 but input has 2"}};
      });
}

void def_take_along_dim(Op& op) {
  op.schema("take_along_dim(input: Tensor, indices: Index, dim: dim? = None) -> Tensor")
      .doc("gather with input and indices broadcast to each other; of the flattened tensor without `dim`.")
      .example(">>> thixo.take_along_dim(thixo.tensor([[3, 1]]), thixo.tensor([[1]]), 1)\ntensor([[1]])")
      .compose([](const Call& c) {
        if (c.none("dim")) return Values{c.in[0].reshape({-1}).gather(0, c.in[1].reshape({-1}))};
        int rank = c.rank(0);
        if (rank != c.rank(1))
          throw c.error(ErrorKind::Shape,
                        "indices have rank " + std::to_string(c.rank(1)) + " but input has " + std::to_string(rank));
        auto d = static_cast<size_t>(c.dim("dim", rank));
        Shape a = c.shape(0), b = c.shape(1);
        a[d] = b[d] = 1;
        Shape x = broadcast_shapes(a, b, "take_along_dim"), i = x;
        x[d] = c.shape(0)[d];
        i[d] = c.shape(1)[d];
        return Values{c.in[0].expand(x).gather(static_cast<int64_t>(d), c.in[1].expand(i))};
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{3, 4}}, indices({1, 2}, {3, 0})}, .attrs = {{"dim", Dim(1)}}},
                                   {.in = {{{3, 4}}, indices({2}, {11, 0})}, .attrs = {{"dim", Attr()}}},
                                   {.in = {{{3, 4}}, indices({2}, {1, 0})},
                                    .attrs = {{"dim", Dim(1)}},
                                    .bad = "indices have rank 1 but input has 2"}};
      });
}

void def_embedding(Op& op) {
  op.schema("embedding(input: Index, weight: Tensor, padding_idx: int? = None) -> Tensor @nn")
      .doc("The rows of weight that input names; the row padding_idx gets no gradient.")
      .example(
          ">>> thixo.nn.functional.embedding(thixo.tensor([1, 0]), thixo.tensor([[1., 2.], [3., 4.]]))\ntensor([[3., "
          "4.],\n        [1., 2.]])")
      .infer([](Infer& c) {
        c.require(c.rank(1) == 2, ErrorKind::Shape, "weight must be a matrix, got shape " + shape_str(c.shape(1)));
        if (!c.none("padding_idx")) {
          Dim p = c.integer("padding_idx"), n = c.shape(1)[0];
          c.require(p >= -n.value() && p < n.value(), ErrorKind::Index,
                    "padding_idx " + p.str() + " is out of range for " + n.str() + " rows");
        }
        Shape s = c.shape(0);
        s.push_back(c.shape(1)[1]);
        c.result(c.dtype(1), s);
      })
      .index_bounds([](const Call& c) { return std::vector<IndexBound>{{0, 0, c.shape(1)[0]}}; })
      .nest([](NestCtx& c) {
        std::vector<Expr> at = axes(c);
        Expr column = at.back();
        at.pop_back();
        c.values = {c.load(1, {place(c, 0, at), column})};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Dim pad = k.none("padding_idx")          ? Dim(-1)
                  : k.integer("padding_idx") < 0 ? k.integer("padding_idx") + k.shape(1)[0]
                                                 : k.integer("padding_idx");
        return Values{Tensor(), embedding_backward(c.g(), c.in(0), k.shape(1)[0], pad)};
      })
      .batch([](const BatchArgs& a) {
        if (a.batch_dim[1] >= 0) return BatchResult{};
        SmallVec<Tensor, 2> in{batch_first(a, 0), a.call.in[1]};
        return call_batched(a, in, a.call.attrs);
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {indices({2, 3}, {0, 3, 3, 1, 2, 0}), {{4, 5}}}, .attrs = {{"padding_idx", Attr()}}},
            {.in = {indices({}, {2}), {{4, 5}}}, .attrs = {{"padding_idx", Dim(-2)}}},
            {.in = {indices({3}, {0, 1, 1}), {{4, 1}}}, .attrs = {{"padding_idx", Dim(1)}}},
            {.in = {indices({0}, {}), {{4, 5}}}, .attrs = {{"padding_idx", Attr()}}},
            {.in = {indices({2}, {0, 4}), {{4, 5}}},
             .attrs = {{"padding_idx", Attr()}},
             .bad = "index 4 is out of range for dim 0 of size 4"},
            {.in = {indices({1}, {0}), {{4}}},
             .attrs = {{"padding_idx", Attr()}},
             .bad = "weight must be a matrix, got shape [4]"}};
      });
}

void def_embedding_backward(Op& op) {
  op.schema("embedding_backward(grad: Tensor, indices: Index, rows: int, padding_idx: int) -> Tensor @private")
      .doc(
          "The gradient of embedding for its weight: rows of grad added where indices say, but for padding_idx (-1: "
          "none).")
      .compose([](const Call& c) {
        Dim width = c.shape(0)[c.shape(0).size() - 1];
        Tensor g = c.in[0].reshape({numel_of(c.shape(1)), width}), i = c.in[1].reshape({-1});
        int64_t pad = c.integer("padding_idx");
        if (pad >= 0) g = where(eq(i, pad).unsqueeze(1), 0, g).to(c.dtype(0));
        Tensor none = zeros({}, {.dtype = c.dtype(0)}).expand({c.integer("rows"), width});
        return Values{none.index_add(0, i, g)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 2}}, indices({3}, {1, 1, 3})}, .attrs = {{"rows", Dim(4)}, {"padding_idx", Dim(-1)}}},
            {.in = {{{2, 2, 3}}, indices({2, 2}, {1, 0, 2, 1})}, .attrs = {{"rows", Dim(3)}, {"padding_idx", Dim(1)}}}};
      });
}

}  // namespace thixo::ops
