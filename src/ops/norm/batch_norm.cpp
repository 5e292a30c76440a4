// Batch normalisation. Statistics are sums over channels; what is done to every element is one multiply and add with
// numbers of its channel: three passes over the input forward, three over input and gradient backward.
#include "ir/dispatch.h"
#include "ops/batching.h"
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// All dims but the channels', which are dim 1.
IntList channel_dims(const Tensor& x) {
  IntList dims{0};
  for (int64_t d = 2; d < x.dim(); ++d) dims.push_back(d);
  return dims;
}

/// A vector of channels as [1, C, 1, ...], to meet x.
Tensor per_channel(const Tensor& v, const Tensor& x) {
  Shape s{1, v.shape()[0]};
  for (int64_t d = 2; d < x.dim(); ++d) s.push_back(1);
  return widened(v).reshape(s);
}

/// Values of each channel.
Dim channel_count(const Tensor& x) {
  Dim n = x.shape()[0];
  for (size_t d = 2; d < x.shape().size(); ++d) n *= x.shape()[d];
  return n;
}

void check_channels(const Call& c) {
  if (c.rank(0) < 2) {
    throw c.error(ErrorKind::Shape, "input has " + std::to_string(c.rank(0)) + " dims").need("[batch, channels, ...]");
  }
  const Dim channels = c.shape(0)[1];
  for (int k = 1; k < 5; ++k) {
    if (!c.has(k) || (c.rank(k) == 1 && c.shape(k)[0] == channels)) continue;
    throw c
        .error(ErrorKind::Shape, c.op->schema.operands[static_cast<size_t>(k)].name + " has shape " +
                                     shape_str(c.shape(k)) + " but input has " + channels.str() + " channels")
        .need("one value for each of input.shape[1]");
  }
  if (c.has(1) != c.has(2)) {
    throw c.error(ErrorKind::Value, "running_mean and running_var are given together or not at all");
  }
}

/// Indices of the result's own element.
std::vector<Expr> every_axis(const NestCtx& c) {
  std::vector<Expr> at;
  for (int d = 0; d < c.rank(0); ++d) at.push_back(c.out_axis(d));
  return at;
}

struct Statistics {
  Tensor mean, var;  // [C], the compute type; var is biased
};

/// By sums that can be differentiated, or by one kernel.
Statistics statistics(const Tensor& x, bool differentiable) {
  const IntList dims = channel_dims(x);
  const double n = static_cast<double>(channel_count(x).value());
  Tensor mean = widened(x).mean(dims);
  if (differentiable) return {mean, square(widened(x) - per_channel(mean, x)).mean(dims)};
  return {mean, std::get<1>(channel_sums(x, x, mean, true)) / n};
}

Values batch_norm(const Call& c) {
  check_channels(c);
  const Tensor& x = c.in[0];
  const bool training = c.flag("training");
  if (!training && !c.has(1)) {
    throw c.error(ErrorKind::Value, "running_mean and running_var are missing").need("them, or training=True");
  }
  Tensor running_mean = c.in[1], running_var = c.in[2], mean, var;
  if (training) {
    const Dim n = channel_count(x);
    if (!n.is_symbolic() && n.value() == 1) {
      throw c.error(ErrorKind::Value, "a channel has one value, which has no variance")
          .need("more than one value per channel when training")
          .fix("use a larger batch, or eval()");
    }
    const Statistics s = statistics(x, false);
    mean = s.mean;
    var = s.var;
    if (c.has(1)) {
      // The running variance is of the population: n / (n - 1) times the batch's.
      const double m = c.number("momentum"), unbiased = static_cast<double>(n) / static_cast<double>(n - 1);
      running_mean = (widened(running_mean) * (1 - m) + mean * m).to(c.dtype(1));
      running_var = (widened(running_var) * (1 - m) + var * (m * unbiased)).to(c.dtype(2));
    }
  } else {
    mean = widened(running_mean);
    var = widened(running_var);
  }
  Tensor rstd = rsqrt(var + c.number("eps"));
  Tensor scale = c.has(3) ? widened(c.in[3]) * rstd : rstd;
  Tensor shift = c.has(4) ? widened(c.in[4]) - mean * scale : -(mean * scale);
  Tensor y = channel_affine(x, scale, shift);
  if (!c.has(1)) running_mean = mean, running_var = var;
  return {y, running_mean, running_var, mean, rstd};
}

/// The gradient in ops that have gradients themselves: saved statistics would count as constants here.
Values batch_norm_grad_again(GradCtx& c) {
  const Call& k = c.call();
  const Tensor x = c.in(0), wide = widened(x), g = widened(c.g());
  const bool training = k.flag("training");
  const IntList dims = channel_dims(x);
  const Statistics s = training ? statistics(x, true) : Statistics{widened(c.in(1)), widened(c.in(2))};
  Tensor away = wide - per_channel(s.mean, x), rstd = per_channel(rsqrt(s.var + k.number("eps")), x), hat = away * rstd;
  Values out(k.in.size());
  if (k.has(3) && c.needs(3)) out[3] = (g * hat).sum(dims).to(k.dtype(3));
  if (k.has(4) && c.needs(4)) out[4] = g.sum(dims).to(k.dtype(4));
  if (!c.needs(0)) return out;
  Tensor gw = k.has(3) ? g * per_channel(c.in(3), x) : g;
  if (training) gw = gw - gw.mean(dims, true) - hat * (gw * hat).mean(dims, true);
  out[0] = (gw * rstd).to(k.dtype(0));
  return out;
}

Values batch_norm_grad(GradCtx& c) {
  const Call& k = c.call();
  const bool training = k.flag("training");
  // Asked for in every mode: what is saved is decided before anyone knows whether the gradient is differentiated.
  const Tensor x = c.in(0), g = c.g(), mean = c.out(3), rstd = c.out(4);
  if (!training) c.in(1), c.in(2);
  if (dispatch_state().grad_enabled) return batch_norm_grad_again(c);
  auto [sum, dot] = channel_sums(g, x, mean, false);
  Values out(k.in.size());
  if (k.has(3) && c.needs(3)) out[3] = (dot * rstd).to(k.dtype(3));
  if (k.has(4) && c.needs(4)) out[4] = sum.to(k.dtype(4));
  if (!c.needs(0)) return out;
  Tensor scale = k.has(3) ? widened(c.in(3)) * rstd : rstd;
  if (!training) {
    out[0] = channel_affine(g, scale, zeros_like(scale));
    return out;
  }
  // scale * (g - mean(g) - (x - mean) * rstd^2 * mean(g * (x - mean))), gathered by g and x.
  const double n = static_cast<double>(channel_count(x).value());
  Tensor by_x = -(scale * rstd * rstd * dot) / n, constant = -(scale * sum) / n - by_x * mean;
  out[0] = channel_mix(g, x, scale, by_x, constant);
  return out;
}

/// The batch joins the channels, so that all examples are normalised by one call.
BatchResult batch_norm_batch(const BatchArgs& a) {
  SmallVec<Tensor, 5> in;
  Tensor x = batch_expanded(a, 0);  // [B, N, C, ...]
  const Shape s = x.shape();
  Shape joined = s, split = s;
  joined.erase(0);
  joined[1] = s[0] * s[2];
  split[0] = s[1];
  split[1] = s[0];
  in.push_back(x.transpose(0, 1).reshape(joined));
  for (int k = 1; k < 5; ++k) in.push_back(a.call.has(k) ? batch_expanded(a, k).reshape({-1}) : Tensor());
  BatchResult r = call_batched(a, in, a.call.attrs);
  r.values[0] = r.values[0].reshape(split);
  r.batch_dim[0] = 1;
  for (size_t k = 1; k < r.values.size(); ++k) r.values[k] = r.values[k].reshape({s[0], s[2]});
  return r;
}

std::vector<Sample> batch_norm_samples() {
  auto call = [](Shape x, bool running, bool affine, bool training, std::string bad = {}) {
    const Shape channels{x.size() > 1 ? x[1] : Dim(1)};
    Sample s{{{std::move(x)}, {channels}, {channels, 0.5, 2}, {channels}, {channels}},
             {{"training", training}, {"momentum", 0.3}},
             std::move(bad)};
    s.in[1].absent = s.in[2].absent = !running;
    s.in[3].absent = s.in[4].absent = !affine;
    return s;
  };
  std::vector<Sample> out{call({4, 3}, true, true, true),
                          call({2, 3, 4, 5}, true, true, true),
                          call({2, 3, 4, 5}, false, false, true),
                          call({2, 3, 4, 5}, true, true, false),
                          call({3, 2, 6}, true, false, false),
                          call({2, 3, 4, 5}, false, true, false, "running_mean and running_var are missing"),
                          call({1, 3}, true, true, true, "a channel has one value"),
                          call({5}, true, true, true, "input has 1 dims")};
  Sample odd = call({2, 3, 4}, true, true, true, "weight has shape [4] but input has 3 channels");
  odd.in[3].shape = {4};
  out.push_back(odd);
  Sample half = call({2, 3, 4}, true, true, true, "running_mean and running_var are given together or not at all");
  half.in[2].absent = true;
  out.push_back(half);
  return out;
}

}  // namespace

void def_batch_norm(Op& op) {
  op.schema(
        "batch_norm(input: Float, running_mean: Float?, running_var: Float?, weight: Float?, bias: Float?, training: "
        "bool = false, momentum: float = 0.1, eps: float = 1e-5) -> (out: Float, running_mean: Float, running_var: "
        "Float, _mean: Float, _rstd: Float) @private @layer")
      .doc(
          "(x - mean) / sqrt(var + eps) * weight + bias over each channel (dim 1), with the batch's statistics in "
          "training and the running ones otherwise; also returns the running statistics after this batch.")
      .example(
          ">>> thixo.nn.functional.batch_norm(thixo.tensor([[1.], [3.]]), None, None, training=True)\n"
          "tensor([[-1.0000],\n        [ 1.0000]])")
      .source("Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167")
      .compose(batch_norm)
      .grad(batch_norm_grad)
      .batch([](const BatchArgs& a) {
        const bool fits = a.call.in[0].dim() - (a.batch_dim[0] >= 0 ? 1 : 0) >= 2;
        return fits ? batch_norm_batch(a) : BatchResult{};  // else the loop's call says what is wrong
      })
      .ulps(64, 64)
      .samples(batch_norm_samples);
}

void def_channel_affine(Op& op) {
  op.schema("channel_affine(input: Float, scale: Float, shift: Float) -> Float @private")
      .doc("input * scale + shift with a scale and a shift for each channel (dim 1), in the dtype of the input.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .nest([](NestCtx& c) {
        const DType t = compute_type(c.dtype(0));
        auto channel = [&](int k) { return cast(c.load(k, {c.out_axis(1)}), t); };
        c.values = {fma(cast(c.load(0, every_axis(c)), t), channel(1), channel(2))};
      })
      .no_grad()
      .samples([] {
        const SampleTensor of_three{.shape = {3}, .wide = true}, of_two{.shape = {2}, .wide = true};
        return std::vector<Sample>{{.in = {{{2, 3, 4, 5}}, {{3}}, {{3}}}},
                                   {.in = {{{5, 2}}, {{2}}, {{2}}}},
                                   {.in = {{{2, 3, 4, 5}}, of_three, of_three}},
                                   {.in = {{{5, 2}}, of_two, of_two}}};
      });
}

void def_channel_mix(Op& op) {
  op.schema("channel_mix(input: Float, other: Float, a: Float, b: Float, c: Float) -> Float @private")
      .doc("input * a + other * b + c with a, b and c for each channel (dim 1), in the dtype of the input.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .nest([](NestCtx& c) {
        const DType t = compute_type(c.dtype(0));
        auto all = [&](int k) { return cast(c.load(k, every_axis(c)), t); };
        auto channel = [&](int k) { return cast(c.load(k, {c.out_axis(1)}), t); };
        c.values = {fma(all(0), channel(2), fma(all(1), channel(3), channel(4)))};
      })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{{{{{2, 3, 4, 5}}, {{2, 3, 4, 5}}, {{3}}, {{3}}, {{3}}}},
                                   {{{{5, 2}}, {{5, 2}}, {{2}}, {{2}}, {{2}}}}};
      });
}

void def_channel_sums(Op& op) {
  op.schema("channel_sums(input: Float, other: Float, mean: Float, centred: bool) -> (sum: Float, dot: Float) @private")
      .doc(
          "For each channel (dim 1) the sum of input, and the sum of input * (other - mean); when centred both sums "
          "are "
          "of input - mean.")
      .infer([](Infer& c) {
        const DType t = compute_type(c.dtype(0));
        c.result(t, Shape{c.shape(0)[1]});
        c.result(t, Shape{c.shape(0)[1]});
      })
      .compose([](const Call& c) {
        const IntList dims = channel_dims(c.in[0]);
        Tensor mean = per_channel(c.in[2], c.in[0]), x = widened(c.in[0]);
        if (c.flag("centred")) x = x - mean;
        return Values{x.sum(dims), (x * (widened(c.in[1]) - mean)).sum(dims)};
      })
      .kernel("channel_sums")
      .no_grad()
      .ulps(64, 64)
      .samples([] {
        auto call = [](Shape x, bool centred) {
          const Shape channels{x[1]};
          return Sample{{{x}, {x}, {channels}}, {{"centred", centred}}, {}};
        };
        return std::vector<Sample>{call({2, 3, 4, 5}, false), call({6, 2}, true), call({3, 40, 7, 7}, true)};
      });
}

}  // namespace thixo::ops
