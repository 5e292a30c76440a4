// Shared by the reductions over dims: shape rule, nest and the way back.
#pragma once

#include "ir/op.h"

namespace thixo::ops {

/// Shape of operand 0 without (or with 1 at) the dims of attribute `dim`; `keepdim` says which.
Shape reduced_shape(const Call& c);
/// combine over the reduced dims of map(x[...]).
void reduce_nest(NestCtx& c, Combine combine, const std::function<Expr(Expr)>& map);
/// g, of the reduced shape, brought back to the shape of operand k by unsqueeze and expand.
Tensor expand_reduced(const Call& c, const Tensor& g, int k);
/// How many elements fall into one result.
Dim reduced_count(const Call& c);

}  // namespace thixo::ops
