// Complex arithmetic in real parts. Add, multiply and divide in the parts' own type, as NumPy does it (a product is
// the textbook's, a quotient Smith's); the other functions in f64 throughout, which for complex64 leaves no overflow
// inside and a result within 1 ulp of each part. complex128: |error| within 8 ulps of |result| (pow: more, as
// |w log z| grows). Infinite and nan arguments as C99 annex G where that costs a selection or two.
#include <cmath>

#include "codegen/math/build.h"
#include "codegen/math/expand.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

struct Parts {
  Expr re, im;
};

Expr complex_of(const Parts& z) { return binary(ExprOp::Complex, z.re, z.im); }
Expr is_inf(Expr x) { return eq(abs(x), num(INFINITY, x)); }
Expr is_zero(Expr x) { return eq(x, num(0, x)); }
Expr zero_like(Expr x) { return num(0, x); }

Parts parts_of(Expr e) {
  if (e->op == ExprOp::Complex) return {e->args[0], e->args[1]};
  return {unary(ExprOp::Real, e), unary(ExprOp::Imag, e)};  // constants fold
}
Parts cast_parts(const Parts& z, DType t) { return {cast(z.re, t), cast(z.im, t)}; }

Parts multiply(const Parts& a, const Parts& b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }

// Smith 1962: divided by the larger part of b first, so that nothing overflows that need not. Not by a reciprocal: that
// of a number below the smallest normal one overflows.
Parts divide(const Parts& a, const Parts& b) {
  Expr real_larger = abs(b.re) >= abs(b.im);
  Expr large = select(real_larger, b.re, b.im), small = select(real_larger, b.im, b.re);
  Expr ratio = select(is_zero(large), large, small / large);
  Expr size = large + small * ratio;
  Expr re = select(real_larger, a.re + a.im * ratio, a.re * ratio + a.im);
  Expr im = select(real_larger, a.im - a.re * ratio, a.im * ratio - a.re);
  return {re / size, im / size};
}

// --- functions of f64 parts

// Of the larger part, so that squares stay inside the range; inf whatever the other is, were it nan.
Expr magnitude(const Parts& z) {
  Expr a = abs(z.re), b = abs(z.im), m = max(a, b), n = min(a, b);
  Expr t = n / m;
  Expr h = select(is_zero(m), m, m * sqrt(fma(t, t, num(1, t))));
  return select(is_inf(a) | is_inf(b), num(INFINITY, h), h);
}

/// x and a factor with exp(x) * factor = exp of what was given, so that a product with something small may come
/// between.
struct Scaled {
  Expr value, factor;
};
Scaled scale_down(Expr x) {
  Expr big = x > 700.0;
  return {select(big, x - 16.0, x), select(big, num(8886110.520507872, x), num(1, x))};  // exp(16)
}

Parts exp_parts(const Parts& z) {
  auto [x, factor] = scale_down(z.re);
  Expr e = exp(x);
  Expr re = e * cos(z.im) * factor, im = e * sin(z.im) * factor;
  // 0 times a nan of an infinite angle, and inf times the sine of 0
  Expr vanishes = eq(z.re, num(-INFINITY, x));
  return {select(vanishes, zero_like(x), re), select(is_zero(z.im), z.im, select(vanishes, zero_like(x), im))};
}

Parts log_parts(const Parts& z) {
  Expr a = abs(z.re), b = abs(z.im), m = max(a, b), n = min(a, b);
  Expr t = select(is_zero(m) | is_inf(m), zero_like(m), n / m);
  auto log1p = [](Expr v) { return unary(ExprOp::Log1p, v); };
  Expr far = log(m) + 0.5 * log1p(t * t);
  Expr near = 0.5 * log1p((m - 1.0) * (m + 1.0) + n * n);  // where log(m) and the rest cancel
  Expr re = select((m > 0.5) & (m < 2.0), near, far);
  return {select(is_inf(a) | is_inf(b), num(INFINITY, re), re), expand_atan2(z.im, z.re)};
}

Parts sqrt_parts(const Parts& z) {
  Expr m = max(abs(z.re), abs(z.im));
  Expr huge = m > 0x1p1000, tiny = m < 0x1p-900;
  Expr scale = select(huge, num(0x1p-100, m), select(tiny, num(0x1p200, m), num(1, m)));
  Expr back = select(huge, num(0x1p50, m), select(tiny, num(0x1p-100, m), num(1, m)));
  Expr x = z.re * scale, y = z.im * scale;
  Expr t = sqrt((abs(x) + magnitude({x, y})) * 0.5);
  Expr r = select(is_zero(t), t, abs(y) / (t + t));
  Expr infinite = is_inf(z.im), inf = num(INFINITY, m);
  t = select(infinite, inf, t * back);
  r = select(infinite, inf, r * back);
  Expr left = x < 0.0;
  return {select(left, r, t), copysign(select(left, t, r), z.im)};
}

/// sinh and cosh of |y|, each times `factor`.
struct Hyperbolic {
  Expr sinh, cosh, factor;
};
Hyperbolic hyperbolic(Expr y) {
  auto [a, factor] = scale_down(abs(y));
  Expr e = unary(ExprOp::Expm1, a), up = e + 1.0;
  return {0.5 * (e + select(is_inf(e), num(1, e), e / up)), 0.5 * (up + 1.0 / up), factor};
}

Parts sin_parts(const Parts& z) {
  Hyperbolic h = hyperbolic(z.im);
  Expr re = sin(z.re) * h.cosh * h.factor, im = cos(z.re) * copysign(h.sinh, z.im) * h.factor;
  return {select(is_zero(z.re), z.re, re),
          select(is_zero(z.im), z.im * select(cos(z.re) < 0.0, num(-1, re), num(1, re)), im)};
}

Parts cos_parts(const Parts& z) {
  Hyperbolic h = hyperbolic(z.im);
  Expr re = cos(z.re) * h.cosh * h.factor, im = -(sin(z.re) * copysign(h.sinh, z.im) * h.factor);
  return {re, select(is_zero(z.re), -(z.re * copysign(num(1, re), z.im)), im)};
}

// Kahan 1987, Branch cuts for complex elementary functions.
Parts tanh_parts(const Parts& z) {
  Expr a = abs(z.re), far = a > 22.0, x = copysign(at_most(a, 22), z.re);
  Expr e = unary(ExprOp::Expm1, abs(x));
  Expr s = copysign(0.5 * (e + e / (e + 1.0)), x);
  Expr sine = sin(z.im), cosine = cos(z.im);
  Expr t = sine / cosine, beta = fma(t, t, num(1, t)), squared = s * s;
  Expr denominator = fma(beta, squared, num(1, t));
  Expr re = beta * sqrt(squared + 1.0) * s / denominator, im = t / denominator;
  Expr far_im = select(is_inf(a), copysign(zero_like(a), z.im), 4.0 * sine * cosine * exp(a * -2.0));
  return {select(far, copysign(num(1, a), z.re), re), select(far, far_im, im)};
}

// 1 / (1 + exp(-z)) right of zero, exp(z) / (1 + exp(z)) left: the exponential cannot overflow.
Parts sigmoid_parts(const Parts& z) {
  Expr left = z.re < 0.0;
  Parts u = exp_parts({-abs(z.re), select(left, z.im, -z.im)});
  Parts top{select(left, u.re, num(1, u.re)), select(left, u.im, zero_like(u.im))};
  return divide(top, {u.re + 1.0, u.im});
}

Parts pow_parts(const Parts& z, const Parts& w) {
  Parts p = exp_parts(multiply(w, log_parts(z)));
  Expr zero = zero_like(p.re), one = num(1, p.re), nan = num(NAN, p.re);
  Expr base_zero = is_zero(z.re) & is_zero(z.im), exponent_zero = is_zero(w.re) & is_zero(w.im);
  Expr at_zero = select(w.re > 0.0, zero, nan);
  return {select(exponent_zero, one, select(base_zero, at_zero, p.re)),
          select(exponent_zero, zero, select(base_zero, at_zero, p.im))};
}

Parts function_parts(ExprOp op, const Parts& z, const Parts& w) {
  switch (op) {
    case ExprOp::Exp: return exp_parts(z);
    case ExprOp::Log: return log_parts(z);
    case ExprOp::Sqrt: return sqrt_parts(z);
    case ExprOp::Sin: return sin_parts(z);
    case ExprOp::Cos: return cos_parts(z);
    case ExprOp::Tanh: return tanh_parts(z);
    case ExprOp::Sigmoid: return sigmoid_parts(z);
    case ExprOp::Rsqrt: return divide({num(1, z.re), zero_like(z.re)}, sqrt_parts(z));
    case ExprOp::Pow: return pow_parts(z, w);
    default: throw InternalError("no complex " + std::string(expr_op_name(op)));
  }
}

// --- nodes

/// A node whose result is complex, its arguments expanded.
Parts complex_node(Expr e) {
  Parts a = parts_of(e->args[e->op == ExprOp::Select ? 1 : 0]);
  Parts b = e->args.size() > 1 ? parts_of(e->args.back()) : a;
  switch (e->op) {
    case ExprOp::Add: return {a.re + b.re, a.im + b.im};
    case ExprOp::Sub: return {a.re - b.re, a.im - b.im};
    case ExprOp::Mul: return multiply(a, b);
    case ExprOp::Div: return divide(a, b);
    case ExprOp::Neg: return {-a.re, -a.im};
    case ExprOp::Conj: return {a.re, -a.im};
    case ExprOp::Select: return {select(e->args[0], a.re, b.re), select(e->args[0], a.im, b.im)};
    case ExprOp::Cast: return cast_parts(a, real_type(e->dtype));
    default: break;
  }
  DType t = a.re.dtype();
  return cast_parts(function_parts(e->op, cast_parts(a, DType::F64), cast_parts(b, DType::F64)), t);
}

/// A node with a real result and complex arguments.
Expr real_node(Expr e) {
  Parts a = parts_of(e->args[0]);
  switch (e->op) {
    case ExprOp::Real: return a.re;
    case ExprOp::Imag: return a.im;
    case ExprOp::Abs: return cast(magnitude(cast_parts(a, DType::F64)), a.re.dtype());
    case ExprOp::IsNan: return is_nan(a.re) | is_nan(a.im);
    case ExprOp::Cast:
      return e->dtype == DType::Bool ? ne(a.re, zero_like(a.re)) | ne(a.im, zero_like(a.im)) : cast(a.re, e->dtype);
    default: break;
  }
  Parts b = parts_of(e->args[1]);
  return e->op == ExprOp::Eq ? eq(a.re, b.re) & eq(a.im, b.im) : ne(a.re, b.re) | ne(a.im, b.im);
}

Expr expand_node(Expr e) {
  if (e->op <= ExprOp::Load || e->op == ExprOp::Complex) return {};
  if (!is_complex(e.dtype())) return !e->args.empty() && is_complex(e->args[0].dtype()) ? real_node(e) : Expr();
  if (e->op == ExprOp::Cast && !is_complex(e->args[0].dtype())) {
    Expr re = cast(e->args[0], real_type(e.dtype()));
    return complex_of({re, zero_like(re)});
  }
  return complex_of(complex_node(e));
}

}  // namespace

// atan of min/max of the parts, brought below tan(pi/8) by atan(t) = pi/4 + atan((t-1) / (t+1)), then the octant.
Expr expand_atan2(Expr y, Expr x) {
  Expr a = abs(x), b = abs(y), m = max(a, b), n = min(a, b);
  Expr equal = eq(m, n), one = num(1, m);
  m = select(is_zero(m) | equal, one, m);  // both 0: 0 / 1; both the same, were it inf: 1 / 1
  n = select(equal & ne(n, num(0, n)), one, n);
  Expr upper = n > m * 0.41421356237309503;
  Expr t = select(upper, n - m, n) / select(upper, n + m, m), z = t * t;
  Expr angle = fma(t * z, polynomial(z, kAtanF64), t);
  angle = select(upper, angle + 0.7853981633974483, angle);
  angle = select(b > a, 1.5707963267948966 - angle, angle);
  Expr left = bitcast(x, DType::I64) < constant_int(0, DType::I64);
  angle = select(left, 3.141592653589793 - angle, angle);
  return copysign(angle, y);
}

Expr expand_complex(Expr e) { return rewrite(e, expand_node); }

std::pair<Expr, Expr> complex_parts(Expr e) {
  Expr out = expand_complex(e);
  if (!is_complex(e.dtype())) return {out, zero_like(out)};
  Parts z = parts_of(out);
  return {z.re, z.im};
}

}  // namespace thixo::codegen
