// Symbolic derivatives, forward through the expression. The rules are written in the node's own value wherever
// that is cheaper (tanh, exp, sigmoid, sqrt, ...), so an op's tape saves its output and computes nothing twice.
#include "ir/derivative.h"

#include <unordered_map>

#include "thixo/error.h"

namespace thixo {
namespace {

class Differentiator {
 public:
  /// With respect to x, or to its conjugate.
  Differentiator(Expr x, bool conjugate) : x_(x), conjugate_(conjugate) {}

  /// Null stands for zero: no term is made that would only be multiplied away.
  Expr of(Expr e) {
    auto& memo = conjugate_ ? conjugate_memo_ : memo_;
    if (auto it = memo.find(e.get()); it != memo.end()) return it->second;
    Expr d = e == x_                        ? (conjugate_ ? Expr() : constant(1.0, e.dtype()))
             : is_differentiable(e.dtype()) ? rule(e)
                                            : Expr();
    memo.emplace(e.get(), d);
    return d;
  }

 private:
  static Expr number(double v, Expr like) { return constant(v, like.dtype()); }
  static Expr zero_like(Expr e) { return number(0, e); }
  static Expr or_zero(Expr d, Expr like) { return d ? d : zero_like(like); }

  static Expr add(Expr a, Expr b) { return !a ? b : !b ? a : a + b; }
  static Expr subtract(Expr a, Expr b) { return !b ? a : !a ? -b : a - b; }
  static Expr times(Expr d, Expr factor) { return d ? d * factor : Expr(); }
  /// d where c holds, else 0.
  static Expr where(Expr c, Expr d) { return d ? select(c, d, zero_like(d)) : Expr(); }

  /// The derivative of conj(e): conj(de / d conj(x)), and the other way round.
  Expr of_conj(Expr e) {
    conjugate_ = !conjugate_;
    Expr d = of(e);
    conjugate_ = !conjugate_;
    const bool real = d && d->op == ExprOp::Const && d->f2 == 0;
    return !d || real ? d : conj(d);
  }

  Expr rule(Expr e) {
    switch (e->op) {
      case ExprOp::Conj: return of_conj(e->args[0]);
      case ExprOp::Abs:
        if (is_complex(e->args[0].dtype())) return modulus(e, e->args[0]);
        break;
      case ExprOp::At:
      case ExprOp::Load: return guarded_load(e);
      case ExprOp::Add:
      case ExprOp::Sub:
      case ExprOp::Mul:
      case ExprOp::Div:
      case ExprOp::Mod:
      case ExprOp::Min:
      case ExprOp::Max:
      case ExprOp::Pow:
      case ExprOp::CopySign: return binary_rule(e);
      case ExprOp::Fma:
        return add(add(times(of(e->args[0]), e->args[1]), times(of(e->args[1]), e->args[0])), of(e->args[2]));
      case ExprOp::Select: return select_rule(e);
      case ExprOp::Cast: return cast_rule(e);
      case ExprOp::Complex: return complex_rule(e);
      case ExprOp::Const:
      case ExprOp::Input:
      case ExprOp::Param:
      case ExprOp::Axis:
      case ExprOp::Size:
      case ExprOp::Acc:
      case ExprOp::Floor:
      case ExprOp::Ceil:
      case ExprOp::Trunc:
      case ExprOp::Round:
      case ExprOp::FloorDiv: return {};
      default: break;
    }
    Expr d = of(e->args[0]);
    return d ? unary_rule(e, e->args[0], d) : Expr();
  }

  Expr guarded_load(Expr e) {
    if (!e->guarded) return {};
    Expr d = of(e->args.back());
    return d ? select(e->args[e->args.size() - 2], zero_like(e), d) : Expr();
  }

  Expr unary_rule(Expr e, Expr a, Expr d) {
    switch (e->op) {
      case ExprOp::Neg: return -d;
      case ExprOp::Exp: return d * e;
      case ExprOp::Expm1: return d * (e + 1.0);
      case ExprOp::Log: return d / a;
      case ExprOp::Log1p: return d / (a + 1.0);
      case ExprOp::Sin: return d * cos(a);
      case ExprOp::Cos: return -(d * sin(a));
      case ExprOp::Tanh: return d * (1.0 - e * e);
      case ExprOp::Sigmoid: return d * (e * (1.0 - e));
      case ExprOp::Erf: return d * (1.1283791670955126 * exp(-(a * a)));  // 2 / sqrt(pi)
      case ExprOp::Sqrt: return d * (0.5 / e);
      case ExprOp::Rsqrt: return d * (-0.5 * (e * e * e));
      case ExprOp::Abs: return select(a > 0.0, d, select(a < 0.0, -d, zero_like(d)));
      default: break;
    }
    throw NotImplementedError("derivative: " + std::string(expr_op_name(e->op)) + " of " +
                              std::string(dtype_name(a.dtype())) + " has none")
        .got(expr_str(e));
  }

  /// |a| = sqrt(a conj(a)); 0 at 0, as PyTorch's. The result is of a's type.
  Expr modulus(Expr e, Expr a) {
    Expr d = add(times(of(a), conj(a)), times(of_conj(a), a));
    return d ? select(eq(a, zero_like(a)), zero_like(a), d / (cast(e, a.dtype()) * 2.0)) : Expr();
  }

  Expr binary_rule(Expr e) {
    Expr a = e->args[0], b = e->args[1], da = of(a), db = of(b);
    if (!da && !db) return {};
    switch (e->op) {
      case ExprOp::Add: return add(da, db);
      case ExprOp::Sub: return subtract(da, db);
      case ExprOp::Mul: return add(times(da, b), times(db, a));
      case ExprOp::Div: return subtract(da, times(db, e)) / b;
      case ExprOp::Mod: return subtract(da, times(db, binary(ExprOp::FloorDiv, a, b)));
      case ExprOp::Min: return extreme(a < b, b < a, da, db, e);
      case ExprOp::Max: return extreme(b < a, a < b, da, db, e);
      case ExprOp::CopySign: {
        Expr one = number(1, e), sign = binary(ExprOp::CopySign, one, a) * binary(ExprOp::CopySign, one, b);
        return where(ne(a, zero_like(a)), times(da, sign));
      }
      default: return add(power_base(e, a, b, da), power_exponent(e, a, b, db));
    }
  }

  /// Ties share by half.
  static Expr extreme(Expr first, Expr second, Expr da, Expr db, Expr e) {
    da = or_zero(da, e);
    db = or_zero(db, e);
    return select(first, da, select(second, db, (da + db) * 0.5));
  }

  // As PyTorch: d/da a^b is 0 at b = 0 for every a, and d/db a^b is 0 at a = 0 for b >= 0.
  static Expr power_base(Expr e, Expr a, Expr b, Expr da) {
    if (!da) return {};
    Expr d = da * (b * pow(a, b - 1.0));
    return b->op == ExprOp::Const ? d : select(eq(b, zero_like(e)), zero_like(e), d);
  }
  static Expr power_exponent(Expr e, Expr a, Expr b, Expr db) {
    if (!db) return {};
    Expr real_b = is_complex(b.dtype()) ? unary(ExprOp::Real, b) : b;
    return select(eq(a, zero_like(e)) & (real_b >= 0.0), zero_like(e), db * (e * log(a)));
  }

  Expr select_rule(Expr e) {
    Expr da = of(e->args[1]), db = of(e->args[2]);
    return da || db ? select(e->args[0], or_zero(da, e), or_zero(db, e)) : Expr();
  }

  Expr cast_rule(Expr e) {
    Expr a = e->args[0], d = of(a);
    if (!d) return {};
    if (is_complex(d.dtype()) && !is_complex(a.dtype())) return cast(d, complex_type(real_type(e.dtype())));  // modulus
    if (is_complex(a.dtype()) && !is_complex(e.dtype())) {
      throw NotImplementedError("derivative: the real part of a complex number has no complex derivative");
    }
    return cast(d, e.dtype());
  }

  Expr complex_rule(Expr e) {
    Expr re = of(e->args[0]), im = of(e->args[1]);
    if (!re && !im) return {};
    return binary(ExprOp::Complex, or_zero(re, e->args[0]), or_zero(im, e->args[1]));
  }

  Expr x_;
  bool conjugate_;
  std::unordered_map<const ExprNode*, Expr> memo_, conjugate_memo_;
};

Expr differentiated(Expr out, Expr x, bool conjugate) {
  if (!is_differentiable(x.dtype())) {
    throw InternalError("derivative: with respect to " + std::string(dtype_name(x.dtype()))).got(expr_str(x));
  }
  Expr d = Differentiator(x, conjugate).of(out);
  return d ? d : constant_int(0, out.dtype());
}

}  // namespace

Expr derivative(Expr out, Expr x) { return differentiated(out, x, false); }
Expr conjugate_derivative(Expr out, Expr x) { return differentiated(out, x, true); }

}  // namespace thixo
