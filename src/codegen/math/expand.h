// Functions as basic operations: what turns exp, log, sin, pow and complex arithmetic into additions,
// multiplications, bit operations and selections, the same for every target and without a branch or a table.
//
// Errors (units in the last place, tested over the full range with denormals in and out):
//   see the comment of each function in exp.cpp, log.cpp, trig.cpp, erf.cpp, pow.cpp and complex.cpp.
#pragma once

#include <utility>

#include "ir/expr.h"

namespace thixo::codegen {

struct MathOptions {
  bool fma = true;  // false: every Fma becomes a multiply and an add (deterministic mode)
};

/// e without transcendental nodes, and without Mod and FloorDiv of floats. Complex nodes must be expanded before.
Expr expand_math(Expr e, MathOptions options = {});

/// e with complex arithmetic in real parts: complex leaves stand under Real and Imag only, and where the result is
/// complex it is a Complex node (or the leaf itself). Comparisons, Select and Cast of complex values are expanded too.
Expr expand_complex(Expr e);
/// The real and imaginary part of e, expanded (0 where e is real).
std::pair<Expr, Expr> complex_parts(Expr e);

/// f32 from the bits (u16) of a 16-bit float, exact; and back, rounded to nearest even, nan kept.
Expr widen(Expr bits, DType half);
Expr narrow(Expr f32, DType half);

}  // namespace thixo::codegen
