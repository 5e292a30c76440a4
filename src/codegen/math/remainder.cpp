// Mod and FloorDiv of floats, as Python and PyTorch define them. Exact while |x / y| < 2^52 (f64), 2^54 (f32, in f64);
// past that the result has the right sign and is smaller than |y|, but not the right value.
#include <cmath>

#include "codegen/math/build.h"

namespace thixo::codegen {
namespace {

// a - floor(a/b) b for a / b below 2^27 (b of f32) or 2^26 (of f64, in two halves: each product is exact); the quotient
// may be one off when it rounds, which is mended.
Expr step(Expr a, Expr b, bool narrow) {
  Expr q = floor(a / b), r;
  if (narrow) {
    r = a - q * b;
  } else {
    Expr high = bitcast(bitcast(b, DType::U64) & constant_int(~int64_t{0x7ffffff}, DType::U64), DType::F64);
    r = (a - q * high) - q * (b - high);
  }
  r = select(r < 0.0, r + b, r);
  r = select(r >= b, r - b, r);
  return select(a < b, a, r);
}

// C's fmod of x and y, both widened from type t to f64. nan for y = 0, infinite x and nan.
Expr fmod_f64(Expr x, Expr y, DType t) {
  bool narrow = t != DType::F64;
  Expr a = abs(x), b = abs(y), far = b * (narrow ? 0x1p27 : 0x1p26);
  Expr r = step(select_rare(a >= far, step(a, far, narrow), a), b, narrow);
  r = select(r < b, r, num(0, r));
  Expr none = eq(b, num(0, b)) | eq(a, num(INFINITY, a)) | is_nan(a) | is_nan(b);
  return copysign(select(none, num(NAN, r), r), x);
}

/// Whether a remainder isn't 0 and has the sign that y has not.
Expr is_opposite(Expr r, Expr y) { return ne(r, num(0, r)) & ((r < 0.0) ^ (y < 0.0)); }

}  // namespace

Expr expand_mod(Expr x, Expr y) {
  Expr r = cast(fmod_f64(cast(x, DType::F64), cast(y, DType::F64), x.dtype()), x.dtype());
  return select(is_opposite(r, y), r + y, r);
}

Expr expand_floor_div(Expr x, Expr y) {
  Expr a = cast(x, DType::F64), b = cast(y, DType::F64), r = fmod_f64(a, b, x.dtype());
  Expr q = (a - r) / b;  // an integer but for rounding
  q = unary(ExprOp::Round, select(is_opposite(r, b), q - 1.0, q));
  q = select(eq(q, num(0, q)), copysign(q, a / b), q);
  return cast(select(eq(b, num(0, b)), a / b, q), x.dtype());
}

}  // namespace thixo::codegen
