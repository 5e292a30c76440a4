// Normalisation of rows, with learnable scale and shift. Statistics are kept in the compute type for the gradient.
#include "ir/dispatch.h"
#include "ops/batching.h"
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// The last dims, as many as normalized_shape has.
IntList row_dims(const Call& c, const Tensor& x) {
  const Shape& rows = c.list("normalized_shape");
  IntList dims;
  auto rank = static_cast<int64_t>(x.dim()), n = static_cast<int64_t>(rows.size());
  for (int64_t d = rank - n; d < rank; ++d) dims.push_back(d);
  return dims;
}
IntList leading_dims(const Call& c, const Tensor& x) {
  IntList dims;
  for (int64_t d = 0; d < x.dim() - static_cast<int64_t>(c.list("normalized_shape").size()); ++d) dims.push_back(d);
  return dims;
}

void check_rows(const Call& c) {
  const Shape &rows = c.list("normalized_shape"), &shape = c.shape(0);
  bool fits = !rows.empty() && rows.size() <= shape.size();
  for (size_t d = 0; fits && d < rows.size(); ++d) fits = shape[shape.size() - rows.size() + d] == rows[d];
  if (!fits) {
    throw c.error(ErrorKind::Shape,
                  "the last sizes of " + shape_str(shape) + " must be normalized_shape " + shape_str(rows));
  }
  for (size_t k = 1; k < c.in.size(); ++k) {
    if (c.in[k].defined() && !(c.in[k].shape() == rows)) {
      throw c.error(ErrorKind::Shape, c.op->schema.operands[k].name + " has shape " + shape_str(c.in[k].shape()) +
                                          " but normalized_shape is " + shape_str(rows));
    }
  }
}

/// Whether the gradient being computed will itself be differentiated: then saved statistics, which count as
/// constants, must be computed again from the input.
bool differentiated_again() { return dispatch_state().grad_enabled; }

Tensor scaled(const Tensor& x, const Tensor& weight) { return weight.defined() ? x * widened(weight) : x; }
Tensor summed(const Tensor& x, const IntList& dims) { return dims.empty() ? x : x.sum(dims); }

/// The gradient for the shift: the sum of g over all rows.
Tensor shift_gradient(const Call& k, const Tensor& g) {
  const IntList dims = leading_dims(k, g);
  return (dims.empty() ? g : sum(g, dims, false, {.dtype = compute_type(g.dtype())})).to(k.dtype(2));
}

constexpr int64_t kTogether = 8;  // rows that norm_scale_sums adds up in registers: more of them are too many streams

/// The gradient for the scale: the sum of g * (x - mean) * rstd over all rows. `mean` may be undefined.
Tensor scale_gradient(const Call& k, const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd) {
  const Dim rows = rstd.numel(), width = numel_of(k.list("normalized_shape"));
  if (differentiated_again() || rows.is_symbolic() || rows < kTogether || width == 0) {
    Tensor away = mean.defined() ? widened(x) - mean : widened(x);
    return summed(widened(g) * (away * rstd), leading_dims(k, x)).to(k.dtype(1));
  }
  const Tensor all[] = {g.reshape({rows, width}), x.reshape({rows, width}),
                        mean.defined() ? mean.reshape({rows}) : mean, rstd.reshape({rows})};
  auto sums = [&](Dim first, Dim count, Dim together) {
    Tensor part[4];
    for (size_t i = 0; i < 4; ++i) {
      if (all[i].defined()) part[i] = all[i].narrow(0, first, count).unflatten(0, {-1, together});
    }
    return norm_scale_sums(part[0], part[1], part[2], part[3]).sum(0);
  };
  const Dim rest = rows % kTogether;
  Tensor total = sums(0, rows - rest, kTogether);
  if (rest != 0) total = total + sums(rows - rest, rest, rest);
  return total.reshape(k.list("normalized_shape")).to(k.dtype(1));
}

// Statistics as the forward saves them.
SampleTensor mean_of(Shape s) { return {.shape = std::move(s), .wide = true}; }
SampleTensor rstd_of(Shape s) { return {.shape = std::move(s), .low = 0.5, .high = 2, .wide = true}; }

std::vector<std::pair<std::string, Attr>> rows_of(Shape s) { return {{"normalized_shape", std::move(s)}}; }

}  // namespace

void def_layer_norm(Op& op) {
  op.schema(
        "layer_norm(input: Float, normalized_shape: size, weight: Float?, bias: Float?, eps: float = 1e-5) -> (out: "
        "Float, _mean: Float, _rstd: Float) @nn")
      .doc(
          "(x - mean) / sqrt(var + eps) * weight + bias, with mean and (biased) variance over the last dims, those of "
          "normalized_shape.")
      .source("Ba et al. 2016, https://arxiv.org/abs/1607.06450")
      .example(">>> thixo.nn.functional.layer_norm(thixo.tensor([[1., 3.]]), (2,))\ntensor([[-1.0000,  1.0000]])")
      .fused_rows()
      .compose([](const Call& c) {
        check_rows(c);
        Tensor x = widened(c.in[0]);
        IntList dims = row_dims(c, x);
        Tensor mean = x.mean(dims, true), away = x - mean;
        Tensor rstd = rsqrt(square(away).mean(dims, true) + c.number("eps"));
        Tensor y = scaled(away * rstd, c.in[1]);
        if (c.has(2)) y = y + widened(c.in[2]);
        return Values{y.to(c.dtype(0)), mean, rstd};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        const Shape& rows = k.list("normalized_shape");
        Tensor x = c.in(0), weight = k.has(1) ? c.in(1) : Tensor(), mean, rstd;
        if (differentiated_again()) {
          IntList dims = row_dims(k, x);
          Tensor wide = widened(x);
          mean = wide.mean(dims, true);
          rstd = rsqrt(square(wide - mean).mean(dims, true) + k.number("eps"));
        } else {
          mean = c.out(1);
          rstd = c.out(2);
        }
        Values out(k.in.size());
        if (c.needs(0)) out[0] = layer_norm_backward(c.g(), x, mean, rstd, weight, rows);
        if (k.has(1) && c.needs(1)) out[1] = scale_gradient(k, c.g(), x, mean, rstd);
        if (k.has(2) && c.needs(2)) out[2] = shift_gradient(k, c.g());
        return out;
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{3, 8}}, {{8}}, {{8}}}, .attrs = rows_of({8})},
                                   {.in = {{{2, 3, 4}}, {{3, 4}}, {.absent = true}}, .attrs = rows_of({3, 4})},
                                   {.in = {{{2, 40}}, {.absent = true}, {.absent = true}},
                                    .attrs = {{"normalized_shape", Shape{40}}, {"eps", 0.1}}},
                                   {.in = {{{0, 4}}, {{4}}, {{4}}}, .attrs = rows_of({4})},
                                   {.in = {{{3, 8}}, {{8}}, {{8}}},
                                    .attrs = rows_of({4}),
                                    .bad = "the last sizes of [3, 8] must be normalized_shape [4]"},
                                   {.in = {{{3, 8}}, {{4}}, {.absent = true}},
                                    .attrs = rows_of({8}),
                                    .bad = "weight has shape [4] but normalized_shape is [8]"}};
      });
}

void def_layer_norm_backward(Op& op) {
  op.schema(
        "layer_norm_backward(grad: Float, input: Float, mean: Float, rstd: Float, weight: Float?, normalized_shape: "
        "size) -> Float @private")
      .doc(
          "The gradient of layer_norm for its input: rstd * (gw - mean(gw) - xhat * mean(gw * xhat)) with gw = g * "
          "weight.")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[1]);
        IntList dims = row_dims(c, x);
        Tensor xhat = (x - c.in[2]) * c.in[3], g = scaled(widened(c.in[0]), c.in[4]);
        Tensor away = g - g.mean(dims, true) - xhat * (g * xhat).mean(dims, true);
        return Values{(away * c.in[3]).to(c.dtype(1))};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 8}}, {{3, 8}}, mean_of({3, 1}), rstd_of({3, 1}), {{8}}}, .attrs = rows_of({8})},
            {.in = {{{2, 3, 4}}, {{2, 3, 4}}, mean_of({2, 1, 1}), rstd_of({2, 1, 1}), {.absent = true}},
             .attrs = rows_of({3, 4})}};
      });
}

void def_norm_scale_sums(Op& op) {
  op.schema("norm_scale_sums(grad: Float, input: Float, mean: Float?, rstd: Float) -> Float @private")
      .doc("The sum of grad * (input - mean) * rstd over the rows k of [P, K, C]; mean and rstd are [P, K].")
      .infer([](Infer& c) { c.result(compute_type(c.dtype(1)), {c.shape(1)[0], c.shape(1)[2]}); })
      .nest([](NestCtx& c) {
        const DType t = c.out[0].dtype;
        Expr p = c.out_axis(0), column = c.out_axis(1), k = c.reduce_axis(c.shape(1)[1]);
        Expr away = cast(c.load(1, {p, k, column}), t);
        if (c.has(2)) away = away - cast(c.load(2, {p, k}), t);
        c.combine = Combine::Sum;
        c.values = {cast(c.load(0, {p, k, column}), t) * (away * cast(c.load(3, {p, k}), t))};
      })
      .batch([](const BatchArgs& a) {
        SmallVec<Tensor, 4> in;
        for (size_t k = 0; k < 4; ++k) {
          const auto operand = static_cast<int>(k);
          in.push_back(a.call.has(operand) ? batch_expanded(a, operand).flatten(0, 1) : Tensor());
        }
        return BatchResult{{norm_scale_sums(in[0], in[1], in[2], in[3]).unflatten(0, {a.batch_size, -1})}, {0}};
      })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{{.in = {{{2, 3, 20}}, {{2, 3, 20}}, mean_of({2, 3}), rstd_of({2, 3})}},
                                   {.in = {{{2, 3, 20}}, {{2, 3, 20}}, {.absent = true}, rstd_of({2, 3})}}};
      });
}

void def_rms_norm(Op& op) {
  op.schema(
        "rms_norm(input: Float, normalized_shape: size, weight: Float?, eps: float? = None) -> (out: Float, _rstd: "
        "Float) @nn")
      .doc(
          "x / sqrt(mean(x * x) + eps) * weight over the last dims, those of normalized_shape; eps is the dtype's "
          "epsilon unless given.")
      .source("Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467")
      .example(">>> thixo.nn.functional.rms_norm(thixo.tensor([[3., 4.]]), (2,))\ntensor([[0.8485, 1.1314]])")
      .fused_rows()
      .compose([](const Call& c) {
        check_rows(c);
        Tensor x = widened(c.in[0]);
        double eps = !c.none("eps") ? c.number("eps") : x.dtype() == DType::F64 ? 0x1p-52 : 0x1p-23;
        Tensor rstd = rsqrt(square(x).mean(row_dims(c, x), true) + eps);
        return Values{scaled(x * rstd, c.in[1]).to(c.dtype(0)), rstd};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Tensor x = c.in(0), weight = k.has(1) ? c.in(1) : Tensor(), rstd;
        if (differentiated_again()) {
          Tensor wide = widened(x);
          double eps = !k.none("eps") ? k.number("eps") : wide.dtype() == DType::F64 ? 0x1p-52 : 0x1p-23;
          rstd = rsqrt(square(wide).mean(row_dims(k, x), true) + eps);
        } else {
          rstd = c.out(1);
        }
        Values out(k.in.size());
        if (c.needs(0)) out[0] = rms_norm_backward(c.g(), x, rstd, weight, k.list("normalized_shape"));
        if (k.has(1) && c.needs(1)) out[1] = scale_gradient(k, c.g(), x, {}, rstd);
        return out;
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 8}}, {{8}}}, .attrs = rows_of({8})},
            {.in = {{{2, 3, 4}}, {.absent = true}}, .attrs = {{"normalized_shape", Shape{3, 4}}, {"eps", 0.5}}},
            {.in = {{{0, 4}}, {{4}}}, .attrs = rows_of({4})},
            {.in = {{{3, 8}}, {.absent = true}}, .attrs = rows_of({}), .bad = "must be normalized_shape []"}};
      });
}

void def_rms_norm_backward(Op& op) {
  op.schema(
        "rms_norm_backward(grad: Float, input: Float, rstd: Float, weight: Float?, normalized_shape: size) -> Float "
        "@private")
      .doc("The gradient of rms_norm for its input: rstd * (gw - xhat * mean(gw * xhat)) with gw = g * weight.")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[1]);
        Tensor xhat = x * c.in[2], g = scaled(widened(c.in[0]), c.in[3]);
        return Values{((g - xhat * (g * xhat).mean(row_dims(c, x), true)) * c.in[2]).to(c.dtype(1))};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 8}}, {{3, 8}}, rstd_of({3, 1}), {{8}}}, .attrs = rows_of({8})},
            {.in = {{{3, 8}}, {{3, 8}}, rstd_of({3, 1}), {.absent = true}}, .attrs = rows_of({8})}};
      });
}

}  // namespace thixo::ops
