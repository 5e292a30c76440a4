// What the scheduler asks of the values that it joins.
#pragma once

#include <functional>

#include "ir/expr.h"

namespace thixo::codegen {

/// Whether e has a transcendental in it: dearer to compute again than to keep.
bool expensive(Expr e);

/// Whether every value of e is one of dtype t, which is narrower than what e is computed in: then nothing is lost by
/// not storing it. So it is where e only chooses among values of t. `of_type` says it of loads and accumulators.
bool keeps_to_type(Expr e, DType t, const std::function<bool(Expr)>& of_type);

}  // namespace thixo::codegen
