// The same kernel in basic operations: transcendental functions as polynomials, complex arithmetic in parts.
#pragma once

#include "ir/kernel_ir.h"

namespace thixo::codegen {

Kernel expand_kernel(const Kernel& k);

/// f32 from the bits of f16 or bf16 (an Input of u16), and back, rounded to nearest even.
Expr widen_half(DType half);
Expr narrow_half(DType half);

}  // namespace thixo::codegen
