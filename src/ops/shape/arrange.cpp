// Reorderings and regroupings of dims, all made of permute, view and expand.
#include "ops/shape/shape.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

Values swapped(const Call& c, std::string_view first, std::string_view second) {
  int a = c.dim(first, c.rank(0)), b = c.dim(second, c.rank(0));
  Shape order;
  for (int d = 0; d < c.rank(0); ++d) order.push_back(d == a ? b : d == b ? a : d);
  return {c.in[0].permute(order)};
}

std::vector<Sample> swap_samples(const char* first, const char* second) {
  return {{.in = {{{2, 3, 4}}}, .attrs = {{first, Dim(0)}, {second, Dim(-1)}}},
          {.in = {{{}}}, .attrs = {{first, Dim(0)}, {second, Dim(-1)}}},
          {.in = {{{2, 0}}}, .attrs = {{first, Dim(1)}, {second, Dim(1)}}},
          {.in = {{{2, 3}}},
           .attrs = {{first, Dim(0)}, {second, Dim(2)}},
           .bad = std::string(second) + " 2 is out of range"}};
}

/// Lists of dims of movedim, wrapped; each may be named once.
SmallVec<int, kMaxRank> dim_list(const Call& c, std::string_view name) {
  SmallVec<int, kMaxRank> out;
  int64_t rank = c.rank(0);
  for (Dim v : c.list(name)) {
    int64_t d = v.value() < 0 ? v.value() + rank : v.value();
    if (d < 0 || d >= rank)
      throw c.error(ErrorKind::Index, std::string(name) + " " + v.str() + " is out of range for a tensor of rank " +
                                          std::to_string(rank));
    if (std::find(out.begin(), out.end(), static_cast<int>(d)) != out.end())
      throw c.error(ErrorKind::Value, std::string(name) + " " + v.str() + " appears twice");
    out.push_back(static_cast<int>(d));
  }
  return out;
}

}  // namespace

void def_transpose(Op& op) {
  op.schema("transpose(input: Tensor, dim0: dim, dim1: dim) -> Tensor")
      .doc("A view with two dims exchanged.")
      .example(">>> thixo.zeros(2, 3).transpose(0, 1).shape\nthixo.Size([3, 2])")
      .compose([](const Call& c) { return swapped(c, "dim0", "dim1"); })
      .samples([] { return swap_samples("dim0", "dim1"); });
}

void def_swapaxes(Op& op) {
  op.schema("swapaxes(input: Tensor, axis0: dim, axis1: dim) -> Tensor")
      .doc("transpose under NumPy's name.")
      .example(">>> thixo.zeros(2, 3).swapaxes(0, 1).shape\nthixo.Size([3, 2])")
      .compose([](const Call& c) { return swapped(c, "axis0", "axis1"); })
      .samples([] { return swap_samples("axis0", "axis1"); });
}

void def_t(Op& op) {
  op.schema("t(input: Tensor) -> Tensor")
      .doc("The transposed matrix, a view; tensors of rank 0 and 1 as they are.")
      .example(">>> thixo.zeros(2, 3).t().shape\nthixo.Size([3, 2])")
      .compose([](const Call& c) {
        if (c.rank(0) > 2) throw c.error(ErrorKind::Shape, "takes a matrix").fix("use transpose(dim0, dim1) or .mT");
        return Values{c.rank(0) == 2 ? c.in[0].permute({1, 0}) : c.in[0]};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3}}}}, {.in = {{{3}}}}, {.in = {{{}}}}, {.in = {{{2, 2, 2}}}, .bad = "takes a matrix"}};
      });
}

void def_movedim(Op& op) {
  op.schema("movedim(input: Tensor, source: dims, destination: dims) -> Tensor")
      .doc("A view with the dims `source` brought to the places `destination`; the others keep their order.")
      .example(">>> thixo.zeros(2, 3, 4).movedim(0, -1).shape\nthixo.Size([3, 4, 2])")
      .compose([](const Call& c) {
        auto from = dim_list(c, "source"), to = dim_list(c, "destination");
        if (from.size() != to.size()) throw c.error(ErrorKind::Value, "source and destination differ in length");
        Shape order(static_cast<size_t>(c.rank(0)), Dim(-1));
        for (size_t i = 0; i < from.size(); ++i) order[static_cast<size_t>(to[i])] = from[i];
        size_t next = 0;
        for (int d = 0; d < c.rank(0); ++d) {
          if (std::find(from.begin(), from.end(), d) != from.end()) continue;
          while (order[next] >= 0) ++next;
          order[next] = d;
        }
        return Values{c.in[0].permute(order)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3, 4}}}, .attrs = {{"source", Shape{0}}, {"destination", Shape{-1}}}},
            {.in = {{{2, 3, 4}}}, .attrs = {{"source", Shape{0, 1}}, {"destination", Shape{2, 0}}}},
            {.in = {{{2, 3}}},
             .attrs = {{"source", Shape{0}}, {"destination", Shape{0, 1}}},
             .bad = "differ in length"},
            {.in = {{{2, 3}}},
             .attrs = {{"source", Shape{2}}, {"destination", Shape{0}}},
             .bad = "source 2 is out of range"}};
      });
}

void def_flatten(Op& op) {
  op.schema("flatten(input: Tensor, start_dim: dim = 0, end_dim: dim = -1) -> Tensor")
      .doc("The dims from start_dim to end_dim made one; a view where the memory allows it.")
      .example(">>> thixo.zeros(2, 3, 4).flatten(1).shape\nthixo.Size([2, 12])")
      .compose([](const Call& c) {
        int a = c.dim("start_dim", c.rank(0)), b = c.dim("end_dim", c.rank(0));
        if (a > b)
          throw c.error(ErrorKind::Value,
                        "start_dim " + std::to_string(a) + " stands behind end_dim " + std::to_string(b));
        if (c.rank(0) == 0) return Values{c.in[0].reshape({1})};
        Shape to;
        for (int d = 0; d < c.rank(0); ++d) {
          Dim n = c.shape(0)[static_cast<size_t>(d)];
          if (d > a && d <= b) {
            to.back() *= n;
          } else {
            to.push_back(n);
          }
        }
        return Values{c.in[0].reshape(to)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3, 4}}}, .attrs = {{"start_dim", Dim(1)}, {"end_dim", Dim(-1)}}},
            {.in = {{{2, 3, 4}}}, .attrs = {{"start_dim", Dim(0)}, {"end_dim", Dim(1)}}},
            {.in = {{{}}}, .attrs = {{"start_dim", Dim(0)}, {"end_dim", Dim(-1)}}},
            {.in = {{{2, 0}}}, .attrs = {{"start_dim", Dim(0)}, {"end_dim", Dim(-1)}}},
            {.in = {{{2, 3}}}, .attrs = {{"start_dim", Dim(1)}, {"end_dim", Dim(0)}}, .bad = "stands behind end_dim"}};
      });
}

void def_unflatten(Op& op) {
  op.schema("unflatten(input: Tensor, dim: dim, sizes: size) -> Tensor")
      .doc("One dim split into several; one size may be -1.")
      .example(">>> thixo.zeros(2, 12).unflatten(1, (3, -1)).shape\nthixo.Size([2, 3, 4])")
      .compose([](const Call& c) {
        int d = c.dim("dim", c.rank(0));
        if (c.rank(0) == 0) throw c.error(ErrorKind::Shape, "a tensor without dims has none to split");
        Shape to, parts = resolve_shape(c, c.list("sizes"), c.shape(0)[static_cast<size_t>(d)]);
        for (int k = 0; k < c.rank(0); ++k) {
          if (k == d) {
            to.append(parts.begin(), parts.end());
          } else {
            to.push_back(c.shape(0)[static_cast<size_t>(k)]);
          }
        }
        return Values{c.in[0].reshape(to)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 12}}}, .attrs = {{"dim", Dim(-1)}, {"sizes", Shape{3, -1}}}},
            {.in = {{{6, 2}}}, .attrs = {{"dim", Dim(0)}, {"sizes", Shape{2, 3}}}},
            {.in = {{{}}},
             .attrs = {{"dim", Dim(0)}, {"sizes", Shape{1}}},
             .bad = "a tensor without dims has none to split"},
            {.in = {{{6}}}, .attrs = {{"dim", Dim(0)}, {"sizes", Shape{4, -1}}}, .bad = "does not fit 6 elements"}};
      });
}

void def_expand_as(Op& op) {
  op.schema("expand_as(input: Tensor, other: Tensor) -> Tensor")
      .doc("expand to the shape of other.")
      .example(">>> thixo.ones(1, 2).expand_as(thixo.zeros(3, 2)).shape\nthixo.Size([3, 2])")
      .compose([](const Call& c) { return Values{c.in[0].expand(c.shape(1))}; })
      .samples([] {
        return std::vector<Sample>{{.in = {{{1, 2}}, {{3, 2}}}},
                                   {.in = {{{2}}, {{3}}}, .bad = "cannot expand dim 0 of size 2 to 3"}};
      });
}

void def_view_as(Op& op) {
  op.schema("view_as(input: Tensor, other: Tensor) -> Tensor")
      .doc("view under the shape of other.")
      .example(">>> thixo.arange(4).view_as(thixo.zeros(2, 2)).shape\nthixo.Size([2, 2])")
      .compose([](const Call& c) { return Values{c.in[0].view(c.shape(1))}; })
      .samples([] {
        return std::vector<Sample>{{.in = {{{4}}, {{2, 2}}}}, {.in = {{{4}}, {{3}}}, .bad = "does not fit 4 elements"}};
      });
}

void def_reshape_as(Op& op) {
  op.schema("reshape_as(input: Tensor, other: Tensor) -> Tensor")
      .doc("reshape to the shape of other.")
      .example(">>> thixo.arange(4).reshape_as(thixo.zeros(2, 2)).shape\nthixo.Size([2, 2])")
      .compose([](const Call& c) { return Values{c.in[0].reshape(c.shape(1))}; })
      .samples([] {
        return std::vector<Sample>{{.in = {{{4}}, {{2, 2}}}}, {.in = {{{4}}, {{3}}}, .bad = "does not fit 4 elements"}};
      });
}

}  // namespace thixo::ops
