#include "ir/eval_expr.h"

#include <cmath>
#include <unordered_map>

#include "thixo/error.h"

namespace thixo {
namespace {

using Long = long double;

bool is_leaf(ExprOp op) { return op <= ExprOp::Load; }
bool is_number(DType t) { return is_int(t) || t == DType::Bool; }

int64_t to_int(Long v, DType t) {
  return t == DType::U64 ? static_cast<int64_t>(static_cast<uint64_t>(v)) : static_cast<int64_t>(v);
}
Long from_int(int64_t v, DType t) {
  return t == DType::U64 ? static_cast<Long>(static_cast<uint64_t>(v)) : static_cast<Long>(v);
}

// An index or predicate of either kind of value.
int64_t as_int(const LongComplex& v, DType t) { return to_int(v.real(), t); }
int64_t as_int(const ExprValue& v, DType) { return v.i; }

void set_value(LongComplex& out, const ExprNode& n) {
  out = is_number(n.dtype) ? LongComplex(from_int(n.ivalue, n.dtype)) : LongComplex(n.f, n.f2);
}
void set_value(ExprValue& out, const ExprNode& n) { out = value_of_const(n); }

[[noreturn]] void no_rule(const ExprNode& n) {
  throw InternalError("eval: no rule for " + std::string(expr_op_name(n.op)) + " of " +
                      std::string(dtype_name(n.dtype)))
      .got(expr_str(Expr(&n)));
}

// --- floats

Long floor_div(Long a, Long b) {
  if (b == 0) return a / b;
  Long r = std::fmod(a, b);
  Long q = (a - r) / b;
  return r != 0 && (r < 0) != (b < 0) ? std::round(q - 1) : std::round(q);
}

Long python_mod(Long a, Long b) {
  Long r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

Long unary_float(const ExprNode& n, Long a) {
  switch (n.op) {
    case ExprOp::Neg: return -a;
    case ExprOp::Abs: return std::fabs(a);
    case ExprOp::Sqrt: return std::sqrt(a);
    case ExprOp::Floor: return std::floor(a);
    case ExprOp::Ceil: return std::ceil(a);
    case ExprOp::Trunc: return std::trunc(a);
    case ExprOp::Round: return std::nearbyint(a);
    case ExprOp::Exp: return std::exp(a);
    case ExprOp::Expm1: return std::expm1(a);
    case ExprOp::Log: return std::log(a);
    case ExprOp::Log1p: return std::log1p(a);
    case ExprOp::Sin: return std::sin(a);
    case ExprOp::Cos: return std::cos(a);
    case ExprOp::Tanh: return std::tanh(a);
    case ExprOp::Erf: return std::erf(a);
    case ExprOp::Sigmoid: return a < 0 ? std::exp(a) / (1 + std::exp(a)) : 1 / (1 + std::exp(-a));
    case ExprOp::Rsqrt: return 1 / std::sqrt(a);
    default: no_rule(n);
  }
}

Long binary_float(const ExprNode& n, Long a, Long b) {
  switch (n.op) {
    case ExprOp::Add: return a + b;
    case ExprOp::Sub: return a - b;
    case ExprOp::Mul: return a * b;
    case ExprOp::Div: return a / b;
    case ExprOp::FloorDiv: return floor_div(a, b);
    case ExprOp::Mod: return python_mod(a, b);
    case ExprOp::Min: return a < b || std::isnan(a) ? a : b;
    case ExprOp::Max: return b < a || std::isnan(a) ? a : b;
    case ExprOp::CopySign: return std::copysign(a, b);
    case ExprOp::Pow: return std::pow(a, b);
    default: no_rule(n);
  }
}

// --- complex

LongComplex unary_complex(const ExprNode& n, LongComplex a) {
  switch (n.op) {
    case ExprOp::Neg: return -a;
    case ExprOp::Conj: return std::conj(a);
    case ExprOp::Real: return a.real();
    case ExprOp::Imag: return a.imag();
    case ExprOp::Abs: return std::abs(a);
    case ExprOp::Sqrt: return std::sqrt(a);
    case ExprOp::Exp: return std::exp(a);
    case ExprOp::Log: return std::log(a);
    case ExprOp::Sin: return std::sin(a);
    case ExprOp::Cos: return std::cos(a);
    case ExprOp::Tanh: return std::tanh(a);
    case ExprOp::Sigmoid: return Long(1) / (Long(1) + std::exp(-a));
    case ExprOp::Rsqrt: return Long(1) / std::sqrt(a);
    default: no_rule(n);
  }
}

LongComplex binary_complex(const ExprNode& n, LongComplex a, LongComplex b) {
  switch (n.op) {
    case ExprOp::Add: return a + b;
    case ExprOp::Sub: return a - b;
    case ExprOp::Mul: return a * b;
    case ExprOp::Div: return a / b;
    case ExprOp::Pow:
      if (b == LongComplex(0)) return 1;
      if (a == LongComplex(0)) return b.real() > 0 && b.imag() == 0 ? LongComplex(0) : LongComplex(NAN, NAN);
      return std::pow(a, b);
    default: no_rule(n);
  }
}

bool compare(const ExprNode& n, LongComplex a, LongComplex b) {
  switch (n.op) {
    case ExprOp::Eq: return a == b;
    case ExprOp::Ne: return a != b;
    case ExprOp::Lt: return a.real() < b.real();
    case ExprOp::Le: return a.real() <= b.real();
    default: no_rule(n);
  }
}

LongComplex cast_long(const ExprNode& n, LongComplex v, DType from) {
  if (n.dtype == DType::Bool) return v != LongComplex(0) ? 1 : 0;
  if (is_complex(n.dtype)) return v;
  if (!is_int(n.dtype)) return v.real();
  Long x = v.real();
  if (is_number(from)) return from_int(wrap_int(to_int(x, from), n.dtype), n.dtype);
  if (std::isnan(x)) return 0;
  if (n.dtype == DType::U64 && x >= 0x1p63L) return x < 0x1p64L ? std::trunc(x) : from_int(-1, n.dtype);
  if (std::fabs(x) >= 0x1p63L) return from_int(wrap_int(x < 0 ? INT64_MIN : INT64_MAX, n.dtype), n.dtype);
  return from_int(wrap_int(static_cast<int64_t>(x), n.dtype), n.dtype);
}

}  // namespace

Evaluator::Evaluator(Expr e) {
  std::unordered_map<const ExprNode*, size_t> place;
  visit(e, [&](Expr n) {
    Step s{n.get(), {}};
    for (Expr a : n->args) s.args.push_back(place.at(a.get()));
    place[n.get()] = steps_.size();
    steps_.push_back(std::move(s));
  });
}

template <class V, class Context>
V Evaluator::leaf(const Step& s, const std::vector<V>& values, const Context& context) {
  const ExprNode& n = *s.node;
  V out{};
  if (n.op == ExprOp::Const) {
    set_value(out, n);
    return out;
  }
  size_t count = n.args.size() - (n.guarded ? 2 : 0);
  if (n.guarded && as_int(values[s.args[count]], DType::Bool) == 0) return values[s.args[count + 1]];
  std::vector<int64_t> index(count);
  for (size_t k = 0; k < count; ++k) index[k] = as_int(values[s.args[k]], n.args[k].dtype());
  return context.leaf(n, index);
}

LongComplex Evaluator::step(const Step& s) {
  const ExprNode& n = *s.node;
  auto arg = [&](size_t k) { return values_[s.args[k]]; };
  DType t = n.args[0].dtype();
  switch (n.op) {
    case ExprOp::Select: return arg(0).real() != 0 ? arg(1) : arg(2);
    case ExprOp::Cast: return cast_long(n, arg(0), t);
    case ExprOp::Complex: return {arg(0).real(), arg(1).real()};
    case ExprOp::IsNan: return std::isnan(arg(0).real()) || std::isnan(arg(0).imag());
    case ExprOp::Eq:
    case ExprOp::Ne:
    case ExprOp::Lt:
    case ExprOp::Le: return compare(n, arg(0), arg(1));
    default: break;
  }
  if (is_number(t) || n.op == ExprOp::Bitcast) {
    ExprValue in[3], out;
    for (size_t k = 0; k < s.args.size(); ++k) {
      in[k].i = is_number(t) ? to_int(arg(k).real(), t) : 0;
      in[k].f = static_cast<double>(arg(k).real());
    }
    if (!eval_basic(n.op, n.dtype, t, std::span(in, s.args.size()), out)) no_rule(n);
    return is_number(n.dtype) ? from_int(out.i, n.dtype) : static_cast<Long>(out.f);
  }
  if (is_complex(t)) return s.args.size() == 1 ? unary_complex(n, arg(0)) : binary_complex(n, arg(0), arg(1));
  if (n.op == ExprOp::Fma) return std::fma(arg(0).real(), arg(1).real(), arg(2).real());
  return s.args.size() == 1 ? unary_float(n, arg(0).real()) : binary_float(n, arg(0).real(), arg(1).real());
}

LongComplex Evaluator::eval(const EvalContext& context) {
  values_.resize(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& s = steps_[i];
    values_[i] = is_leaf(s.node->op) ? leaf(s, values_, context) : step(s);
  }
  return values_.back();
}

ExprValue Evaluator::exact_step(const Step& s) {
  const ExprNode& n = *s.node;
  ExprValue in[3], out;
  for (size_t k = 0; k < s.args.size(); ++k) in[k] = exact_values_[s.args[k]];
  DType t = n.args[n.op == ExprOp::Select ? 1 : 0].dtype();
  if (!eval_basic(n.op, n.dtype, t, std::span(in, s.args.size()), out)) no_rule(n);
  return out;
}

ExprValue Evaluator::eval_exact(const ExactContext& context) {
  exact_values_.resize(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& s = steps_[i];
    exact_values_[i] = is_leaf(s.node->op) ? leaf(s, exact_values_, context) : exact_step(s);
  }
  return exact_values_.back();
}

LongComplex eval(Expr e, const EvalContext& context) { return Evaluator(e).eval(context); }

}  // namespace thixo
