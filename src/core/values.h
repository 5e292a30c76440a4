// Single values of any dtype in memory, for printing, item() and scalars. Kernels have their own code.
#pragma once

#include "thixo/dtype.h"
#include "thixo/scalar.h"

namespace thixo {

/// The value at `p`. A u64 beyond the int64 range wraps, as in PyTorch.
Scalar load_scalar(const void* p, DType dtype);
/// Writes `v` as `dtype`.
void store_scalar(void* p, DType dtype, const Scalar& v);

}  // namespace thixo
