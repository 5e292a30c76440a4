// Shared by the ops that read and write at computed places.
#pragma once

#include "ir/op.h"

namespace thixo::ops {

/// The dim of attribute `dim`; 0 for tensors without dims.
int indexed_dim(const Call& c, int rank);
/// The element of an index operand, as an I64.
Expr place(const NestCtx& c, int operand, std::vector<Expr> at);
/// An index tensor of a sample.
SampleTensor indices(Shape shape, std::vector<double> values);

}  // namespace thixo::ops
