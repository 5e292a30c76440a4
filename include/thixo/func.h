// Transforms of functions: each takes a function and gives one, and they nest in any order.
//
//   auto f = [](const Tensor& x) { return (x * x * x).sum(); };
//   Tensor second = func::grad(func::grad(f))({x})[0];           // 6 * x for one element
//   auto per_example = func::vmap(func::grad(loss), {.in_dims = {-1, 0}});
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "thixo/tensor.h"

namespace thixo::func {

/// A function of tensors. Made from a callable that takes one to four Tensors or a TensorList, and returns a
/// Tensor or a TensorList.
class Fn {
 public:
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Fn>)
  Fn(F f) {  // NOLINT
    if constexpr (std::invocable<F&, const TensorList&>) {
      call_ = [f](const TensorList& x) mutable { return listed(f(x)); };
    } else if constexpr (std::invocable<F&, Tensor>) {
      call_ = [f](const TensorList& x) mutable { return listed(f(only(x, 1)[0])); };
    } else if constexpr (std::invocable<F&, Tensor, Tensor>) {
      call_ = [f](const TensorList& x) mutable { return listed(f(only(x, 2)[0], x[1])); };
    } else if constexpr (std::invocable<F&, Tensor, Tensor, Tensor>) {
      call_ = [f](const TensorList& x) mutable { return listed(f(only(x, 3)[0], x[1], x[2])); };
    } else {
      call_ = [f](const TensorList& x) mutable { return listed(f(only(x, 4)[0], x[1], x[2], x[3])); };
    }
  }
  TensorList operator()(const TensorList& inputs) const { return call_(inputs); }
  /// For functions of one tensor with one result.
  Tensor operator()(const Tensor& x) const {
    TensorList out = call_({x});
    if (out.empty()) throw ValueError("func: the function has no result");
    return std::move(out[0]);
  }

 private:
  static const TensorList& only(const TensorList& x, size_t n) {
    if (x.size() == n) return x;
    throw ValueError("func: the function takes " + std::to_string(n) + (n == 1 ? " tensor" : " tensors") + " but got " +
                     std::to_string(x.size()));
  }
  static TensorList listed(Tensor t) { return {std::move(t)}; }
  static TensorList listed(TensorList t) { return t; }
  std::function<TensorList(const TensorList&)> call_;
};

/// Which inputs are differentiated.
using ArgNums = std::vector<int>;

/// The gradient of f's first result, one element, with respect to the inputs `argnums`.
THIXO_API Fn grad(Fn f, ArgNums argnums = {0});
/// The results of f, then the gradients.
THIXO_API Fn grad_and_value(Fn f, ArgNums argnums = {0});

struct Vjp {
  TensorList outputs;
  Fn pullback;  ///< from gradients of the outputs to gradients of all inputs
};
THIXO_API Vjp vjp(const Fn& f, const TensorList& inputs);

struct Jvp {
  TensorList outputs, tangents;
};
THIXO_API Jvp jvp(const Fn& f, const TensorList& inputs, const TensorList& tangents);

struct VmapOptions {
  std::vector<int64_t> in_dims{};   ///< per input, kNoBatch for the same value in all examples; empty: all 0
  std::vector<int64_t> out_dims{};  ///< per result, kNoBatch for one value of all examples; empty: all 0
  std::function<std::vector<int64_t>()> choose_out_dims{};  ///< asked for out_dims once the results are known
  std::string randomness = "error"; ///< or "different", "same"
  int64_t chunk_size = 0;           ///< at most so many examples at once; 0: all
};
inline constexpr int64_t kNoBatch = INT64_MIN;
/// f, written for one example, over a batch.
THIXO_API Fn vmap(Fn f, VmapOptions options = {});

/// The Jacobians of f, [result dims..., input dims...]: for each result, those by the inputs `argnums` in turn. jacrev
/// goes back from the results (few results), jacfwd forward from the inputs (few inputs).
THIXO_API Fn jacrev(Fn f, ArgNums argnums = {0});
THIXO_API Fn jacfwd(Fn f, ArgNums argnums = {0});
/// jacfwd(jacrev(f)): for each result and each input of `argnums`, its second derivatives by that and each other.
THIXO_API Fn hessian(Fn f, ArgNums argnums = {0});

}  // namespace thixo::func
