// Layers with PyTorch's names, defaults and initial values. Each is a handle (nn::Linear) to an implementation
// (nn::LinearImpl); options stand in an aggregate: nn::Linear(784, 128, {.bias = false}).
#pragma once

#include <optional>

#include "thixo/nn_module.h"

namespace thixo::nn {

struct LinearOptions {
  bool bias = true;
  std::optional<DType> dtype{};
};
/// x @ weight.T + bias; weight is [out_features, in_features].
class THIXO_API LinearImpl : public Module {
 public:
  using Options = LinearOptions;
  LinearImpl(int64_t in_features, int64_t out_features, const Options& options = {});
  void reset_parameters();
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  int64_t in_features, out_features;
  Parameter weight, bias;
};
using Linear = Handle<LinearImpl, int64_t, int64_t>;

/// Padding of a convolution: one number, one per dim, "same" or "valid".
class THIXO_API Padding {
 public:
  Padding(int64_t all) : sizes_(all) {}                          // NOLINT
  Padding(int all) : sizes_(all) {}                              // NOLINT
  Padding(std::initializer_list<int64_t> sizes) : sizes_(sizes) {}  // NOLINT
  Padding(IntList sizes) : sizes_(std::move(sizes)) {}           // NOLINT
  Padding(const char* name) : Padding(std::string_view(name)) {}  // NOLINT
  Padding(std::string_view name);                                // NOLINT
  bool same() const { return same_; }
  const IntList& sizes() const { return sizes_; }

 private:
  IntList sizes_{0};
  bool same_ = false;
};

struct Conv2dOptions {
  IntList stride = 1;
  Padding padding = 0;
  IntList dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";
  std::optional<DType> dtype{};
};
/// Cross-correlation of [N, in_channels, H, W] with weight [out_channels, in_channels / groups, kH, kW].
class THIXO_API Conv2dImpl : public Module {
 public:
  using Options = Conv2dOptions;
  Conv2dImpl(int64_t in_channels, int64_t out_channels, const IntList& kernel_size, const Options& options = {});
  void reset_parameters();
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  int64_t in_channels, out_channels;
  const IntList kernel_size;
  Options options;  ///< read at each call, but for bias, padding_mode and dtype
  Parameter weight, bias;
};
using Conv2d = Handle<Conv2dImpl, int64_t, int64_t, IntList>;

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  ///< nullopt: the mean over all batches so far
  bool affine = true;
  bool track_running_stats = true;
  std::optional<DType> dtype{};
};
/// What BatchNorm1d and BatchNorm2d share: statistics over all dims but dim 1.
class THIXO_API BatchNormBase : public Module {
 public:
  using Options = BatchNormOptions;
  BatchNormBase(int64_t features, const Options& o);
  void reset_parameters();
  void reset_running_stats();
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  int64_t num_features;
  Options options;  ///< read at each call, but for affine and dtype
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;

 protected:
  virtual void check_input(const Tensor& x) const = 0;
};
/// For [N, C] or [N, C, L].
class THIXO_API BatchNorm1dImpl : public BatchNormBase {
 public:
  explicit BatchNorm1dImpl(int64_t features, const Options& o = {}) : BatchNormBase(features, o) {}

 protected:
  void check_input(const Tensor& x) const override;
};
/// For [N, C, H, W].
class THIXO_API BatchNorm2dImpl : public BatchNormBase {
 public:
  explicit BatchNorm2dImpl(int64_t features, const Options& o = {}) : BatchNormBase(features, o) {}

 protected:
  void check_input(const Tensor& x) const override;
};
using BatchNorm1d = Handle<BatchNorm1dImpl, int64_t>;
using BatchNorm2d = Handle<BatchNorm2dImpl, int64_t>;

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;
  std::optional<DType> dtype{};
};
/// (x - mean) / sqrt(var + eps) * weight + bias over the last dims.
class THIXO_API LayerNormImpl : public Module {
 public:
  using Options = LayerNormOptions;
  explicit LayerNormImpl(const IntList& normalized_shape, const Options& options = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  IntList normalized_shape;
  Options options;  ///< eps is read at each call
  Parameter weight, bias;
};
using LayerNorm = Handle<LayerNormImpl, IntList>;

struct RMSNormOptions {
  std::optional<double> eps{};  ///< unless given: the machine epsilon of the input's dtype
  bool elementwise_affine = true;
  std::optional<DType> dtype{};
};
/// x / sqrt(mean(x^2) + eps) * weight over the last dims.
class THIXO_API RMSNormImpl : public Module {
 public:
  using Options = RMSNormOptions;
  explicit RMSNormImpl(const IntList& normalized_shape, const Options& options = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  IntList normalized_shape;
  Options options;  ///< eps is read at each call
  Parameter weight;
};
using RMSNorm = Handle<RMSNormImpl, IntList>;

struct EmbeddingOptions {
  std::optional<int64_t> padding_idx{};  ///< a row of zeros that gets no gradient
  std::optional<DType> dtype{};
};
/// Row x of weight [num_embeddings, embedding_dim] for each index x.
class THIXO_API EmbeddingImpl : public Module {
 public:
  using Options = EmbeddingOptions;
  EmbeddingImpl(int64_t num_embeddings, int64_t embedding_dim, const Options& options = {});
  void reset_parameters();
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  int64_t num_embeddings, embedding_dim;
  std::optional<int64_t> padding_idx;
  Parameter weight;
};
using Embedding = Handle<EmbeddingImpl, int64_t, int64_t>;

}  // namespace thixo::nn
