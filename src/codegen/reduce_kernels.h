// Kernels of reductions. The result is gathered in a dense buffer of accumulators, which the caller fills with the
// neutral element first; each call adds to it, so long reductions are cut into pieces and their results combined in a
// fixed order.
//
//   rows     acc[p] = combine(acc[p], f over r of x[p * kept + r * reduced]), p parallel
//            ints: R, kept, reduced (without the last when contiguous: 1)
//   columns  acc[c] = combine(acc[c], f(x[p * reduced + c * kept])), p = r in order, 16 columns at a time
//            ints: C, reduced, kept (without the last when contiguous: 1)
//   finish   out[i] = finish(acc[i]); ints: the sizes that `finish` asks for
//
// Within a row sums are made of blocks of kBlock elements, so their error does not grow with the row's length.
#pragma once

#include "codegen/nest_form.h"

namespace thixo::codegen {

/// What is done to an element before it is combined.
struct ReduceForm {
  Expr map;  ///< over one Input: the element as it is loaded
  DType in;  ///< in memory
  Combine combine;
  DType acc() const { return map.dtype(); }
};
inline constexpr int kReduceBlock = 2048;

/// The form of a nest that reduces; nullopt unless it reads each element of one operand once, by its axes alone.
std::optional<ReduceForm> reduce_form(const NestForm& nest);
/// Combines accumulators.
ReduceForm combine_form(Combine combine, DType acc);

Kernel reduce_rows_kernel(const ReduceForm& form, bool contiguous);
Kernel reduce_columns_kernel(const ReduceForm& form, bool contiguous);

struct FinishKernel {
  Kernel kernel;
  std::vector<Dim> sizes;  ///< per integer argument, over nest_form's names
};
/// `finish` may be empty: a conversion to the dtype of the result.
FinishKernel finish_kernel(const NestForm& nest, DType acc, DType out);

}  // namespace thixo::codegen
