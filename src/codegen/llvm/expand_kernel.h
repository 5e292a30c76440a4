// The same kernel in basic operations: transcendental functions as polynomials, complex arithmetic in parts.
#pragma once

#include "ir/kernel_ir.h"

namespace thixo::codegen {

Kernel expand_kernel(const Kernel& k);

}  // namespace thixo::codegen
