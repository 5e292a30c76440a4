// Extremes over dims, and where they are.
#include <limits>

#include "ops/batching.h"
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// g shared by the elements that equal the extreme.
Values shared_gradient(GradCtx& c) {
  const Call& k = c.call();
  IntList dims;
  for (int d : k.dims("dim", k.rank(0))) dims.push_back(d);
  if (dims.empty()) return {c.g() * eq(c.in(0), c.out()).to(c.g().dtype())};
  return {extreme_backward(keep_dims(k, c.g()), eq(c.in(0), keep_dims(k, c.out())), dims)};
}

std::vector<Sample> extreme_samples() {
  std::vector<Sample> s = reduce_samples();
  Sample& none = s.emplace_back();
  none.in = {{{2, 0}}};
  none.attrs = {{"dim", Shape{1}}};
  none.bad = "no elements along the reduced dims";
  return s;
}

/// How many elements of a long tensor make a piece that is looked at alone; 0 for the whole at once.
int64_t piece_of(const Tensor& x) {
  constexpr int64_t kLong = 1 << 16, kMost = 8192, kLeast = 256;
  const Dim n = x.numel();
  if (n.is_symbolic() || n.value() < kLong) return 0;
  const int64_t piece = std::min(n.value() & -n.value(), kMost);  // a power of two that divides n
  return piece < kLeast ? 0 : piece;
}

/// The place in a long row: of each piece first, then of the best piece.
Tensor place_in_pieces(const Tensor& flat, int64_t piece, bool largest) {
  Tensor pieces = flat.view({-1, piece});
  Tensor places = largest ? pieces.argmax(-1, true) : pieces.argmin(-1, true);
  Tensor extremes = pieces.gather(1, places).view({-1});
  Tensor best = largest ? extremes.argmax(0, true) : extremes.argmin(0, true);
  return places.view({-1}).gather(0, best) + best * piece;
}

/// The first place along the dim where x is extreme; the first nan when there is one.
Values place_of(const Call& c, bool largest) {
  bool all = c.none("dim");
  Tensor x = all ? c.in[0].reshape({-1}) : c.in[0];
  auto rank = static_cast<int>(x.dim());
  int d = all ? 0 : c.dim("dim", rank);
  if (rank == 0) return {zeros(Shape{}, {.dtype = DType::I64})};
  Dim n = x.shape()[static_cast<size_t>(d)];
  if (n == 0)
    throw c.error(ErrorKind::Value, "no elements along the reduced dims").need("at least one element for each result");
  Shape single(c.flag("keepdim") ? static_cast<size_t>(c.rank(0)) : 0, Dim(1));
  if (const int64_t piece = all ? piece_of(x) : 0; piece > 0)
    return {place_in_pieces(x, piece, largest).reshape(single)};
  Tensor extreme = largest ? x.amax(d, true) : x.amin(d, true);
  Tensor here = is_float(x.dtype()) ? logical_or(eq(x, extreme), isnan(x)) : eq(x, extreme);
  Tensor first = first_true(here, {d});
  return {all ? first.reshape(single) : c.flag("keepdim") ? first.unsqueeze(d) : first};
}

Values with_places(const Call& c, bool largest) {
  if (c.rank(0) == 0) return {c.in[0], zeros(Shape{}, {.dtype = DType::I64})};
  int d = c.dim("dim", c.rank(0));
  Tensor i = largest ? c.in[0].argmax(d, true) : c.in[0].argmin(d, true), v = c.in[0].gather(d, i);
  if (c.flag("keepdim")) return {v, i};
  return {v.squeeze(d), i.squeeze(d)};
}

std::vector<Sample> place_samples() {
  auto with = [](Attr dim, bool keep) {
    return std::vector<std::pair<std::string, Attr>>{{"dim", dim}, {"keepdim", keep}};
  };
  return {{.in = {{.shape = {3, 4}, .distinct = true}}, .attrs = with(Attr(), false)},
          {.in = {{.shape = {3, 4}, .distinct = true}}, .attrs = with(Dim(0), false)},
          {.in = {{.shape = {3, 4}, .values = {1, 5, 5, 2}}}, .attrs = with(Dim(-1), true)},
          {.in = {{.shape = {3, 4}, .values = {1, 5, 5, 2}}}, .attrs = with(Dim(-1), false)},
          {.in = {{.shape = {4, 4}, .distinct = true}}, .attrs = with(Dim(-1), false)},
          {.in = {{.shape = {2, 3, 4}, .distinct = true}}, .attrs = with(Dim(-1), false)},
          {.in = {{.shape = {1 << 8, 1 << 9}}}, .attrs = with(Attr(), false)},
          {.in = {{{}}}, .attrs = with(Attr(), false)},
          {.in = {{{0}}}, .attrs = with(Dim(0), false), .bad = "no elements along the reduced dims"},
          {.in = {{{2}}}, .attrs = with(Dim(1), false), .bad = "dim 1 is out of range"}};
}

std::vector<Sample> pair_samples() {
  auto with = [](int d, bool keep) {
    return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(d)}, {"keepdim", keep}};
  };
  return {{.in = {{.shape = {3, 4}, .distinct = true}}, .attrs = with(0, false)},
          {.in = {{.shape = {3, 4}, .distinct = true}}, .attrs = with(-1, true)},
          {.in = {{.shape = {2, 3, 4}, .distinct = true}}, .attrs = with(-1, false)},
          {.in = {{{}}}, .attrs = with(0, false)},
          {.in = {{{2, 0}}}, .attrs = with(1, false), .bad = "no elements along the reduced dims"}};
}

}  // namespace

void def_amax(Op& op) {
  op.schema("amax(input: Real, dim: dims? = None, keepdim: bool = false) -> Real")
      .doc("The largest element over `dim`; nan when one is. The gradient is shared by equal ones.")
      .example(">>> thixo.amax(thixo.tensor([[1, 4], [3, 2]]), 1)\ntensor([4, 3])")
      .infer([](Infer& c) {
        require_elements(c);
        c.result(c.dtype(0), reduced_shape(c));
      })
      .nest([](NestCtx& c) {
        reduce_nest(c, c.dtype(0) == DType::Bool ? Combine::Or : Combine::Max, [](Expr v) { return v; });
      })
      .grad(shared_gradient)
      .batch(along("dim"))
      .samples(extreme_samples);
}

void def_extreme_backward(Op& op) {
  op.schema("extreme_backward(grad: Float, here: Bool, dim: dims) -> Float @private")
      .doc("The gradient of amax and amin: grad, with 1 at the reduced dims, shared by the elements that are extreme.")
      .fused_rows()
      .compose([](const Call& c) {
        IntList dims;
        for (int d : c.dims("dim", c.rank(1))) dims.push_back(d);
        Tensor here = c.in[1], g = widened(c.in[0]);
        return Values{(g / here.sum(dims, true).to(g.dtype()) * here).to(c.dtype(0))};  // nan of a row with a nan
      })
      .samples([] {
        auto with = [](int64_t dim) { return std::vector<std::pair<std::string, Attr>>{{"dim", Shape{dim}}}; };
        SampleTensor here{.shape = {3, 4}, .dtype = DType::Bool, .values = {0, 1, 1, 0}}, all = here;
        all.values = {1};
        return std::vector<Sample>{{.in = {{{3, 1}}, here}, .attrs = with(-1)},
                                   {.in = {{{1, 4}}, all}, .attrs = with(0)}};
      });
}

void def_amin(Op& op) {
  op.schema("amin(input: Real, dim: dims? = None, keepdim: bool = false) -> Real")
      .doc("The smallest element over `dim`; nan when one is. The gradient is shared by equal ones.")
      .example(">>> thixo.amin(thixo.tensor([[1, 4], [3, 2]]), 1)\ntensor([1, 2])")
      .infer([](Infer& c) {
        require_elements(c);
        c.result(c.dtype(0), reduced_shape(c));
      })
      .nest([](NestCtx& c) {
        reduce_nest(c, c.dtype(0) == DType::Bool ? Combine::And : Combine::Min, [](Expr v) { return v; });
      })
      .grad(shared_gradient)
      .batch(along("dim"))
      .samples(extreme_samples);
}

void def_first_true(Op& op) {
  op.schema("first_true(input: Bool, dim: dims, keepdim: bool = false) -> Index @private")
      .doc("The first place along `dim`, which is one, that is true; the largest integer where none is.")
      .infer([](Infer& c) { c.result(DType::I64, reduced_shape(c)); })
      .nest([](NestCtx& c) {
        reduce_nest(c, Combine::Min, [&](Expr v) {
          Expr place = c.reduce.empty() ? constant_int(0, DType::I64) : axis(c.reduce[0].axis);
          return select(v, place, constant_int(std::numeric_limits<int64_t>::max(), DType::I64));
        });
      })
      .no_grad()
      .batch(along("dim"))
      .samples([] {
        auto of = [](Shape shape, int dim, bool keep) {
          SampleTensor here{.shape = std::move(shape), .dtype = DType::Bool, .values = {0, 0, 1, 0, 1}};
          return Sample{.in = {here}, .attrs = {{"dim", Shape{dim}}, {"keepdim", keep}}};
        };
        return std::vector<Sample>{of({3, 4}, -1, false),    of({3, 4}, 0, false), of({2, 3, 4}, 1, false),
                                   of({2, 3, 4}, -1, false), of({5}, 0, false),    of({3, 4}, 0, true),
                                   of({}, 0, false)};
      });
}

void def_argmax(Op& op) {
  op.schema("argmax(input: Real, dim: dim? = None, keepdim: bool = false) -> Index")
      .doc(
          "The place of the first largest element along `dim`, or in the flattened tensor; that of the first nan when "
          "there is one.")
      .example(">>> thixo.argmax(thixo.tensor([1, 4, 2]))\ntensor(1)")
      .compose([](const Call& c) { return place_of(c, true); })
      .fused_rows()
      .no_grad()
      .samples(place_samples);
}

void def_argmin(Op& op) {
  op.schema("argmin(input: Real, dim: dim? = None, keepdim: bool = false) -> Index")
      .doc(
          "The place of the first smallest element along `dim`, or in the flattened tensor; that of the first nan when "
          "there is one.")
      .example(">>> thixo.argmin(thixo.tensor([3, 1, 2]))\ntensor(1)")
      .compose([](const Call& c) { return place_of(c, false); })
      .fused_rows()
      .no_grad()
      .samples(place_samples);
}

void def_max(Op& op) {
  op.schema("max(input: Real) -> Real")
      .doc("The largest element.")
      .example(">>> thixo.max(thixo.tensor([1, 4, 2]))\ntensor(4)")
      .compose([](const Call& c) { return Values{c.in[0].amax()}; })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{.shape = {3, 4}, .distinct = true}}}, {.in = {{{}}}}, {.in = {{{0}}}, .bad = "no elements"}};
      });
}

void def_max_dim(Op& op) {
  op.schema("max.dim(input: Real, dim: dim, keepdim: bool = false) -> (values: Real, indices: Index)")
      .doc("The largest elements along `dim` and their places; the first of equal ones.")
      .example(">>> thixo.max(thixo.tensor([[1, 4], [3, 2]]), 1).indices\ntensor([1, 0])")
      .compose([](const Call& c) { return with_places(c, true); })
      .samples(pair_samples);
}

void def_max_other(Op& op) {
  op.schema("max.other(input: Real, other: Real) -> Real")
      .doc("maximum: the larger of both, elementwise.")
      .example(">>> thixo.max(thixo.tensor([1, 5]), thixo.tensor([3, 2]))\ntensor([3, 5])")
      .compose([](const Call& c) { return Values{maximum(c.in[0], c.in[1])}; })
      .samples(
          [] { return std::vector<Sample>{{.in = {{{3}}, {{2, 1}}}}, {.in = {{{3}}, {{2}}}, .bad = "max: sizes"}}; });
}

void def_min(Op& op) {
  op.schema("min(input: Real) -> Real")
      .doc("The smallest element.")
      .example(">>> thixo.min(thixo.tensor([3, 1, 2]))\ntensor(1)")
      .compose([](const Call& c) { return Values{c.in[0].amin()}; })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{.shape = {3, 4}, .distinct = true}}}, {.in = {{{}}}}, {.in = {{{0}}}, .bad = "no elements"}};
      });
}

void def_min_dim(Op& op) {
  op.schema("min.dim(input: Real, dim: dim, keepdim: bool = false) -> (values: Real, indices: Index)")
      .doc("The smallest elements along `dim` and their places; the first of equal ones.")
      .example(">>> thixo.min(thixo.tensor([[1, 4], [3, 2]]), 1).indices\ntensor([0, 1])")
      .compose([](const Call& c) { return with_places(c, false); })
      .samples(pair_samples);
}

void def_min_other(Op& op) {
  op.schema("min.other(input: Real, other: Real) -> Real")
      .doc("minimum: the smaller of both, elementwise.")
      .example(">>> thixo.min(thixo.tensor([1, 5]), thixo.tensor([3, 2]))\ntensor([1, 2])")
      .compose([](const Call& c) { return Values{minimum(c.in[0], c.in[1])}; })
      .samples(
          [] { return std::vector<Sample>{{.in = {{{3}}, {{2, 1}}}}, {.in = {{{3}}, {{2}}}, .bad = "min: sizes"}}; });
}

}  // namespace thixo::ops
