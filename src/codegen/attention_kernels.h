// What attention does to a block of scores s [rows, ld], between its matrix products. t: f32 f64.
//
//   attention.softmax.<t>[.mask]   s = softmax(s * scale + mask) over the first `seen` columns, zero after them;
//                                  lse[p] = the logarithm of the row's sum. A row without anything seen gives zeros.
//   attention.again.<t>[.mask]     s = exp(s * scale + mask - lse[p]), zero after `seen`
//   attention.scores.<t>           d = p * (d - share[row]) * scale
//   attention.share.<t>            share[p] = the sum of a[p] * b[p]
//
// p is the row; seen = min(columns, first + p + 1): all columns when first >= columns. Param 0: scale.
// ints: columns, ld, first, mask_ld (scores: columns, ld; share: columns, a_ld, b_ld)
#pragma once

#include "codegen/pack_builder.h"

namespace thixo::codegen {

void add_attention_kernels(PackSink& sink);

}  // namespace thixo::codegen
