// The other half of the derivative of a function that is not holomorphic.
#pragma once

#include "ir/expr.h"

namespace thixo {

/// d out / d conj(x), where derivative() is d out / dx (Wirtinger): d out = (d out/dx) dx + (d out/d conj(x)) conj(dx).
/// Zero for real x. Both are of x's type also where `out` is real, as abs of a complex number is.
Expr conjugate_derivative(Expr out, Expr x);

}  // namespace thixo
