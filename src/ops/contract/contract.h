// Shared by the contractions: what their gradients and batching rules are written with.
#pragma once

#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {

/// The conjugate transpose of the last two dims.
Tensor adjoint(const Tensor& t);
/// Sums t over what broadcasting had added to `shape`.
Tensor sum_to(const Tensor& t, const Shape& shape);
/// [a, b, ..., K] as [a*b*..., K]; a view where the strides allow it.
Tensor fold_rows(const Tensor& t);
/// Throws DTypeError unless operands a and b have one dtype.
void require_same_dtype(const Infer& c, int a, int b);
/// For nests: the value of an operand in the type that sums are made in.
Expr widened(Expr v);

}  // namespace thixo::ops
