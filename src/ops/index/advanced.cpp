// x[i, :, j] with index tensors: NumPy's and PyTorch's advanced indexing. Integers, slices and masks have become
// views and index tensors before a call arrives here.
#include "ops/batching.h"
#include "ops/index/index.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

struct Layout {
  Shape places;              // the shape that the index tensors broadcast to
  SmallVec<int, 8> indexed;  // dims of the input with an index tensor
  int front = 0;             // where `places` stands in the result: instead of adjacent dims, else first
  Shape result;
};

/// Index tensor of dim d, or an undefined Tensor. `first` is where the list starts among the operands.
const Tensor& index_of(const Call& c, int first, int d) { return c.in[static_cast<size_t>(first + d)]; }

Layout layout_of(const Call& c, int first, int count) {
  Layout l;
  if (count > c.rank(0)) {
    throw c.error(ErrorKind::Index,
                  "too many indices: " + std::to_string(count) + " for a tensor of rank " + std::to_string(c.rank(0)));
  }
  for (int d = 0; d < count; ++d) {
    const Tensor& i = index_of(c, first, d);
    if (!i.defined()) continue;
    if (!accepts(TensorKind::Index, i.dtype())) {
      throw c
          .error(ErrorKind::Index, "an index tensor must be int64 or int32, not " + std::string(dtype_name(i.dtype())))
          .fix("of a mask, use its nonzero()");
    }
    l.places = l.indexed.empty() ? i.shape() : broadcast_shapes(l.places, i.shape(), c.op->name().c_str());
    l.indexed.push_back(d);
  }
  if (l.indexed.empty()) throw c.error(ErrorKind::Value, "needs at least one index tensor");
  bool adjacent = l.indexed.back() - l.indexed.front() + 1 == static_cast<int>(l.indexed.size());
  l.front = adjacent ? l.indexed.front() : 0;
  for (int d = 0, kept = 0; d <= c.rank(0); ++d) {
    if (kept == l.front) {
      l.result.append(l.places.begin(), l.places.end());
      kept = -1;  // done
      if (d == c.rank(0)) break;
    }
    if (d == c.rank(0)) break;
    if (std::find(l.indexed.begin(), l.indexed.end(), d) != l.indexed.end()) continue;
    l.result.push_back(c.shape(0)[static_cast<size_t>(d)]);
    if (kept >= 0) ++kept;
  }
  return l;
}

std::vector<IndexBound> bounds(const Call& c, int first, int count) {
  std::vector<IndexBound> out;
  for (int d = 0; d < count && d < c.rank(0); ++d) {
    if (index_of(c, first, d).defined()) out.push_back({first + d, d, c.shape(0)[static_cast<size_t>(d)], true});
  }
  return out;
}

// The input with its indexed dims in front: places of these dims are rows, which the index tensors number.
struct Rows {
  Tensor table, number;  // the permuted input; row numbers, to be broadcast to Layout::places
  Dim count = 1;
  Shape back;            // the permutation of `table` that undoes it
};

Rows rows_of(const Call& c, int first, const Layout& l) {
  const Tensor& x = c.in[0];
  Shape order;
  for (int d : l.indexed) order.push_back(d);
  for (int d = 0; d < x.dim(); ++d) {
    if (std::find(l.indexed.begin(), l.indexed.end(), d) == l.indexed.end()) order.push_back(d);
  }
  Rows r;
  r.back = Shape(static_cast<size_t>(x.dim()), Dim(0));
  for (size_t d = 0; d < order.size(); ++d) r.back[static_cast<size_t>(order[d].value())] = static_cast<int64_t>(d);
  r.table = x.permute(order);
  for (int d : l.indexed) {
    const Dim n = c.shape(0)[static_cast<size_t>(d)];
    Tensor i = index_of(c, first, d).to(DType::I64);
    i = where(i < 0, i + n.value(), i);
    r.number = r.number.defined() ? r.number * n.value() + i : i;
    r.count *= n;
  }
  return r;
}

/// The result where no kernel is made for the nest: rows of the permuted input, brought back in order.
Values index_by_rows(const Call& c) {
  const Layout l = layout_of(c, 1, static_cast<int>(c.in.size()) - 1);
  const Rows r = rows_of(c, 1, l);
  const Dim columns = r.count == 0 ? Dim(0) : numel_of(c.shape(0)) / r.count;
  Shape shape = l.places;
  for (size_t d = l.indexed.size(); d < r.table.shape().size(); ++d) shape.push_back(r.table.shape()[d]);
  const Tensor row = r.number.expand(l.places).reshape({-1});
  Tensor y = r.table.reshape({r.count, columns}).index_select(0, row).reshape(shape);
  IntList from, to;
  for (size_t e = 0; e < l.places.size(); ++e) {
    from.push_back(static_cast<int64_t>(e));
    to.push_back(l.front + static_cast<int64_t>(e));
  }
  return {l.front == 0 || from.empty() ? y : y.movedim(from, to)};
}

SampleTensor absent() { return {.absent = true}; }

}  // namespace

void def_index(Op& op) {
  op.schema("index(input: Tensor, indices: Tensor[]?) -> Tensor")
      .doc("The elements at index tensors that are broadcast together, one for each leading dim or None: x[i, :, j].")
      .example(">>> thixo.tensor([[1, 2], [3, 4]])[thixo.tensor([0, 1]), thixo.tensor([1, 0])]\ntensor([2, 3])")
      .infer([](Infer& c) { c.result(c.dtype(0), layout_of(c, 1, static_cast<int>(c.in.size()) - 1).result); })
      .index_bounds([](const Call& c) { return bounds(c, 1, static_cast<int>(c.in.size()) - 1); })
      .compose(index_by_rows)
      .nest([](NestCtx& c) {
        int count = static_cast<int>(c.in.size()) - 1;
        Layout l = layout_of(c, 1, count);
        int wide = static_cast<int>(l.places.size());
        std::vector<Expr> at;
        for (int d = 0, kept = 0; d < c.rank(0); ++d) {
          if (std::find(l.indexed.begin(), l.indexed.end(), d) == l.indexed.end()) {
            at.push_back(c.out_axis(kept < l.front ? kept : kept + wide));
            ++kept;
            continue;
          }
          const Shape& s = index_of(c, 1, d).shape();
          std::vector<Expr> where;
          for (size_t e = 0; e < s.size(); ++e) {
            where.push_back(s[e] == 1 ? constant_int(0)
                                      : c.out_axis(l.front + wide - static_cast<int>(s.size()) + static_cast<int>(e)));
          }
          Expr i = place(c, 1 + d, where);
          at.push_back(select(i < 0.0, i + c.dim_size(0, d), i));
        }
        c.values = {c.load(0, at)};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        TensorList list;
        for (size_t i = 1; i < k.in.size(); ++i)
          list.push_back(k.in[i].defined() ? c.in(static_cast<int>(i)) : Tensor());
        Values out(k.in.size());
        out[0] = zeros({}, {.dtype = c.g().dtype()}).expand(k.shape(0)).index_put(list, c.g(), true);
        return out;
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{4, 3}}, indices({2, 2}, {0, -1, 3, 1})}},
            {.in = {{{4, 3, 5}}, indices({2}, {0, 3}), indices({2, 1}, {2, 0})}},
            {.in = {{{4, 3, 5}}, absent(), indices({2}, {0, 2}), indices({2}, {-5, 4})}},
            {.in = {{{4, 3, 5}}, indices({2}, {0, 3}), absent(), indices({2}, {4, 0})}},
            {.in = {{{4}}, indices({}, {-1})}},
            {.in = {{{4}}, indices({0}, {})}},
            {.in = {{{4}}, indices({1}, {4})}, .bad = "index 4 is out of range for dim 0 of size 4"},
            {.in = {{{4}}, indices({1}, {0}), indices({1}, {0})}, .bad = "too many indices: 2 for a tensor of rank 1"},
            {.in = {{{4}}, absent()}, .bad = "needs at least one index tensor"},
            {.in = {{{4}}, {{1}}}, .bad = "an index tensor must be int64 or int32"}};
      });
}

void def_index_put(Op& op) {
  op.schema("index_put(input: Tensor, indices: Tensor[]?, values: Tensor, accumulate: bool = false) -> Tensor @inplace")
      .doc("input with values, broadcast, put or added at the places that index tensors name: x[i, :, j] = values.")
      .example(">>> thixo.zeros(3).index_put([thixo.tensor([0, 2])], thixo.tensor([1., 2.]))\ntensor([1., 0., 2.])")
      .index_bounds([](const Call& c) { return bounds(c, 1, static_cast<int>(c.in.size()) - 2); })
      .compose([](const Call& c) {
        int count = static_cast<int>(c.in.size()) - 2;
        Layout l = layout_of(c, 1, count);
        const Tensor &x = c.in[0], &values = c.in.back();
        if (values.dtype() != x.dtype()) {
          throw c.error(ErrorKind::DType, "values are " + std::string(dtype_name(values.dtype())) + " but input is " +
                                              std::string(dtype_name(x.dtype())));
        }
        if (values.dim() > static_cast<int64_t>(l.result.size()) ||
            !(broadcast_shapes(values.shape(), l.result, "index_put") == l.result)) {
          throw c.error(ErrorKind::Shape,
                        "values of shape " + shape_str(values.shape()) + " do not broadcast to " + shape_str(l.result));
        }
        if (numel_of(l.result) == 0) return Values{x.clone()};
        const Rows r = rows_of(c, 1, l);
        IntList from, to;
        for (size_t e = 0; e < l.places.size(); ++e)
          from.push_back(l.front + static_cast<int64_t>(e)), to.push_back(static_cast<int64_t>(e));
        Tensor spread = values.expand(l.result);
        if (!from.empty()) spread = spread.movedim(from, to);
        Dim m = numel_of(l.places), columns = numel_of(x.shape()) / r.count;
        Tensor y = scatter_rows(r.table.reshape({r.count, columns}), r.number.expand(l.places).reshape({-1}),
                                spread.reshape({m, columns}), c.flag("accumulate"));
        return Values{y.reshape(r.table.shape()).permute(r.back)};
      })
      .samples([] {
        auto with = [](bool add) { return std::vector<std::pair<std::string, Attr>>{{"accumulate", add}}; };
        return std::vector<Sample>{
            {.in = {{{4, 3}}, indices({2}, {0, -1}), {{2, 3}}}, .attrs = with(false)},
            {.in = {{{4, 3}}, indices({3}, {1, 1, 2}), indices({3}, {0, 0, 2}), {{3}}}, .attrs = with(true)},
            {.in = {{{4, 3, 5}}, absent(), indices({2}, {0, 2}), {{}}}, .attrs = with(false)},
            {.in = {{{4, 3, 5}}, indices({2}, {0, 3}), absent(), indices({2}, {4, 0}), {{2, 3}}}, .attrs = with(true)},
            {.in = {{{4}}, indices({1}, {4}), {{1}}},
             .attrs = with(false),
             .bad = "index 4 is out of range for dim 0 of size 4"},
            {.in = {{{4}}, indices({1}, {0}), {.shape = {1}, .dtype = DType::Bool}},
             .attrs = with(false),
             .bad = "values are bool but input is"},
            {.in = {{{4}}, indices({2}, {0, 1}), {{3, 2}}},
             .attrs = with(false),
             .bad = "values of shape [3, 2] do not broadcast to [2]"},
            {.in = {{{4}}, indices({2}, {0, 1}), {{3}}}, .attrs = with(false), .bad = "do not broadcast"}};
      });
}

}  // namespace thixo::ops
