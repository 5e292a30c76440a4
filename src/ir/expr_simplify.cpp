#include "ir/expr_simplify.h"

#include <bit>
#include <cmath>

#include "ir/expr_value.h"

namespace thixo {
namespace {

bool is_const(Expr e) { return e->op == ExprOp::Const; }
bool is_true(Expr e) { return is_const(e) && e.dtype() == DType::Bool && e->ivalue != 0; }
bool is_false(Expr e) { return is_const(e) && e.dtype() == DType::Bool && e->ivalue == 0; }

bool is_int_const(Expr e, int64_t v) { return is_const(e) && is_int(e.dtype()) && e->ivalue == wrap_int(v, e.dtype()); }
/// A constant of float or integer type with this value; -0 isn't 0.
bool is_number(Expr e, double v) {
  if (!is_const(e) || is_complex(e.dtype()) || e.dtype() == DType::Bool) return false;
  if (is_int(e.dtype())) return is_int_const(e, static_cast<int64_t>(v));
  return std::bit_cast<uint64_t>(e->f) == std::bit_cast<uint64_t>(v);
}
bool is_complex_number(Expr e, double re) { return is_const(e) && is_complex(e.dtype()) && e->f == re && e->f2 == 0; }

// --- folding

// Generated code may round a*b+c once or twice: only a value on which both agree is a constant.
bool fma_depends_on_target(const ExprNode& n) {
  if (!is_float(n.dtype)) return false;
  double a = n.args[0]->f, b = n.args[1]->f, c = n.args[2]->f;
  if (n.dtype == DType::F64) return std::fma(a, b, c) != a * b + c;
  auto f = [](double v) { return static_cast<float>(v); };
  return std::fma(f(a), f(b), f(c)) != f(a) * f(b) + f(c);
}

bool in_range(double v, DType t) {
  v = std::trunc(v);
  switch (t) {
    case DType::I64: return v >= -0x1p63 && v < 0x1p63;
    case DType::U64: return v >= 0 && v < 0x1p64;
    default:
      return static_cast<double>(wrap_int(static_cast<int64_t>(std::fmax(-0x1p40, std::fmin(v, 0x1p40))), t)) == v;
  }
}

Expr fold(const ExprNode& n) {
  if (n.args.empty() || n.args.size() > 3) return {};
  for (Expr a : n.args) {
    if (!is_const(a)) return {};
  }
  ExprValue args[3], out;
  for (size_t k = 0; k < n.args.size(); ++k) args[k] = value_of_const(*n.args[k].get());
  DType t = n.args[n.op == ExprOp::Select ? 1 : 0].dtype();
  if (n.op == ExprOp::Cast && is_float(t) && is_int(n.dtype) && !std::isnan(args[0].f) && !in_range(args[0].f, n.dtype))
    return {};
  if ((n.op == ExprOp::Shl || n.op == ExprOp::Shr) && static_cast<uint64_t>(args[1].i) >= item_size(t) * 8) return {};
  if (n.op == ExprOp::Fma && fma_depends_on_target(n)) return {};
  if (!eval_basic(n.op, n.dtype, t, std::span(args, n.args.size()), out)) return {};
  return const_of_value(out, n.dtype);
}

// --- rules for one kind of node each; null when none applies

Expr simplify_add(const ExprNode& n) {
  Expr a = n.args[0], b = n.args[1];
  if (is_int_const(b, 0) || is_number(b, -0.0)) return a;
  if (b->op == ExprOp::Neg) return a - b->args[0];
  if (a->op == ExprOp::Neg) return b - a->args[0];
  if (is_int(n.dtype) && is_const(b) && a->op == ExprOp::Add && is_const(a->args[1]))
    return a->args[0] + (a->args[1] + b);
  return {};
}

Expr simplify_sub(const ExprNode& n) {
  Expr a = n.args[0], b = n.args[1];
  if (is_number(b, 0.0)) return a;
  if (is_int_const(a, 0) || is_number(a, -0.0)) return -b;
  if (b->op == ExprOp::Neg) return a + b->args[0];
  if (is_int(n.dtype) && a == b) return constant_int(0, n.dtype);
  if (is_int(n.dtype) && is_const(b)) return a + -b;
  return {};
}

Expr simplify_mul(const ExprNode& n) {
  Expr a = n.args[0], b = n.args[1];
  if (is_number(b, 1) || is_complex_number(b, 1)) return a;
  if (is_number(b, -1)) return -a;
  if (is_int_const(b, 0)) return b;
  if (a->op == ExprOp::Neg && b->op == ExprOp::Neg) return a->args[0] * b->args[0];
  if (is_int(n.dtype) && is_const(b) && a->op == ExprOp::Mul && is_const(a->args[1]))
    return a->args[0] * (a->args[1] * b);
  return {};
}

// A power of two whose reciprocal is exact and normal: x / c and x * (1/c) are the same rounding.
bool has_exact_reciprocal(Expr c) {
  if (!is_const(c) || !is_float(c.dtype()) || c->f == 0) return false;
  int exponent = 0, limit = c.dtype() == DType::F64 ? 1021 : 125;
  return std::fabs(std::frexp(c->f, &exponent)) == 0.5 && std::abs(exponent) <= limit;
}

Expr simplify_div(const ExprNode& n) {
  Expr a = n.args[0], b = n.args[1];
  if (is_number(b, 1) || is_complex_number(b, 1)) return a;
  if (is_number(b, -1)) return -a;
  if (n.op == ExprOp::Div && has_exact_reciprocal(b)) return a * constant(1 / b->f, n.dtype);
  return {};
}

Expr simplify_mod(const ExprNode& n) { return is_int_const(n.args[1], 1) ? constant_int(0, n.dtype) : Expr(); }

Expr simplify_fma(const ExprNode& n) {
  Expr a = n.args[0], b = n.args[1], c = n.args[2];
  if (is_int(n.dtype)) return a * b + c;
  if (is_number(a, 1)) return b + c;
  if (is_number(b, 1)) return a + c;
  return {};
}

Expr simplify_bits(const ExprNode& n) {
  Expr a = n.args[0], b = n.args[1];
  bool is_bool = n.dtype == DType::Bool, zero = is_false(b) || is_int_const(b, 0),
       ones = is_true(b) || is_int_const(b, -1);
  switch (n.op) {
    case ExprOp::And: return a == b || ones ? a : zero ? b : Expr();
    case ExprOp::Or: return a == b || zero ? a : ones ? b : Expr();
    case ExprOp::Xor: return zero ? a : is_bool && ones ? ~a : a == b ? constant_int(0, n.dtype) : Expr();
    default: return zero ? a : Expr();  // shifts
  }
}

Expr simplify_not(const ExprNode& n) {
  Expr a = n.args[0];
  if (a->op == ExprOp::Not) return a->args[0];
  if (a->op == ExprOp::Eq) return ne(a->args[0], a->args[1]);
  if (a->op == ExprOp::Ne) return eq(a->args[0], a->args[1]);
  return {};
}

Expr simplify_compare(const ExprNode& n) {
  if (n.args[0] != n.args[1]) return {};
  DType t = n.args[0].dtype();
  bool may_be_nan = is_float(t) || is_complex(t);
  if (n.op == ExprOp::Lt) return constant_bool(false);
  if (may_be_nan) return {};
  return constant_bool(n.op != ExprOp::Ne);
}

Expr simplify_select(const ExprNode& n) {
  Expr c = n.args[0], a = n.args[1], b = n.args[2];
  if (is_true(c) || a == b) return a;
  if (is_false(c)) return b;
  if (c->op == ExprOp::Not) return select(c->args[0], b, a);
  if (is_true(a) && is_false(b)) return c;
  if (is_false(a) && is_true(b)) return ~c;
  if (a->op == ExprOp::Select && a->args[0] == c) return select(c, a->args[1], b);
  if (b->op == ExprOp::Select && b->args[0] == c) return select(c, a, b->args[2]);
  return {};
}

int integer_bits(DType t) { return t == DType::Bool ? 1 : static_cast<int>(item_size(t)) * 8; }
int significand_bits(DType t) { return t == DType::F64 ? 53 : t == DType::F32 ? 24 : t == DType::F16 ? 11 : 8; }

// Whether every value of `from` is one of `to`.
bool holds(DType from, DType to) {
  if (is_complex(to)) return holds(real_type(from), real_type(to));
  if (is_complex(from) || to == DType::Bool) return from == to;
  if (is_float(from)) return from == to || (is_float(to) && item_size(to) > item_size(from));
  bool is_signed = is_int(from) && !is_unsigned(from);
  int bits = integer_bits(from) - is_signed;
  if (is_float(to)) return to != DType::F16 && bits <= significand_bits(to);
  if (is_signed && is_unsigned(to)) return false;
  return bits <= integer_bits(to) - !is_unsigned(to);
}

Expr simplify_cast(const ExprNode& n) {
  Expr a = n.args[0];
  if (a.dtype() == n.dtype) return a;
  if (a->op != ExprOp::Cast || !holds(a->args[0].dtype(), a.dtype())) return {};
  return cast(a->args[0], n.dtype);
}

Expr simplify_unary(const ExprNode& n) {
  Expr a = n.args[0];
  switch (n.op) {
    case ExprOp::Neg:
    case ExprOp::Conj: return a->op == n.op ? a->args[0] : Expr();
    case ExprOp::Abs:
      if (is_complex(a.dtype())) return {};
      return a->op == ExprOp::Neg                           ? unary(ExprOp::Abs, a->args[0])
             : a->op == ExprOp::Abs || is_unsigned(n.dtype) ? a
                                                            : Expr();
    case ExprOp::Real: return a->op == ExprOp::Complex ? a->args[0] : Expr();
    case ExprOp::Imag: return a->op == ExprOp::Complex ? a->args[1] : Expr();
    case ExprOp::Bitcast:
      if (a.dtype() == n.dtype) return a;
      return a->op == ExprOp::Bitcast ? bitcast(a->args[0], n.dtype) : Expr();
    default: return {};
  }
}

Expr simplify_pow(const ExprNode& n) {
  if (is_number(n.args[1], 1)) return n.args[0];
  if (is_number(n.args[1], 0.0)) return constant(1.0, n.dtype);
  return {};
}

Expr simplify_complex(const ExprNode& n) {
  Expr re = n.args[0], im = n.args[1];
  bool halves = re->op == ExprOp::Real && im->op == ExprOp::Imag && re->args[0] == im->args[0];
  return halves ? re->args[0] : Expr();
}

bool is_commutative(ExprOp op) {
  switch (op) {
    case ExprOp::Add:
    case ExprOp::Mul:
    case ExprOp::And:
    case ExprOp::Or:
    case ExprOp::Xor:
    case ExprOp::MulHi:
    case ExprOp::Eq:
    case ExprOp::Ne: return true;
    default: return false;
  }
}

}  // namespace

Expr simplify(ExprNode& n) {
  if (Expr c = fold(n)) return c;
  if (is_commutative(n.op) && is_const(n.args[0])) std::swap(n.args[0], n.args[1]);
  switch (n.op) {
    case ExprOp::Add: return simplify_add(n);
    case ExprOp::Sub: return simplify_sub(n);
    case ExprOp::Mul: return simplify_mul(n);
    case ExprOp::Div: return simplify_div(n);
    case ExprOp::FloorDiv: return is_int(n.dtype) ? simplify_div(n) : Expr();
    case ExprOp::Mod: return simplify_mod(n);
    case ExprOp::Min:
    case ExprOp::Max: return n.args[0] == n.args[1] ? n.args[0] : Expr();
    case ExprOp::Fma: return simplify_fma(n);
    case ExprOp::And:
    case ExprOp::Or:
    case ExprOp::Xor:
    case ExprOp::Shl:
    case ExprOp::Shr: return simplify_bits(n);
    case ExprOp::Not: return simplify_not(n);
    case ExprOp::Eq:
    case ExprOp::Ne:
    case ExprOp::Lt:
    case ExprOp::Le: return simplify_compare(n);
    case ExprOp::Select: return simplify_select(n);
    case ExprOp::Cast: return simplify_cast(n);
    case ExprOp::Pow: return simplify_pow(n);
    case ExprOp::Complex: return simplify_complex(n);
    case ExprOp::Neg:
    case ExprOp::Conj:
    case ExprOp::Abs:
    case ExprOp::Real:
    case ExprOp::Imag:
    case ExprOp::Bitcast: return simplify_unary(n);
    default: return {};
  }
}

}  // namespace thixo
