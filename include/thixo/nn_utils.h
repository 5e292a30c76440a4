// Gradients of many parameters at once.
#pragma once

#include "thixo/tensor.h"

namespace thixo::nn::utils {

/// Scales the gradients so that their norm, taken over all of them, is at most max_norm; returns the norm they had.
/// Looks at no value unless error_if_nonfinite, so it may stand in a compiled step. norm_type: 1, 2, infinity, ...
THIXO_API Tensor clip_grad_norm_(const TensorList& parameters, double max_norm, double norm_type = 2,
                                 bool error_if_nonfinite = false);
/// Clamps each element of the gradients to [-clip_value, clip_value].
THIXO_API void clip_grad_value_(const TensorList& parameters, double clip_value);

}  // namespace thixo::nn::utils
