// Matrix products by the kernel pack's register tiles: every dtype, any strides, no operand copied but into packed
// blocks. The loops, the blocking and the threads are here; the tiles are leaves (codegen/gemm_kernels.h).
//
// A sum is cut into blocks of kGemmBlock products, each one chain of fma; the blocks are added in their order. Cuts
// follow from the sizes alone, so the bits depend neither on the number of threads nor on the instruction set.
#pragma once

#include <cstdint>

#include "backend/cpu/panels.h"
#include "ir/kernel_ir.h"

namespace thixo::cpu {

inline constexpr int64_t kGemmBlock = 256;

/// The active pack's register tile for a gemm_type.
struct RegisterTile {
  int mr = 0, nr = 0;
  KernelFn set = nullptr, add = nullptr;
};
/// NotImplementedError when the library was built without kernels for this processor.
const RegisterTile& register_tile(DType gemm_type);

/// C[rows, columns] = A B, or += with `add`, from packed panels of A ([rows / mr][depth][mr]) and of B
/// ([columns / nr][depth][nr]). depth is at most kGemmBlock. C is of the tile's type, its rows ldc elements apart.
void multiply_panels(DType gemm_type, const void* a, const void* b, int64_t rows, int64_t columns, int64_t depth, bool add, void* c, int64_t ldc);

/// A matrix in memory; strides in elements.
struct Matrix {
  void* data;
  int64_t row_stride, column_stride;
};
/// C = A B + bias. All of one dtype but bias, which like C may be of any type with the same gemm_type.
struct Gemm {
  DType dtype;
  int64_t m, n, k;
  Matrix a, b, c;
  const void* bias = nullptr;  ///< one value a column
  int64_t bias_stride = 1;
  bool accumulate = false;  ///< C += A B; needs a C of gemm_type with consecutive columns, and no bias
};
/// On all threads where the size is worth it.
void gemm(const Gemm& g);
/// The products of `count` matrices; offset(i) gives those of A, B and C in elements.
struct BatchOffsets {
  int64_t a, b, c;
};
void gemm_batch(const Gemm& g, int64_t count, const BatchOffsets* offsets);

/// Writes a block of sums of type gemm_type(dtype), rows ld apart, as elements of dtype at c.rows/columns' strides.
void store_block(DType dtype, const void* block, int64_t ld, int64_t rows, int64_t columns, const Matrix& c);

}  // namespace thixo::cpu
