// Batch normalisation. Statistics are sums over channels; what is done to every element is one multiply and add with
// numbers of its channel, so eager work reads the input three times at most and the compiler fuses the rest.
#include "ir/dispatch.h"
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
    throw c.error(ErrorKind::Shape, c.op->schema.operands[static_cast<size_t>(k)].name + " has shape " +
                                        shape_str(c.shape(k)) + " but input has " + channels.str() + " channels")
        .need("one value for each of input.shape[1]");
  }
  if (c.has(1) != c.has(2)) {
    throw c.error(ErrorKind::Value, "running_mean and running_var are given together or not at all");
  }
}

struct Statistics {
  Tensor mean, var;  // [C], the compute type; var is biased
};
Statistics statistics(const Tensor& x) {
  Tensor mean = widened(x).mean(channel_dims(x));
  return {mean, channel_dot(x, x, per_channel(mean, x), true) / static_cast<double>(channel_count(x).value())};
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
    const Statistics s = statistics(x);
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
  Tensor y = channel_affine(x, per_channel(scale, x), per_channel(shift, x));
  if (!c.has(1)) running_mean = mean, running_var = var;
  return {y, running_mean, running_var, mean, rstd};
}

Values batch_norm_grad(GradCtx& c) {
  const Call& k = c.call();
  const bool training = k.flag("training");
  const Tensor x = c.in(0), g = c.g(), weight = k.has(3) ? c.in(3) : Tensor();
  Tensor mean, rstd;
  if (!training) {
    mean = widened(c.in(1));
    rstd = rsqrt(widened(c.in(2)) + k.number("eps"));
  } else if (dispatch_state().grad_enabled) {  // saved statistics count as constants: computed again from the input
    const Statistics s = statistics(x);
    mean = s.mean;
    rstd = rsqrt(s.var + k.number("eps"));
  } else {
    mean = c.out(3);
    rstd = c.out(4);
  }
  Values out(k.in.size());
  const IntList dims = channel_dims(x);
  const bool sums = training || (k.has(3) && c.needs(3));
  Tensor wide = widened(g), sum_g, sum_gx;  // over each channel: g, and g * (x - mean)
  if (training || (k.has(4) && c.needs(4))) sum_g = wide.sum(dims);
  if (sums) sum_gx = channel_dot(g, x, per_channel(mean, x), false);
  if (k.has(3) && c.needs(3)) out[3] = (sum_gx * rstd).to(k.dtype(3));
  if (k.has(4) && c.needs(4)) out[4] = sum_g.to(k.dtype(4));
  if (!c.needs(0)) return out;
  Tensor scale = weight.defined() ? widened(weight) * rstd : rstd;
  if (!training) {
    out[0] = (wide * per_channel(scale, x)).to(k.dtype(0));
    return out;
  }
  // scale * (g - mean(g) - (x - mean) * rstd^2 * mean(g * (x - mean))), gathered by g and x.
  const double n = static_cast<double>(channel_count(x).value());
  Tensor by_x = -(scale * rstd * rstd * sum_gx) / n, constant = -(scale * sum_g) / n - by_x * mean;
  out[0] = channel_mix(g, x, per_channel(scale, x), per_channel(by_x, x), per_channel(constant, x));
  return out;
}

std::vector<Sample> batch_norm_samples() {
  auto call = [](Shape x, bool running, bool affine, bool training, std::string bad = {}) {
    const Shape channels{x.size() > 1 ? x[1] : Dim(1)};
    Sample s{{{std::move(x)}, {channels}, {channels, 0.5, 2}, {channels}, {channels}}, {{"training", training}, {"momentum", 0.3}}, std::move(bad)};
    s.in[1].absent = s.in[2].absent = !running;
    s.in[3].absent = s.in[4].absent = !affine;
    return s;
  };
  std::vector<Sample> out{call({4, 3}, true, true, true),          call({2, 3, 4, 5}, true, true, true),
                          call({2, 3, 4, 5}, false, false, true),  call({2, 3, 4, 5}, true, true, false),
                          call({3, 2, 6}, true, false, false),     call({2, 3, 4, 5}, false, true, false, "running_mean and running_var are missing"),
                          call({1, 3}, true, true, true, "a channel has one value"), call({5}, true, true, true, "input has 1 dims")};
  Sample odd = call({2, 3, 4}, true, true, true, "weight has shape [4] but input has 3 channels");
  odd.in[3].shape = {4};
  out.push_back(odd);
  return out;
}

}  // namespace

void def_batch_norm(Op& op) {
  op.schema(
        "batch_norm(input: Float, running_mean: Float?, running_var: Float?, weight: Float?, bias: Float?, training: "
        "bool = false, momentum: float = 0.1, eps: float = 1e-5) -> (out: Float, running_mean: Float, running_var: "
        "Float, _mean: Float, _rstd: Float) @private")
      .doc(
          "(x - mean) / sqrt(var + eps) * weight + bias over each channel (dim 1), with the batch's statistics in "
          "training and the running ones otherwise; also returns the running statistics after this batch.")
      .source("Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167")
      .compose(batch_norm)
      .grad(batch_norm_grad)
      .ulps(64, 64)
      .samples(batch_norm_samples);
}

void def_channel_affine(Op& op) {
  op.schema("channel_affine(input: Float, scale: Float, shift: Float) -> Float @private")
      .doc("input * scale + shift, in the dtype of the input.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .nest([](NestCtx& c) {
        std::vector<Expr> at, channel;
        for (int d = 0; d < c.rank(0); ++d) at.push_back(c.out_axis(d));
        for (int d = 0; d < c.rank(0); ++d) channel.push_back(d == 1 ? c.out_axis(1) : constant_int(0));
        const DType t = compute_type(c.dtype(0));
        c.values = {fma(cast(c.load(0, at), t), cast(c.load(1, channel), t), cast(c.load(2, channel), t))};
      })
      .grad([](GradCtx& c) {
        const IntList dims = channel_dims(c.g());
        Values out(3);
        if (c.needs(0)) out[0] = (widened(c.g()) * c.in(1)).to(c.call().dtype(0));
        if (c.needs(1)) out[1] = (widened(c.g()) * widened(c.in(0))).sum(dims, true).to(c.call().dtype(1));
        if (c.needs(2)) out[2] = widened(c.g()).sum(dims, true).to(c.call().dtype(2));
        return out;
      })
      .samples([] {
        return std::vector<Sample>{{{{{2, 3, 4}}, {{1, 3, 1}}, {{1, 3, 1}}}},
                                   {{{{5, 2}}, {{1, 2}}, {{1, 2}}}},
                                   {{{{2, 3, 4, 5}}, {{1, 3, 1, 1}}, {{1, 3, 1, 1}}}}};
      });
}

void def_channel_mix(Op& op) {
  op.schema("channel_mix(input: Float, other: Float, a: Float, b: Float, c: Float) -> Float @private")
      .doc("input * a + other * b + c with a, b and c of each channel, in the dtype of the input.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .nest([](NestCtx& c) {
        std::vector<Expr> at, channel;
        for (int d = 0; d < c.rank(0); ++d) at.push_back(c.out_axis(d));
        for (int d = 0; d < c.rank(0); ++d) channel.push_back(d == 1 ? c.out_axis(1) : constant_int(0));
        const DType t = compute_type(c.dtype(0));
        auto of = [&](int k) { return cast(c.load(k, k < 2 ? at : channel), t); };
        c.values = {fma(of(0), of(2), fma(of(1), of(3), of(4)))};
      })
      .grad([](GradCtx& c) {
        const IntList dims = channel_dims(c.g());
        Values out(5);
        Tensor g = widened(c.g());
        for (int k = 0; k < 5; ++k) {
          if (!c.needs(k)) continue;
          Tensor d = k < 2 ? g * c.in(k + 2) : k < 4 ? (g * widened(c.in(k - 2))).sum(dims, true) : g.sum(dims, true);
          out[static_cast<size_t>(k)] = d.to(c.call().dtype(k));
        }
        return out;
      })
      .samples([] {
        return std::vector<Sample>{
            {{{{2, 3, 4}}, {{2, 3, 4}}, {{1, 3, 1}}, {{1, 3, 1}}, {{1, 3, 1}}}},
            {{{{2, 3}}, {{2, 3}}, {{1, 3}}, {{1, 3}}, {{1, 3}}}},
            {{{{2, 3, 4, 5}}, {{2, 3, 4, 5}}, {{1, 3, 1, 1}}, {{1, 3, 1, 1}}, {{1, 3, 1, 1}}}}};
      });
}

void def_channel_dot(Op& op) {
  op.schema("channel_dot(input: Float, other: Float, mean: Float, centred: bool) -> Float @private")
      .doc("The sum over each channel of input * (other - mean), or (input - mean) * (other - mean) when centred.")
      .infer([](Infer& c) { c.result(compute_type(c.dtype(0)), Shape{c.shape(0)[1]}); })
      .compose([](const Call& c) {
        const Tensor x = widened(c.in[0]), y = widened(c.in[1]) - c.in[2];
        return Values{((c.flag("centred") ? x - c.in[2] : x) * y).sum(channel_dims(x))};
      })
      .grad([](GradCtx& c) {
        const bool centred = c.call().flag("centred");
        const Tensor x = widened(c.in(0)), y = widened(c.in(1)), mean = c.in(2), g = per_channel(c.g(), x);
        Tensor x_part = centred ? x - mean : x, y_part = y - mean;
        Values out(3);
        if (c.needs(0)) out[0] = (y_part * g).to(c.call().dtype(0));
        if (c.needs(1)) out[1] = (x_part * g).to(c.call().dtype(1));
        if (c.needs(2)) {
          Tensor d = centred ? x_part + y_part : x_part;
          out[2] = (d * -g).sum(channel_dims(x), true).to(c.call().dtype(2));
        }
        return out;
      })
      .ulps(64, 64)
      .samples([] {
        auto call = [](Shape x, Shape mean, bool centred) { return Sample{{{x}, {x}, {mean}}, {{"centred", centred}}, {}}; };
        return std::vector<Sample>{call({2, 3, 4, 5}, {1, 3, 1, 1}, false), call({6, 2}, {1, 2}, true)};
      });
}

}  // namespace thixo::ops
