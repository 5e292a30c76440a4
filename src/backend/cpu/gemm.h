// Matrix products by the kernel pack's register tiles: every dtype, any strides, no operand copied but into packed
// blocks. The loops, the blocking and the threads are here; the tiles are leaves (codegen/gemm_kernels.h).
//
// A sum is cut into blocks of gemm_block() products, each one chain of fma; the blocks are added in their order. Cuts
// follow from the sizes alone, so the bits depend neither on the number of threads nor on the instruction set.
#pragma once

#include <cstdint>

#include "backend/cpu/panels.h"
#include "ir/kernel_ir.h"

namespace thixo::cpu {

/// So many that a panel of B is half of a first cache (32 KiB).
constexpr int64_t gemm_block(DType gemm_type) { return item_size(gemm_type) == 4 ? 256 : 128; }

/// The active pack's register tile for a gemm_type.
struct RegisterTile {
  int mr = 0, nr = 0;
  KernelFn set = nullptr, add = nullptr;
};
/// NotImplementedError when the library was built without kernels for this processor.
const RegisterTile& register_tile(DType gemm_type);

/// C[rows, columns] = A B, or += with `add`, from packed panels of A ([rows / mr][depth][mr]) and of B
/// ([columns / nr][depth][nr]). depth is at most gemm_block(). C is of the tile's type, its rows ldc elements apart.
void multiply_panels(DType gemm_type, const void* a, const void* b, int64_t rows, int64_t columns, int64_t depth,
                     bool add, void* c, int64_t ldc);

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
  bool wide = false;        ///< C is of gemm_type(dtype)
};
/// On all threads where the size is worth it.
void gemm(const Gemm& g);

/// Where the matrices of a batch lie, in elements.
struct BatchOffsets {
  int64_t a = 0, b = 0, c = 0;
};

/// Writes a block of sums of type gemm_type(dtype), its rows ld apart, as elements of dtype: element (i, j) goes to
/// to[i * row_stride + columns_at[j]].
void store_block(DType dtype, const void* block, int64_t ld, int64_t rows, int64_t columns, void* to,
                 int64_t row_stride, const int64_t* columns_at);

}  // namespace thixo::cpu
