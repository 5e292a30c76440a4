// What eager runs for ops at computed places: scatters, counting what is not zero, permutations, joins.
#pragma once

#include "ir/backend.h"

namespace thixo::cpu {

void add_index_entries();

/// The contents of src, broadcast, into dst.
void copy(const Tensor& src, const Tensor& dst);

void scatter_rows_kernel(const Call& call, std::span<const Tensor> out);
void scatter_along_kernel(const Call& call, std::span<const Tensor> out);
void take_along_kernel(const Call& call, std::span<const Tensor> out);

}  // namespace thixo::cpu
