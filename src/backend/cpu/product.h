// Matrix products by whatever is fastest here: oneDNN where that was measured so, else the generated tiles.
#pragma once

#include "backend/cpu/gemm.h"

namespace thixo::cpu {

void product(const Gemm& g);
/// `count` products of one shape; offsets in elements.
void product_batch(const Gemm& g, int64_t count, const BatchOffsets* offsets);

}  // namespace thixo::cpu
