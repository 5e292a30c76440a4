// A matrix times a vector: read once, never packed.
#pragma once

#include "backend/cpu/gemm.h"

namespace thixo::cpu {

/// True when g was a product with one row or one column whose matrix lies so that a kernel can read it, and is done.
bool gemv(const Gemm& g);

}  // namespace thixo::cpu
