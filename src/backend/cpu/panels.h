// Packing: an operand's elements in the order in which a register tile reads them, converted to the type that it
// computes in. Element (i, k) of an operand is data[outer[i] + inner[k]]: one form for matrices of any strides, their
// transposes, and the patches of an image (a convolution's "im2col" is never written out).
#pragma once

#include <cstdint>

#include "thixo/dtype.h"

namespace thixo::cpu {

/// The type that a contraction of t computes in: f32 for 16-bit floats, i32 and i64 for integers of up to their size,
/// the parts' type for complex numbers.
DType gemm_type(DType t);

struct PackJob {
  const void* data;
  DType dtype;
  const int64_t* outer;  ///< offsets in elements
  int64_t outer_count;
  const int64_t* inner;
  int64_t inner_count;
  int width;           ///< rows (or columns) of a panel; the last one is filled up with zeros
  bool slack = false;  ///< `width` elements past every element may be read
};

/// Writes panels [p][k][width] of gemm_type(dtype).
void pack_panels(const PackJob& job, void* to);

/// The right operand of a complex product as a real matrix of twice the rows and columns:
///   [re im; -im re] for each element, so that interleaved rows times it are interleaved results.
/// `width` counts real columns; offsets count complex elements.
void pack_complex_panels(const PackJob& job, void* to);

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
inline int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }

}  // namespace thixo::cpu
