// Layers without parameters, and losses.
#include "nn/repr.h"
#include "thixo/nn_simple.h"

namespace thixo::nn {
namespace {

/// PyTorch prints a window of equal sizes as one number.
std::string window(const IntList& v) {
  const bool equal = v.size() == 1 || (v.size() == 2 && v[0] == v[1]);
  return equal ? std::to_string(v[0]) : Repr::tuple(v);
}

std::string inplace_text(const InplaceOptions& o) { return o.inplace ? Repr().add("inplace", true).str() : ""; }

void check_approximate(const GELUOptions& o) {
  if (o.approximate == "none" || o.approximate == "tanh") return;
  throw ValueError("GELU: there is no approximation '" + o.approximate + "'").need("none or tanh");
}

void check_reduction(const char* layer, const std::string& reduction) {
  if (reduction == "mean" || reduction == "sum" || reduction == "none") return;
  throw ValueError(std::string(layer) + ": there is no reduction '" + reduction + "'").need("mean, sum or none");
}

}  // namespace

Tensor IdentityImpl::forward(const Tensor& x) { return x; }
Tensor ReLUImpl::forward(const Tensor& x) { return options.inplace ? Tensor(x).relu_(SourceLoc()) : relu(unplaced(x)); }
std::string ReLUImpl::extra_repr() const { return inplace_text(options); }
Tensor SiLUImpl::forward(const Tensor& x) { return options.inplace ? Tensor(x).silu_(SourceLoc()) : silu(unplaced(x)); }
std::string SiLUImpl::extra_repr() const { return inplace_text(options); }
Tensor SigmoidImpl::forward(const Tensor& x) { return sigmoid(unplaced(x)); }
Tensor TanhImpl::forward(const Tensor& x) { return tanh(unplaced(x)); }

GELUImpl::GELUImpl(const Options& o) : options(o) { check_approximate(options); }
Tensor GELUImpl::forward(const Tensor& x) {
  check_approximate(options);
  return gelu(unplaced(x), {.approximate = options.approximate});
}
std::string GELUImpl::extra_repr() const { return Repr().add("approximate", "'" + options.approximate + "'").str(); }

Tensor SoftmaxImpl::forward(const Tensor& x) { return softmax(unplaced(x), dim); }
std::string SoftmaxImpl::extra_repr() const { return Repr().add("dim", dim).str(); }

DropoutImpl::DropoutImpl(const Options& o) : p(o.p), inplace(o.inplace) {
  if (!(p >= 0 && p <= 1)) throw ValueError("Dropout: a probability of " + Repr::number(p)).need("0 <= p <= 1");
}
Tensor DropoutImpl::forward(const Tensor& x) {
  return inplace ? Tensor(x).dropout_(p, training(), {}, SourceLoc()) : dropout(unplaced(x), p, training());
}
std::string DropoutImpl::extra_repr() const { return Repr().add("p", p).add("inplace", inplace).str(); }

Tensor FlattenImpl::forward(const Tensor& x) { return flatten(unplaced(x), options.start_dim, options.end_dim); }
std::string FlattenImpl::extra_repr() const {
  return Repr().add("start_dim", options.start_dim).add("end_dim", options.end_dim).str();
}

MaxPool2dImpl::MaxPool2dImpl(const IntList& kernel, const Options& o) : kernel_size(kernel), options(o) {
  if (!o.stride) options.stride = kernel;
}
Tensor MaxPool2dImpl::forward(const Tensor& x) {
  return max_pool2d(unplaced(x), kernel_size, options.stride.value_or(IntList()), options.padding, options.dilation,
                    options.ceil_mode);
}
std::string MaxPool2dImpl::extra_repr() const {
  return Repr()
      .add("kernel_size", window(kernel_size))
      .add("stride", window(options.stride.value_or(kernel_size)))
      .add("padding", window(options.padding))
      .add("dilation", window(options.dilation))
      .add("ceil_mode", options.ceil_mode)
      .str();
}

AvgPool2dImpl::AvgPool2dImpl(const IntList& kernel, const Options& o) : kernel_size(kernel), options(o) {
  if (!o.stride) options.stride = kernel;
}
Tensor AvgPool2dImpl::forward(const Tensor& x) {
  return avg_pool2d(unplaced(x), kernel_size, options.stride.value_or(IntList()), options.padding, options.ceil_mode,
                    options.count_include_pad);
}
std::string AvgPool2dImpl::extra_repr() const {
  return Repr()
      .add("kernel_size", window(kernel_size))
      .add("stride", window(options.stride.value_or(kernel_size)))
      .add("padding", window(options.padding))
      .str();
}

CrossEntropyLossImpl::CrossEntropyLossImpl(const Options& o) : options(o), weight(this, "weight", o.weight) {
  check_reduction("CrossEntropyLoss", o.reduction);
}
Tensor CrossEntropyLossImpl::forward(const Tensor& input, const Tensor& target) {
  return cross_entropy(unplaced(input), unplaced(target), weight,
                       {.ignore_index = options.ignore_index,
                        .reduction = options.reduction,
                        .label_smoothing = options.label_smoothing});
}

Tensor MSELossImpl::forward(const Tensor& input, const Tensor& target) {
  return mse_loss(unplaced(input), unplaced(target), {.reduction = options.reduction});
}

}  // namespace thixo::nn
