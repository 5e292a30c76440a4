// Shared by the reductions over dims: shape rule, nest and the way back.
#pragma once

#include "ir/op.h"

namespace thixo::ops {

/// Shape of operand 0 without (or with 1 at) the dims of attribute `dim`; `keepdim` says which.
Shape reduced_shape(const Call& c);
/// combine over the reduced dims of map(x[...]).
void reduce_nest(NestCtx& c, Combine combine, const std::function<Expr(Expr)>& map);
/// g, of the reduced shape, brought back to the rank of operand 0 with 1 at the reduced dims.
Tensor keep_dims(const Call& c, const Tensor& g);
/// g, of the reduced shape, brought back to the shape of operand 0.
Tensor expand_reduced(const Call& c, const Tensor& g);
/// How many elements fall into one result.
Dim reduced_count(const Call& c);
/// ValueError when that is none: a maximum needs one.
void require_elements(const Infer& c);
/// x in the type that arithmetic on it is done in (float32 for the 16-bit floats).
Tensor widened(const Tensor& x);
/// Shapes and attributes dim and keepdim that every reduction is tested with.
std::vector<Sample> reduce_samples();

}  // namespace thixo::ops
