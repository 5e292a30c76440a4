// Functions of layers that change what they are given. All others are ops: thixo::gelu, thixo::conv2d, ...
#pragma once

#include "thixo/tensor.h"

namespace thixo::nn::functional {

/// (x - mean) / sqrt(var + eps) * weight + bias for each channel of x [N, C, ...]; weight and bias are [C] or
/// undefined. Training, mean and var are the batch's, and running_mean and running_var [C], where defined, move towards
/// them in place by `momentum` (the variance of the population). Otherwise they are the running ones. ShapeError where
/// a vector does not fit the channels; ValueError without running statistics when not training, and for a batch of one
/// value. Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167
///
///     Tensor mean = zeros({3}), var = ones({3});
///     Tensor y = nn::functional::batch_norm(randn({8, 3}), mean, var, {}, {}, true);
THIXO_API Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                            const Tensor& weight = {}, const Tensor& bias = {}, bool training = false,
                            double momentum = 0.1, double eps = 1e-5);

}  // namespace thixo::nn::functional
