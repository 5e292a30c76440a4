// The register tiles of contractions: C[mr, nr] of packed panels, the leaves under src/backend/cpu/gemm.cpp.
//
//   gemm.<type>.<mr>x<nr>[.det].set|add     type: f32 f64 i32 i64
//
// Parallel axis p: panels of mr rows. Buffers: a, panels [p][k][mr]; b, one panel [k][nr]; c. ints: k, ldc.
// set stores the products' sums, add adds them to c. Every sum is one chain of fma over k (det: of multiply and
// add, the same on every target), so the bits do not depend on the tile's shape: an instruction set takes the shape
// that fills its registers.
//
//   gemv.<type>[.det].rows         y[p] = sum over k of a[p * lda + k] * x[k]                ints: K, lda
//   gemv.<type>[.det].columns      y[c] = sum over k of a[k * lda + c] * x[k], c from 64 p   ints: K, lda
//   gemv.<type>[.det].last         the same with p = c
//
// type also f16 and bf16, in memory; x and y are of the type that is computed in.
#pragma once

#include "codegen/pack_builder.h"

namespace thixo::codegen {

struct TileShape {
  int mr, nr;
};
/// The shapes in the pack; which one a processor uses is the backend's choice.
inline constexpr TileShape kTileShapes[] = {{2, 16}, {6, 16}, {12, 16}, {12, 32}};

/// Columns that one step of gemv.columns takes.
inline constexpr int kGemvColumns = 64;

void add_gemm_kernels(PackSink& sink);
void add_gemv_kernels(PackSink& sink);

}  // namespace thixo::codegen
