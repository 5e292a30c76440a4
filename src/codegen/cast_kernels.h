// Kernels that bring elements from one dtype or layout to another.
//
//   cast.<from>.<to>.c     contiguous to contiguous
//   cast.<from>.<to>.s     strided to strided; ints: stride of the input, stride of the output (in elements)
//   copy.<bytes>.s         the same without a change of dtype, for elements of 1, 2, 4, 8, 16 bytes
#pragma once

#include "codegen/pack_builder.h"

namespace thixo::codegen {

void add_cast_kernels(PackSink& sink);

/// The value type that loads of a buffer of dtype t give and stores into it take.
constexpr DType loaded_type(DType t) { return t == DType::F16 || t == DType::BF16 ? DType::F32 : t; }
/// v in another value type, as Tensor::to converts: to bool by v != 0, complex to real by its real part.
Expr convert(Expr v, DType to);
/// The dtype that stands for any of its size where elements are only moved.
DType moved_type(DType t);

}  // namespace thixo::codegen
