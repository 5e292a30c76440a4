// The functions of this backend's table (ir/backend.h), one per .kernel("name") of a definition.
#pragma once

#include "ir/backend.h"

namespace thixo::cpu {

/// Contractions read their operands while they write: when `out` is an operand itself (the executor lets no other
/// overlap pass), `run` gets memory of its own, which is copied afterwards.
void without_alias(const Call& call, const Tensor& out, void (*run)(const Call&, const Tensor&));
/// Between two layouts of one shape and dtype; elements one by one where both are not contiguous: for what is rare.
void copy_elements(const Tensor& from, const Tensor& to);
void fill_zero(const Tensor& t);

void matmul_kernel(const Call& call, std::span<const Tensor> out);
void linear_kernel(const Call& call, std::span<const Tensor> out);
void conv2d_kernel(const Call& call, std::span<const Tensor> out);
void conv2d_input_grad_kernel(const Call& call, std::span<const Tensor> out);
void conv2d_weight_grad_kernel(const Call& call, std::span<const Tensor> out);
void channel_sums_kernel(const Call& call, std::span<const Tensor> out);
void cumsum_kernel(const Call& call, std::span<const Tensor> out);
void cumsum_reverse_kernel(const Call& call, std::span<const Tensor> out);
void window_place_kernel(const Call& call, std::span<const Tensor> out);
void window_give_kernel(const Call& call, std::span<const Tensor> out);
void window_max_backward_kernel(const Call& call, std::span<const Tensor> out);
void window_share_kernel(const Call& call, std::span<const Tensor> out);
void attention_kernel(const Call& call, std::span<const Tensor> out);
void attention_backward_kernel(const Call& call, std::span<const Tensor> out);

}  // namespace thixo::cpu
