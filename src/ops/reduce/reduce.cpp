#include "ops/reduce/reduce.h"

#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

bool is_reduced(const SmallVec<int, kMaxRank>& dims, int d) {
  return std::find(dims.begin(), dims.end(), d) != dims.end();
}

}  // namespace

Shape reduced_shape(const Call& c) {
  auto dims = c.dims("dim", c.rank(0));
  Shape out;
  for (int d = 0; d < c.rank(0); ++d) {
    if (!is_reduced(dims, d)) {
      out.push_back(c.shape(0)[static_cast<size_t>(d)]);
    } else if (c.flag("keepdim")) {
      out.push_back(1);
    }
  }
  return out;
}

void reduce_nest(NestCtx& c, Combine combine, const std::function<Expr(Expr)>& map) {
  auto dims = c.dims("dim", c.rank(0));
  std::vector<Expr> index;
  int next = 0;
  for (int d = 0; d < c.rank(0); ++d) {
    if (is_reduced(dims, d)) {
      index.push_back(c.reduce_axis(c.shape(0)[static_cast<size_t>(d)]));
      if (c.flag("keepdim")) ++next;
    } else {
      index.push_back(c.out_axis(next++));
    }
  }
  if (!c.reduce.empty()) c.combine = combine;
  c.values = {map(c.load(0, index))};
}

Tensor keep_dims(const Call& c, const Tensor& g) {
  if (c.flag("keepdim")) return g;
  Shape shape = c.shape(0);
  for (int d : c.dims("dim", c.rank(0))) shape[static_cast<size_t>(d)] = 1;
  return g.reshape(shape);
}

Tensor expand_reduced(const Call& c, const Tensor& g) { return keep_dims(c, g).expand(c.shape(0)); }

Dim reduced_count(const Call& c) {
  Dim n = 1;
  for (int d : c.dims("dim", c.rank(0))) n *= c.shape(0)[static_cast<size_t>(d)];
  return n;
}

void require_elements(const Infer& c) {
  bool empty = false;
  for (int d : c.dims("dim", c.rank(0))) empty |= c.shape(0)[static_cast<size_t>(d)] == 0;
  c.require(!empty, ErrorKind::Value, "no elements along the reduced dims", "at least one element for each result");
}

Tensor widened(const Tensor& x) { return x.to(compute_type(x.dtype())); }

std::vector<Sample> reduce_samples() {
  auto with = [](Attr dim, bool keep) {
    return std::vector<std::pair<std::string, Attr>>{{"dim", dim}, {"keepdim", keep}};
  };
  return {{.in = {{{3, 4}}}, .attrs = with(Attr(), false)},
          {.in = {{{3, 4}}}, .attrs = with(Shape{0}, false)},
          {.in = {{{2, 3, 5}}}, .attrs = with(Shape{1, -1}, true)},
          {.in = {{{2, 33}}}, .attrs = with(Shape{-1}, false)},
          {.in = {{{1, 4}}}, .attrs = with(Shape{0}, false)},
          {.in = {{{}}}, .attrs = with(Attr(), true)},
          {.in = {{{}}}, .attrs = with(Shape{-1}, false)},
          {.in = {{{0, 3}}}, .attrs = with(Shape{1}, false)},
          {.in = {{{2, 3}}}, .attrs = with(Shape{2}, false), .bad = "dim 2 is out of range for a tensor of rank 2"},
          {.in = {{{2, 3}}}, .attrs = with(Shape{0, -2}, false), .bad = "dim 0 appears twice"}};
}

}  // namespace thixo::ops
