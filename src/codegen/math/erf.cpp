// The error function, errors in ulps, f32 / f64: 1.75 / 1.5 (at most 1 more without fma).
//
// Below 1 (f32: 0.93) x + x P(x^2); above, 1 - 2^Q(|x|), where Q approximates log2(1 - erf). Both are computed and
// one is chosen. The power counts by less than 0.2, so its own error hardly shows.
#include "codegen/math/build.h"

namespace thixo::codegen {

Expr expand_erf(Expr x) {
  Expr a = abs(x);
  Expr small = fma(polynomial(x * x, for_type(x, kErfF32, kErfF64)), x, x);

  Expr t = at_most(a, is_f64(x) ? 6.0 : 3.95);  // from here on erf is 1
  Expr q = polynomial(t, for_type(x, kErfTailF32, kErfTailF64));
  Rounded n = round_by_adding(q, 1, is_f64(x) ? 1023 : 127);
  Expr p = polynomial(q - n.value, for_type(x, kExp2F32, kExp2F64));
  Expr power = bitcast(shift_left(n.biased, is_f64(x) ? 52 : 23), x.dtype());
  Expr large = copysign(fma(-p, power, num(1, x)), x);
  return select(a > (is_f64(x) ? 1.0 : 0.925), large, small);
}

}  // namespace thixo::codegen
