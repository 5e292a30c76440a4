// Reverse-mode differentiation: gradients of any order, custom functions, checks.
//
//   auto w = thixo::randn({3}).requires_grad_();
//   auto loss = (w * w).sum();
//   loss.backward();                                  // w.grad() is 2 * w
//   auto g = thixo::autograd::grad({loss}, {w});      // the same, returned
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "thixo/tensor.h"

namespace thixo {

/// t takes over the memory, shape and dtype of `value` (nothing is copied) and stays the same tensor for everyone who
/// holds it; its history and its gradient stay. In a program that is being recorded the values are copied.
THIXO_API void set_data(const Tensor& t, const Tensor& value);

/// Grad mode of this thread: whether calls are recorded for backward.
THIXO_API bool is_grad_enabled();
THIXO_API void set_grad_enabled(bool on);

/// Sets grad mode for a scope.
class THIXO_API GradGuard {
 public:
  explicit GradGuard(bool on) : before_(is_grad_enabled()) { set_grad_enabled(on); }
  ~GradGuard() { set_grad_enabled(before_); }
  GradGuard(const GradGuard&) = delete;

 private:
  bool before_;
};
/// NoGrad guard; nothing is recorded while it lives.
struct NoGrad : GradGuard {
  NoGrad() : GradGuard(false) {}
};
struct EnableGrad : GradGuard {
  EnableGrad() : GradGuard(true) {}
};
/// The same as NoGrad here: tensors made in it are ordinary ones.
using InferenceMode = NoGrad;

namespace autograd {

struct BackwardOptions {
  std::optional<bool> retain_graph{};  ///< default: create_graph
  bool create_graph = false;           ///< the gradients can be differentiated again
  TensorList inputs{};                 ///< only these leaves accumulate; empty: all
};
/// Adds the gradients of the sum of tensors[i] * gradients[i] to the `grad` of the leaves. An absent gradient is 1.
THIXO_API void backward(const TensorList& tensors, const TensorList& gradients = {},
                        const BackwardOptions& options = {});

struct GradOptions {
  TensorList grad_outputs{};           ///< one per output; absent: 1
  std::optional<bool> retain_graph{};  ///< default: create_graph
  bool create_graph = false;           ///< the gradients can be differentiated again
  bool allow_unused = false;           ///< an input that the outputs do not depend on gives an undefined Tensor
  bool materialize_grads = false;      ///< ... gives zeros
};
/// The gradients of the sum of outputs with respect to the inputs; no `grad` is touched.
THIXO_API TensorList grad(const TensorList& outputs, const TensorList& inputs, const GradOptions& options = {});

/// f runs once the gradient of a leaf has been added to its `grad`; the id is for Tensor::remove_hook.
THIXO_API int64_t register_post_accumulate_grad_hook(const Tensor& leaf, std::function<void(const Tensor&)> f);

struct CheckOptions {
  double eps = 1e-6, atol = 1e-5, rtol = 1e-3;
};
using Fn = std::function<TensorList(const TensorList&)>;
/// Compares the gradients of f with differences of its values at f64 and complex128 inputs that require grad.
/// ValueError with the entry and both values when they differ; true otherwise. The real and imaginary parts of a
/// complex gradient are the derivatives by those of the input, as in PyTorch.
THIXO_API bool gradcheck(const Fn& f, const TensorList& inputs, const CheckOptions& options = {});
/// The same for the gradients of the gradients; `grad_outputs` defaults to fixed pseudo-random numbers.
THIXO_API bool gradgradcheck(const Fn& f, const TensorList& inputs, const TensorList& grad_outputs = {},
                             const CheckOptions& options = {});

/// What a custom function passes from forward to backward.
class THIXO_API FunctionContext {
 public:
  virtual ~FunctionContext() = default;
  virtual void save_for_backward(TensorList tensors) = 0;
  /// ValueError when one was overwritten since, or the graph was freed.
  virtual TensorList saved_tensors() const = 0;
  virtual bool needs_input_grad(size_t k) const = 0;
  /// In forward: result t gets no gradient.
  virtual void mark_non_differentiable(const Tensor& t) = 0;
  /// In forward: input t was written in place; it must be among the results.
  virtual void mark_dirty(const Tensor& t) = 0;
  /// In forward: absent gradients reach backward as undefined Tensors instead of zeros.
  virtual void set_materialize_grads(bool on) = 0;
};

/// An op of the user's with a gradient of its own.
///
///   struct Exp : thixo::autograd::Function {
///     std::string name() const override { return "Exp"; }
///     TensorList forward(FunctionContext& ctx, const TensorList& x) override {
///       auto y = x[0].exp();
///       ctx.save_for_backward({y});
///       return {y};
///     }
///     TensorList backward(FunctionContext& ctx, const TensorList& g) override { return {g[0] *
///     ctx.saved_tensors()[0]}; }
///   };
///   auto y = thixo::autograd::apply(thixo::make_ref<Exp>(), {x})[0];
class THIXO_API Function : public Object {
 public:
  virtual std::string name() const = 0;
  /// Runs without grad mode.
  virtual TensorList forward(FunctionContext& ctx, const TensorList& inputs) = 0;
  /// One gradient per input, undefined where there is none; made of ops, so that it can be differentiated again.
  virtual TensorList backward(FunctionContext& ctx, const TensorList& grads) = 0;
};
THIXO_API TensorList apply(Ref<Function> f, const TensorList& inputs, SourceLoc at = SourceLoc::current());
/// The function whose only result is the tensor of this object (Tensor::object) while nothing else refers to that call;
/// else null. It changes nothing: for a binding's garbage collector, as the function may refer to the result.
THIXO_API Function* sole_function(const Object& tensor) noexcept;

/// f(inputs) whose inner values are not kept but computed again in backward. Random ops draw the same numbers.
THIXO_API TensorList checkpoint(const Fn& f, const TensorList& inputs);

/// While it lives, each op is checked: the first one that makes nan or inf out of finite operands raises a ValueError
/// that names it, and the call whose gradient it belongs to.
class THIXO_API DetectAnomaly {
 public:
  DetectAnomaly();
  ~DetectAnomaly();
  DetectAnomaly(const DetectAnomaly&) = delete;

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace autograd
}  // namespace thixo
