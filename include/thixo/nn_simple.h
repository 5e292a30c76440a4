// Layers without parameters, containers and losses.
#pragma once

#include <optional>

#include "thixo/nn_module.h"

namespace thixo::nn {

/// x itself.
class THIXO_API IdentityImpl : public Module {
 public:
  Tensor forward(const Tensor& x) override;
};
using Identity = Handle<IdentityImpl>;

struct InplaceOptions {
  bool inplace = false;  ///< overwrite the input
};
/// The larger of x and 0.
class THIXO_API ReLUImpl : public Module {
 public:
  using Options = InplaceOptions;
  explicit ReLUImpl(const Options& o = {}) : options(o) {}
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  Options options;
};
using ReLU = Handle<ReLUImpl>;

/// x * sigmoid(x).
class THIXO_API SiLUImpl : public Module {
 public:
  using Options = InplaceOptions;
  explicit SiLUImpl(const Options& o = {}) : options(o) {}
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  Options options;
};
using SiLU = Handle<SiLUImpl>;

/// 1 / (1 + exp(-x)).
class THIXO_API SigmoidImpl : public Module {
 public:
  Tensor forward(const Tensor& x) override;
};
using Sigmoid = Handle<SigmoidImpl>;

/// The hyperbolic tangent.
class THIXO_API TanhImpl : public Module {
 public:
  Tensor forward(const Tensor& x) override;
};
using Tanh = Handle<TanhImpl>;

struct GELUOptions {
  std::string approximate = "none";  ///< or "tanh"
};
class THIXO_API GELUImpl : public Module {
 public:
  using Options = GELUOptions;
  explicit GELUImpl(const Options& o = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  Options options;
};
using GELU = Handle<GELUImpl>;

class THIXO_API SoftmaxImpl : public Module {
 public:
  explicit SoftmaxImpl(int64_t d) : dim(d) {}
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  int64_t dim;
};
using Softmax = Handle<SoftmaxImpl, int64_t>;

struct DropoutOptions {
  DropoutOptions(double probability = 0.5, bool in_place = false) : p(probability), inplace(in_place) {}  // NOLINT
  double p;
  bool inplace;  ///< overwrite the input
};
/// While training: each element becomes 0 with probability p, the others grow by 1 / (1 - p).
class THIXO_API DropoutImpl : public Module {
 public:
  using Options = DropoutOptions;
  explicit DropoutImpl(const Options& options = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  double p;
  bool inplace;
};
using Dropout = Handle<DropoutImpl>;

struct FlattenOptions {
  int64_t start_dim = 1, end_dim = -1;
};
class THIXO_API FlattenImpl : public Module {
 public:
  using Options = FlattenOptions;
  explicit FlattenImpl(const Options& o = {}) : options(o) {}
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  Options options;
};
using Flatten = Handle<FlattenImpl>;

struct MaxPool2dOptions {
  std::optional<IntList> stride{};  ///< unless given: kernel_size
  IntList padding = 0;
  IntList dilation = 1;
  bool ceil_mode = false;
};
class THIXO_API MaxPool2dImpl : public Module {
 public:
  using Options = MaxPool2dOptions;
  explicit MaxPool2dImpl(const IntList& kernel, const Options& o = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  IntList kernel_size;
  Options options;
};
using MaxPool2d = Handle<MaxPool2dImpl, IntList>;

struct AvgPool2dOptions {
  std::optional<IntList> stride{};
  IntList padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
};
class THIXO_API AvgPool2dImpl : public Module {
 public:
  using Options = AvgPool2dOptions;
  explicit AvgPool2dImpl(const IntList& kernel, const Options& o = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
  IntList kernel_size;
  Options options;
};
using AvgPool2d = Handle<AvgPool2dImpl, IntList>;

/// Modules one after the other; their names are "0", "1", ... unless given.
///   nn::Sequential net(nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10));
class THIXO_API SequentialImpl : public Module {
 public:
  SequentialImpl() = default;
  explicit SequentialImpl(const std::vector<Ref<Module>>& modules);
  explicit SequentialImpl(const std::vector<Named<Ref<Module>>>& modules);
  Tensor forward(const Tensor& x) override;
  SequentialImpl& append(Ref<Module> m);
  size_t size() const { return children_.size(); }
  /// Negative indices count from the end.
  Ref<Module> operator[](int64_t i) const;
};

/// A list of modules that are called by hand.
class THIXO_API ModuleListImpl : public Module {
 public:
  ModuleListImpl() = default;
  explicit ModuleListImpl(const std::vector<Ref<Module>>& modules);
  ModuleListImpl& append(Ref<Module> m);
  size_t size() const { return children_.size(); }
  Ref<Module> operator[](int64_t i) const;

 private:
  bool prints_runs() const override { return true; }
};

/// A handle to a container: made from modules, in order, or from {"name", module} pairs.
template <class Impl> class Container : public Handle<Impl> {
 public:
  using List = std::vector<Ref<Module>>;
  Container() = default;
  template <class... M>
    requires(sizeof...(M) > 0 && (std::is_convertible_v<M, Ref<Module>> && ...) &&
             (sizeof...(M) > 1 || !(std::is_base_of_v<Container, std::remove_cvref_t<M>> || ...)))  // that is a copy
  explicit Container(M&&... modules) : Handle<Impl>(make_ref<Impl>(List{Ref<Module>(modules)...})) {}
  explicit Container(const List& modules) : Handle<Impl>(make_ref<Impl>(modules)) {}
  explicit Container(Ref<Impl> m) : Handle<Impl>(std::move(m)) {}
  template <class... M>
    requires(std::is_convertible_v<M, Ref<Module>> && ...)
  Container(Module* owner, std::string_view name, M&&... modules)
      : Handle<Impl>(owner, name, make_ref<Impl>(List{Ref<Module>(modules)...})) {}
  Container(Module* owner, std::string_view name, const List& modules)
      : Handle<Impl>(owner, name, make_ref<Impl>(modules)) {}
  Ref<Module> operator[](int64_t i) const { return (*this->get())[i]; }
  size_t size() const { return this->get()->size(); }
};

class Sequential : public Container<SequentialImpl> {
 public:
  using Container::Container;
  using NamedList = std::vector<Named<Ref<Module>>>;
  explicit Sequential(const NamedList& modules) : Container(make_ref<SequentialImpl>(modules)) {}
};
using ModuleList = Container<ModuleListImpl>;

struct CrossEntropyLossOptions {
  Tensor weight{};  ///< of the classes; undefined: all 1
  int64_t ignore_index = -100;
  std::string reduction = "mean";  ///< or "sum", "none"
  double label_smoothing = 0;
};
/// Of logits [N, C, ...] and class indices [N, ...] or probabilities [N, C, ...].
class THIXO_API CrossEntropyLossImpl : public Module {
 public:
  using Module::forward;
  using Options = CrossEntropyLossOptions;
  explicit CrossEntropyLossImpl(const Options& options = {});
  Tensor forward(const Tensor& input, const Tensor& target);
  Options options;
  Buffer weight;
};
using CrossEntropyLoss = Handle<CrossEntropyLossImpl>;

struct MSELossOptions {
  std::string reduction = "mean";
};
class THIXO_API MSELossImpl : public Module {
 public:
  using Module::forward;
  using Options = MSELossOptions;
  explicit MSELossImpl(const Options& o = {}) : options(o) {}
  Tensor forward(const Tensor& input, const Tensor& target);
  Options options;
};
using MSELoss = Handle<MSELossImpl>;

}  // namespace thixo::nn
