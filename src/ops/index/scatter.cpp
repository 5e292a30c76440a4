// Writing elements to computed places. All of it is scatter_rows or scatter_along, whose duplicates have a fixed order.
#include "ir/dispatch.h"
#include "ops/batching.h"
#include "ops/index/index.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

Values scatter_elements(const Call& c, const Tensor& src, bool accumulate) {
  int rank = c.rank(0);
  if (std::max(rank, 1) != std::max(c.rank(1), 1) ||
      std::max(rank, 1) != std::max<int>(static_cast<int>(src.dim()), 1)) {
    throw c.error(ErrorKind::Shape, "input, index and src must have equal ranks");
  }
  int d = indexed_dim(c, rank);
  Tensor x = rank == 0 ? c.in[0].reshape({1}) : c.in[0];
  Tensor index = c.rank(1) == 0 ? c.in[1].reshape({1}) : c.in[1], from = src.dim() == 0 ? src.reshape({1}) : src;
  if (index.numel() == 0) return {c.in[0].clone()};
  for (int e = 0; e < static_cast<int>(x.dim()); ++e) {
    Dim n = index.size(e);
    if (n > from.size(e).value() || (e != d && n > x.size(e).value())) {
      throw c.error(ErrorKind::Shape,
                    "index has size " + n.str() + " in dim " + std::to_string(e) + ", more than src or input");
    }
    if (!(n == from.size(e))) from = from.narrow(e, 0, n);
  }
  Tensor y = scatter_along(x, d, index, from.to(x.dtype()), accumulate);
  return {rank == 0 ? y.reshape({}) : y};
}

std::vector<IndexBound> along_dim_bounds(const Call& c) {
  int d = indexed_dim(c, c.rank(0));
  return {{1, d, c.rank(0) == 0 ? Dim(1) : c.shape(0)[static_cast<size_t>(d)]}};
}

std::vector<Sample> scatter_samples() {
  return {{.in = {{{3, 4}}, indices({2, 4}, {0, 2, 1, 0, 2, 2, 0, 1}), {{2, 4}}}, .attrs = {{"dim", Dim(0)}}},
          {.in = {{{3, 4}}, indices({3, 2}, {3, 0, 3, 1, 0, 2}), {{3, 5}}}, .attrs = {{"dim", Dim(-1)}}},
          {.in = {{{3, 3, 4}}, indices({2, 2, 3}, {2, 0, 1}), {{2, 3, 4}}}, .attrs = {{"dim", Dim(0)}}},
          {.in = {{{}}, indices({}, {0}), {{}}}, .attrs = {{"dim", Dim(0)}}},
          {.in = {{{3}}, indices({0}, {}), {{0}}}, .attrs = {{"dim", Dim(0)}}},
          {.in = {{{3}}, indices({1}, {3}), {{1}}},
           .attrs = {{"dim", Dim(0)}},
           .bad = "index 3 is out of range for dim 0 of size 3"},
          {.in = {{{3}}, indices({2}, {0, 1}), {{1}}},
           .attrs = {{"dim", Dim(0)}},
           .bad = "index has size 2 in dim 0, more than src or input"},
          {.in = {{{3, 2}}, indices({2}, {0, 1}), {{2}}},
           .attrs = {{"dim", Dim(0)}},
           .bad = "input, index and src must have equal ranks"}};
}

std::vector<IndexBound> dim_bounds(const Call& c) {
  const int d = c.dim("dim", c.rank(0));
  return {{1, d, c.shape(0)[static_cast<size_t>(d)]}};
}

void along_infer(Infer& c, bool taken) {
  const int d = c.dim("dim", c.rank(0));
  bool fits =
      c.rank(0) > 0 && c.rank(1) == c.rank(0) && (taken || (c.shape(2) == c.shape(1) && c.dtype(0) == c.dtype(2)));
  for (int e = 0; fits && e < c.rank(0); ++e) {
    fits = e == d || c.shape(1)[static_cast<size_t>(e)] <= c.shape(0)[static_cast<size_t>(e)];
  }
  c.require(fits, ErrorKind::Internal, "operands do not fit");
  c.result(c.dtype(0), c.shape(0));
  if (taken) c.result(c.dtype(0), c.shape(1));
}

}  // namespace

void def_scatter_along(Op& op) {
  op.schema("scatter_along(input: Tensor, dim: dim, index: Index, src: Tensor, accumulate: bool) -> Tensor @private")
      .doc(
          "input with src, of the index's shape, added at index along `dim`, or put there (the last one wins), in the "
          "order of src. The index may be smaller than input.")
      .infer([](Infer& c) { along_infer(c, false); })
      .index_bounds(dim_bounds)
      .nest([](NestCtx& c) {
        // The meaning; backends walk over the index instead.
        const auto d = static_cast<size_t>(c.dim("dim", c.rank(0)));
        std::vector<Expr> own, at;
        Expr m = c.reduce_axis(c.shape(1)[d]), met = eq(m, m);
        for (size_t e = 0; e < c.shape(0).size(); ++e) {
          own.push_back(c.out_axis(static_cast<int>(e)));
          at.push_back(e == d ? m : own[e]);
          if (e != d) met = met & (own[e] < c.dim_size(1, static_cast<int>(e)));
        }
        Expr to = cast(c.load_if(met, 1, at, constant_int(-1, c.dtype(1))), DType::I64);
        Expr hit = eq(to, own[d]), before = c.load(0, own);
        if (c.flag("accumulate")) {
          c.combine = c.dtype(0) == DType::Bool ? Combine::Or : Combine::Sum;
          c.values = {c.load_if(hit, 2, at, constant(0, compute_type(c.dtype(2))))};
          c.finish = [before](Expr added) { return before.dtype() == DType::Bool ? before | added : before + added; };
        } else {
          c.combine = Combine::Max;
          c.values = {select(hit, m, constant_int(-1))};
          c.finish = [&c, before, at, d](Expr last) {
            std::vector<Expr> there = at;
            there[d] = last;
            return c.load_if(~(last < 0.0), 2, there, before);
          };
        }
      })
      .kernel("scatter_along")
      .grad([](GradCtx& c) {
        const int64_t dim = c.call().dim("dim", c.call().rank(0));
        Tensor g = c.g(), index = c.in(1);
        if (c.call().flag("accumulate")) return Values{g, Tensor(), c.needs(2) ? g.gather(dim, index) : Tensor()};
        if (c.needs(2)) {
          auto [kept, taken] = take_along(g, dim, index);
          return Values{kept, Tensor(), taken};
        }
        Tensor none = zeros({}, {.dtype = g.dtype()}).expand(index.shape());
        return Values{scatter_along(g, dim, index, none, false), Tensor(), Tensor()};
      })
      .batch(along("dim"))
      .samples([] {
        auto with = [](int dim, bool add) {
          return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(dim)}, {"accumulate", add}};
        };
        std::vector<Sample> out;
        for (bool add : {true, false}) {
          out.push_back({.in = {{{3, 4}}, indices({5, 3}, {0, 2, 1, 0, 2, 2, 0, 1}), {{5, 3}}}, .attrs = with(0, add)});
          out.push_back({.in = {{{3, 4}}, indices({2, 5}, {3, 0, 3, 1, 0, 2}), {{2, 5}}}, .attrs = with(1, add)});
          out.push_back({.in = {{{2, 3, 2}}, indices({2, 4, 2}, {2, 0, 2, 1, 2}), {{2, 4, 2}}}, .attrs = with(1, add)});
          out.push_back({.in = {{{3}}, indices({0}, {}), {{0}}}, .attrs = with(0, add)});
        }
        return out;
      });
}

void def_take_along(Op& op) {
  op.schema("take_along(input: Tensor, dim: dim, index: Index) -> (kept: Tensor, taken: Tensor) @private")
      .doc(
          "What a scatter that puts hands back: input with zeros at index along `dim`, and what stood there, for the "
          "last of equal places; zero for the others.")
      .infer([](Infer& c) { along_infer(c, true); })
      .index_bounds(dim_bounds)
      .compose([](const Call& c) {
        const int64_t dim = c.dim("dim", c.rank(0));
        const Tensor &x = c.in[0], &index = c.in[1];
        Shape along(c.shape(0).size(), Dim(1));
        along[static_cast<size_t>(dim)] = index.size(dim);
        Tensor order = iota(index.size(dim)).view(along).expand(index.shape());
        Tensor none = zeros({}, {.dtype = x.dtype()}), first = zeros({}, {.dtype = DType::I64}).expand(x.shape());
        Tensor last = scatter_along(first, dim, index, order, false).gather(dim, index);
        return Values{scatter_along(x, dim, index, none.expand(index.shape()), false),
                      where(eq(last, order), x.gather(dim, index), none)};
      })
      .kernel("take_along")
      .grad([](GradCtx& c) {
        const int64_t dim = c.call().dim("dim", c.call().rank(0));
        return Values{scatter_along(c.g(0), dim, c.in(1), c.g(1), false), Tensor()};
      })
      .batch(along("dim"))
      .samples([] {
        auto with = [](int dim) { return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(dim)}}; };
        return std::vector<Sample>{{.in = {{{3, 4}}, indices({5, 3}, {0, 2, 1, 0, 2, 2, 0, 1})}, .attrs = with(0)},
                                   {.in = {{{3, 4}}, indices({3, 5}, {3, 0, 3, 1, 0, 2})}, .attrs = with(1)},
                                   {.in = {{{3}}, indices({0}, {})}, .attrs = with(0)}};
      });
}

void def_scatter_rows(Op& op) {
  op.schema("scatter_rows(input: Tensor, index: Index, src: Tensor, accumulate: bool) -> Tensor @private")
      .doc(
          "input [R, K] with row m of src [M, K] added to row index[m], or put in its place (the last one wins), in "
          "the order of m.")
      .infer([](Infer& c) {
        c.require(c.rank(0) == 2 && c.rank(1) == 1 && c.rank(2) == 2 && c.shape(1)[0] == c.shape(2)[0] &&
                      c.shape(0)[1] == c.shape(2)[1] && c.dtype(0) == c.dtype(2),
                  ErrorKind::Internal, "operands do not fit");
        c.result(c.dtype(0), c.shape(0));
      })
      .index_bounds([](const Call& c) { return std::vector<IndexBound>{{1, 0, c.shape(0)[0]}}; })
      .nest([](NestCtx& c) {
        // The meaning; backends walk over the index instead.
        Expr row = c.out_axis(0), column = c.out_axis(1), m = c.reduce_axis(c.shape(1)[0]);
        Expr hit = eq(place(c, 1, {m}), row), before = c.load(0, {row, column});
        if (c.flag("accumulate")) {
          c.combine = c.dtype(0) == DType::Bool ? Combine::Or : Combine::Sum;
          c.values = {c.load_if(hit, 2, {m, column}, constant(0, compute_type(c.dtype(2))))};
          c.finish = [before](Expr added) { return before.dtype() == DType::Bool ? before | added : before + added; };
        } else {
          c.combine = Combine::Max;
          c.values = {select(hit, m, constant_int(-1))};
          c.finish = [&c, before, column](Expr last) { return c.load_if(~(last < 0.0), 2, {last, column}, before); };
        }
      })
      .kernel("scatter_rows")
      .grad([](GradCtx& c) {
        Tensor g = c.g(), kept = g, index = c.in(1);
        if (!c.call().flag("accumulate") && c.needs(0)) {
          kept = scatter_rows(g, index, zeros(c.call().shape(2), {.dtype = g.dtype()}), false);
        }
        if (!c.needs(2)) return Values{kept, Tensor(), Tensor()};
        Tensor given = g.index_select(0, index);
        if (!c.call().flag("accumulate")) {  // of rows put in one place only the last is seen
          Tensor order = iota(c.call().shape(1)[0]).unsqueeze(1),
                 none = zeros({c.call().shape(0)[0], 1}, {.dtype = DType::I64});
          Tensor last = scatter_rows(none, index, order, false).index_select(0, index);
          given = where(eq(last, order), given, 0);
        }
        return Values{kept, Tensor(), given};
      })
      .batch([](const BatchArgs& a) {
        // One table of B * R rows.
        Tensor x = batch_expanded(a, 0), i = batch_expanded(a, 1), src = batch_expanded(a, 2);
        Dim rows = x.shape()[1], columns = x.shape()[2];
        Tensor offset = (iota(a.batch_size) * rows.value()).unsqueeze(1);
        Tensor y = scatter_rows(x.reshape({-1, columns}), (i.to(DType::I64) + offset).reshape({-1}),
                                src.reshape({-1, columns}), a.call.flag("accumulate"));
        return BatchResult{{y.reshape(x.shape())}, {0}};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{4, 3}}, indices({5}, {2, 0, 2, 2, 3}), {{5, 3}}}, .attrs = {{"accumulate", true}}},
            {.in = {{{4, 3}}, indices({5}, {2, 0, 2, 2, 3}), {{5, 3}}}, .attrs = {{"accumulate", false}}},
            {.in = {{{4, 20}}, indices({3}, {1, 1, 0}), {{3, 20}}}, .attrs = {{"accumulate", true}}},
            {.in = {{{4, 1}}, indices({0}, {}), {{0, 1}}}, .attrs = {{"accumulate", true}}}};
      });
}

void def_scatter_add(Op& op) {
  op.schema("scatter_add(input: Tensor, dim: dim, index: Index, src: Tensor) -> Tensor @inplace")
      .doc(
          "input with src[i, j] added at [index[i, j], j] for dim 0, and so for the others; equal places add up in "
          "order.")
      .example(
          ">>> thixo.zeros(3).scatter_add(0, thixo.tensor([0, 0, 2]), thixo.tensor([1., 2., 3.]))\ntensor([3., 0., "
          "3.])")
      .index_bounds(along_dim_bounds)
      .compose([](const Call& c) { return scatter_elements(c, c.in[2], true); })
      .samples(scatter_samples);
}

void def_scatter(Op& op) {
  op.schema("scatter(input: Tensor, dim: dim, index: Index, src: Tensor) -> Tensor @inplace")
      .doc(
          "input with src[i, j] put at [index[i, j], j] for dim 0, and so for the others; of equal places the last "
          "wins.")
      .example(">>> thixo.zeros(3).scatter(0, thixo.tensor([2]), thixo.tensor([5.]))\ntensor([0., 0., 5.])")
      .index_bounds(along_dim_bounds)
      .compose([](const Call& c) {
        bool number = c.rank(2) == 0 && c.rank(1) > 0;
        return scatter_elements(c, number ? c.in[2].expand(c.shape(1)) : c.in[2], false);
      })
      .samples(scatter_samples);
}

void def_index_add(Op& op) {
  op.schema("index_add(input: Tensor, dim: dim, index: Index, source: Tensor, *, alpha: scalar = 1) -> Tensor @inplace")
      .doc("input with alpha times the slices of source along `dim` added where the 1-d index says, in order.")
      .example(">>> thixo.zeros(3).index_add(0, thixo.tensor([1, 1]), thixo.tensor([2., 3.]))\ntensor([0., 5., 0.])")
      .index_bounds(along_dim_bounds)
      .compose([](const Call& c) {
        int rank = c.rank(0), d = indexed_dim(c, rank);
        Tensor x = rank == 0 ? c.in[0].reshape({1}) : c.in[0], src = c.rank(2) == 0 ? c.in[2].reshape({1}) : c.in[2];
        Shape want = x.shape();
        want[static_cast<size_t>(d)] = numel_of(c.shape(1));
        if (c.rank(1) > 1)
          throw c.error(ErrorKind::Shape, "index must have one dim, got shape " + shape_str(c.shape(1)));
        if (!(src.shape() == want))
          throw c.error(ErrorKind::Shape,
                        "source has shape " + shape_str(c.shape(2)) + " but input and index need " + shape_str(want));
        if (c.dtype(0) != c.dtype(2))
          throw c.error(ErrorKind::DType, "source is " + std::string(dtype_name(c.dtype(2))) + " but input is " +
                                              std::string(dtype_name(c.dtype(0))));
        if (!(c.scalar("alpha") == Scalar(1))) src = (src * c.scalar("alpha")).to(c.dtype(0));
        if (x.numel() == 0 || src.numel() == 0) return Values{c.in[0].clone()};
        if (d > 0) {
          Shape along(x.shape().size(), Dim(1));
          along[static_cast<size_t>(d)] = numel_of(c.shape(1));
          return Values{scatter_along(x, d, c.in[1].reshape(along).expand(src.shape()), src, true)};
        }
        Tensor y = scatter_rows(x.reshape({x.size(0), -1}), c.in[1].reshape({-1}),
                                src.reshape({numel_of(c.shape(1)), -1}), true);
        return Values{y.reshape(c.shape(0))};
      })
      .samples([] {
        auto with = [](int d, Scalar alpha) {
          return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(d)}, {"alpha", alpha}};
        };
        return std::vector<Sample>{{.in = {{{4, 3}}, indices({3}, {1, 1, 3}), {{3, 3}}}, .attrs = with(0, 1)},
                                   {.in = {{{2, 4}}, indices({3}, {1, 1, 0}), {{2, 3}}}, .attrs = with(-1, 2)},
                                   {.in = {{{4}}, indices({0}, {}), {{0}}}, .attrs = with(0, 1)},
                                   {.in = {{{3}}, indices({1}, {0}), {.shape = {1}, .dtype = DType::Bool}},
                                    .attrs = with(0, 1),
                                    .bad = "source is bool but input is"},
                                   {.in = {{{3}}, indices({1}, {3}), {{1}}},
                                    .attrs = with(0, 1),
                                    .bad = "index 3 is out of range for dim 0 of size 3"},
                                   {.in = {{{3}}, indices({2}, {0, 1}), {{3}}},
                                    .attrs = with(0, 1),
                                    .bad = "source has shape [3] but input and index need [2]"}};
      });
}

}  // namespace thixo::ops
