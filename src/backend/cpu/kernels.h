// The functions of this backend's table (ir/backend.h), one per .kernel("name") of a definition.
#pragma once

#include "ir/backend.h"

namespace thixo::cpu {

void matmul_kernel(const Call& call, std::span<const Tensor> out);
void linear_kernel(const Call& call, std::span<const Tensor> out);
void conv2d_kernel(const Call& call, std::span<const Tensor> out);
void conv2d_input_grad_kernel(const Call& call, std::span<const Tensor> out);
void conv2d_weight_grad_kernel(const Call& call, std::span<const Tensor> out);

}  // namespace thixo::cpu
