// Arguments of sin and cos brought to [-pi/4, pi/4].
#pragma once

#include "codegen/math/build.h"

namespace thixo::codegen {

/// x = (quadrant + 4 n) pi/2 + r + low.
struct Reduction {
  Expr quadrant;  // unsigned, its low two bits count
  Expr r;
  Expr low;  // what r rounded off
};

/// For every finite x, if not cheaply. nan for inf and nan.
Reduction reduce_large_f32(Expr x);
Reduction reduce_large_f64(Expr x);

}  // namespace thixo::codegen
