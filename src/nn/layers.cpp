// Layers with parameters. Ops are called without a source position: an error names the module's path instead.
#include <cmath>
#include <limits>

#include "ir/dispatch.h"
#include "nn/repr.h"
#include "private_ops.h"
#include "thixo/nn_functional.h"
#include "thixo/nn_init.h"
#include "thixo/nn_layers.h"

namespace thixo::nn {
namespace {

Tensor new_tensor(const Shape& shape, std::optional<DType> dtype) {
  return empty(shape, {.dtype = dtype ? *dtype : default_dtype()});
}
Tensor new_tensor_if(bool wanted, const Shape& shape, std::optional<DType> dtype) {
  return wanted ? new_tensor(shape, dtype) : Tensor();
}

/// What Linear and the convolutions of PyTorch start with: both bounds are 1 / sqrt(fan_in).
void reset_weight_and_bias(const Tensor& weight, const Tensor& bias) {
  init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const auto fan = static_cast<double>(init::calculate_fans(weight).first);
  const double bound = fan > 0 ? 1 / std::sqrt(fan) : 0;
  init::uniform_(bias, -bound, bound);
}

/// value, which is a size.
int64_t size_of(const char* layer, const char* name, int64_t value) {
  if (value >= 0) return value;
  throw ValueError(std::string(layer) + ": " + name + " is " + std::to_string(value)).need(std::string(name) + " >= 0");
}

Shape to_shape(const IntList& v) {
  Shape s;
  for (int64_t i : v) s.push_back(i);
  return s;
}

/// One number stands for both dims.
IntList pair_of(const char* what, const IntList& v) {
  if (v.size() == 1) return {v[0], v[0]};
  if (v.size() != 2)
    throw ValueError(std::string(what) + " has " + std::to_string(v.size()) + " numbers").need("one or two");
  return v;
}

/// Sizes of both dims, as the layer shows them.
Conv2dOptions in_pairs(Conv2dOptions o) {
  o.stride = pair_of("Conv2d: stride", o.stride);
  o.dilation = pair_of("Conv2d: dilation", o.dilation);
  if (!o.padding.same()) o.padding = pair_of("Conv2d: padding", o.padding.sizes());
  return o;
}

IntList conv_weight_shape(int64_t in, int64_t out, const IntList& kernel, int64_t groups) {
  if (groups <= 0 || in % groups != 0 || out % groups != 0) {
    throw ValueError("Conv2d: " + std::to_string(in) + " input and " + std::to_string(out) + " output channels in " +
                     std::to_string(groups) + " groups")
        .need("in_channels % groups == 0 and out_channels % groups == 0");
  }
  return {out, in / groups, kernel[0], kernel[1]};
}

}  // namespace

LinearImpl::LinearImpl(int64_t in, int64_t out, const Options& o)
    : in_features(size_of("Linear", "in_features", in)),
      out_features(size_of("Linear", "out_features", out)),
      weight(this, "weight", new_tensor({out, in}, o.dtype)),
      bias(this, "bias", new_tensor_if(o.bias, {out}, o.dtype)) {
  reset_parameters();
}
void LinearImpl::reset_parameters() { reset_weight_and_bias(weight, bias); }
Tensor LinearImpl::forward(const Tensor& x) { return linear(unplaced(x), unplaced(weight), bias); }
std::string LinearImpl::extra_repr() const {
  return Repr().add("in_features", in_features).add("out_features", out_features).add("bias", bias.defined()).str();
}

Padding::Padding(std::string_view name) : same_(name == "same") {
  if (same_ || name == "valid") return;
  throw ValueError("Conv2d: there is no padding '" + std::string(name) + "'")
      .need("a number for each dim, same or valid");
}

Conv2dImpl::Conv2dImpl(int64_t in, int64_t out, const IntList& kernel, const Options& o)
    : in_channels(in),
      out_channels(out),
      kernel_size(pair_of("Conv2d: kernel_size", kernel)),
      options(in_pairs(o)),
      weight(this, "weight", new_tensor(to_shape(conv_weight_shape(in, out, kernel_size, o.groups)), o.dtype)),
      bias(this, "bias", new_tensor_if(o.bias, {out}, o.dtype)) {
  if (o.padding_mode != "zeros") {
    throw NotImplementedError("Conv2d: padding_mode '" + o.padding_mode + "' is not there yet").need("zeros");
  }
  if (o.padding.same() && !(pair_of("Conv2d: stride", o.stride) == IntList{1, 1})) {
    throw ValueError("Conv2d: padding 'same' with a stride").need("stride == 1").fix("give the padding in numbers");
  }
  reset_parameters();
}
void Conv2dImpl::reset_parameters() { reset_weight_and_bias(weight, bias); }

Tensor Conv2dImpl::forward(const Tensor& x) {
  const Options& o = options;
  if (o.padding.same()) {
    return conv2d(unplaced(x), unplaced(weight), bias, o.stride, std::string("same"), o.dilation, o.groups);
  }
  return conv2d(unplaced(x), unplaced(weight), bias, o.stride, o.padding.sizes(), o.dilation, o.groups);
}

std::string Conv2dImpl::extra_repr() const {
  Repr r;
  r.add(std::to_string(in_channels)).add(std::to_string(out_channels)).add("kernel_size", kernel_size);
  r.add("stride", pair_of("Conv2d: stride", options.stride));
  if (options.padding.same()) {
    r.add("padding", "same");
  } else if (IntList p = pair_of("Conv2d: padding", options.padding.sizes()); p[0] != 0 || p[1] != 0) {
    r.add("padding", p);
  }
  if (IntList d = pair_of("Conv2d: dilation", options.dilation); d[0] != 1 || d[1] != 1) r.add("dilation", d);
  if (options.groups != 1) r.add("groups", options.groups);
  if (!bias.defined()) r.add("bias", false);
  return r.str();
}

BatchNormBase::BatchNormBase(int64_t features, const Options& o)
    : num_features(features),
      options(o),
      weight(this, "weight", new_tensor_if(o.affine, {features}, o.dtype)),
      bias(this, "bias", new_tensor_if(o.affine, {features}, o.dtype)),
      running_mean(this, "running_mean", new_tensor_if(o.track_running_stats, {features}, o.dtype)),
      running_var(this, "running_var", new_tensor_if(o.track_running_stats, {features}, o.dtype)),
      num_batches_tracked(this, "num_batches_tracked", new_tensor_if(o.track_running_stats, {}, DType::I64)) {
  reset_parameters();
}

void BatchNormBase::reset_running_stats() {
  if (!running_mean.defined()) return;
  init::zeros_(running_mean);
  init::ones_(running_var);
  init::zeros_(num_batches_tracked);
}
void BatchNormBase::reset_parameters() {
  reset_running_stats();
  if (weight.defined()) init::ones_(weight);
  if (bias.defined()) init::zeros_(bias);
}

Tensor BatchNormBase::forward(const Tensor& x) {
  check_input(x);
  const bool batch = training() || !running_mean.defined();
  const bool update = training() && options.track_running_stats && running_mean.defined();
  double momentum = options.momentum.value_or(0);
  if (update) {
    num_batches_tracked.add_(unplaced(ones({}, {.dtype = DType::I64})));
    if (!options.momentum) momentum = 1 / num_batches_tracked.item();
  }
  const bool running = update || !batch;
  return functional::batch_norm(x, running ? running_mean : Tensor(), running ? running_var : Tensor(), weight, bias,
                                batch, momentum, options.eps);
}

Tensor functional::batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                              const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps) {
  auto plain = [](const Tensor& t) { return t.defined() ? t.detach() : t; };
  auto [y, mean, var] =
      thixo::batch_norm(unplaced(x), plain(running_mean), plain(running_var), weight, bias, training, momentum, eps);
  if (training && running_mean.defined()) {
    plain(running_mean).copy_(unplaced(mean.detach()));
    plain(running_var).copy_(unplaced(var.detach()));
  }
  return y;
}

std::string BatchNormBase::extra_repr() const {
  Repr r;
  r.add(std::to_string(num_features)).add("eps", options.eps);
  r.add("momentum", options.momentum ? Repr::number(*options.momentum) : "None");
  return r.add("affine", options.affine).add("track_running_stats", options.track_running_stats).str();
}

void BatchNorm1dImpl::check_input(const Tensor& x) const {
  if (x.dim() == 2 || x.dim() == 3) return;
  throw ShapeError("BatchNorm1d: an input of rank " + std::to_string(x.dim())).need("[N, C] or [N, C, L]");
}
void BatchNorm2dImpl::check_input(const Tensor& x) const {
  if (x.dim() == 4) return;
  throw ShapeError("BatchNorm2d: an input of rank " + std::to_string(x.dim())).need("[N, C, H, W]");
}

LayerNormImpl::LayerNormImpl(const IntList& shape, const Options& o)
    : normalized_shape(shape),
      options(o),
      weight(this, "weight", new_tensor_if(o.elementwise_affine, to_shape(shape), o.dtype)),
      bias(this, "bias", new_tensor_if(o.elementwise_affine && o.bias, to_shape(shape), o.dtype)) {
  if (weight.defined()) init::ones_(weight);
  if (bias.defined()) init::zeros_(bias);
}
Tensor LayerNormImpl::forward(const Tensor& x) {
  return layer_norm(unplaced(x), to_shape(normalized_shape), weight, bias, options.eps);
}
std::string LayerNormImpl::extra_repr() const {
  return Repr()
      .add(Repr::tuple(normalized_shape))
      .add("eps", options.eps)
      .add("elementwise_affine", options.elementwise_affine)
      .str();
}

RMSNormImpl::RMSNormImpl(const IntList& shape, const Options& o)
    : normalized_shape(shape),
      options(o),
      weight(this, "weight", new_tensor_if(o.elementwise_affine, to_shape(shape), o.dtype)) {
  if (weight.defined()) init::ones_(weight);
}
Tensor RMSNormImpl::forward(const Tensor& x) {
  return rms_norm(unplaced(x), to_shape(normalized_shape), weight, options.eps);
}
std::string RMSNormImpl::extra_repr() const {
  return Repr()
      .add(Repr::tuple(normalized_shape))
      .add("eps", options.eps ? Repr::number(*options.eps) : "None")
      .add("elementwise_affine", options.elementwise_affine)
      .str();
}

EmbeddingImpl::EmbeddingImpl(int64_t num, int64_t dim, const Options& o)
    : num_embeddings(num),
      embedding_dim(dim),
      padding_idx(o.padding_idx && *o.padding_idx < 0 ? std::optional(*o.padding_idx + num) : o.padding_idx),
      weight(this, "weight", new_tensor({num, dim}, o.dtype)) {
  if (padding_idx && (*padding_idx < 0 || *padding_idx >= num)) {
    throw IndexError("Embedding: padding_idx " + std::to_string(*o.padding_idx) + " is out of range for " +
                     std::to_string(num) + " embeddings");
  }
  reset_parameters();
}
void EmbeddingImpl::reset_parameters() {
  init::normal_(weight);
  if (!padding_idx) return;
  GradMode off(false);
  weight.select(0, *padding_idx).zero_();
}
Tensor EmbeddingImpl::forward(const Tensor& x) {
  return embedding(unplaced(x), unplaced(weight), padding_idx ? std::optional<Dim>(*padding_idx) : std::nullopt);
}
std::string EmbeddingImpl::extra_repr() const {
  Repr r;
  r.add(std::to_string(num_embeddings)).add(std::to_string(embedding_dim));
  if (padding_idx) r.add("padding_idx", *padding_idx);
  return r.str();
}

}  // namespace thixo::nn
