#include <cmath>

#include "ir/dispatch.h"
#include "thixo/nn_utils.h"

namespace thixo::nn::utils {
namespace {

TensorList gradients(const TensorList& parameters) {
  TensorList grads;
  for (const Tensor& p : parameters) {
    if (Tensor g = p.grad(); g.defined()) grads.push_back(g);
  }
  return grads;
}

/// sum |g|^p of one gradient, or max |g|; of halves in f32, where squares and sums do not overflow.
Tensor partial_norm(const Tensor& grad, double p) {
  const Tensor real = is_complex(grad.dtype()) ? grad.abs() : grad;
  const Tensor g = item_size(real.dtype()) < item_size(DType::F32) ? real.to(DType::F32) : real;
  if (std::isinf(p)) return g.abs().amax();
  if (p == 1) return g.abs().sum();
  return p == 2 ? (g * g).sum() : g.abs().pow(p).sum();
}

}  // namespace

Tensor clip_grad_norm_(const TensorList& parameters, double max_norm, double norm_type, bool error_if_nonfinite) {
  if (!(norm_type > 0))
    throw ValueError("clip_grad_norm_: norm_type is " + std::to_string(norm_type)).need("norm_type > 0");
  GradMode off(false);
  const TensorList grads = gradients(parameters);
  if (grads.empty()) return tensor(std::vector<float>{0}, {});
  Tensor total;
  for (const Tensor& g : grads) {
    Tensor part = partial_norm(g, norm_type);
    total = !total.defined() ? part : std::isinf(norm_type) ? maximum(total, part) : total + part;
  }
  if (norm_type == 2) {
    total = total.sqrt();
  } else if (norm_type != 1 && !std::isinf(norm_type)) {
    total = total.pow(1 / norm_type);
  }
  if (error_if_nonfinite && !std::isfinite(total.item())) {
    throw ValueError("clip_grad_norm_: the norm of the gradients is " + std::to_string(total.item()))
        .fix("look for the op that made them: run the step under detect_anomaly, or lower the learning rate");
  }
  const Tensor scale = (max_norm / (total + 1e-6)).clamp(std::nullopt, std::optional<Scalar>(1.0));
  for (Tensor g : grads) g.mul_(scale);  // a number: the gradient keeps its dtype
  return total;
}

void clip_grad_value_(const TensorList& parameters, double clip_value) {
  GradMode off(false);
  for (Tensor g : gradients(parameters))
    g.clamp_(std::optional<Scalar>(-clip_value), std::optional<Scalar>(clip_value));
}

}  // namespace thixo::nn::utils
