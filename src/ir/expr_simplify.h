// Constant folding and simplification, applied to a node before it is interned. Never changes a bit of a
// result (payload and sign of a nan apart).
#pragma once

#include "ir/expr.h"

namespace thixo {

/// What stands for this node, or null when it stays. May swap a constant of a commutative op to the right.
Expr simplify(ExprNode& node);

}  // namespace thixo
