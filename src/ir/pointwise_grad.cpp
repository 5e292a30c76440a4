#include "ir/pointwise_grad.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "ir/derivative.h"
#include "ir/dispatch.h"
#include "ir/variant.h"

namespace thixo {
namespace {

constexpr int kOutMarker = 1000;  // the Input that stands for the result inside a derivative

bool is_const(Expr e, double v) { return e->op == ExprOp::Const && e->f == v && e->f2 == 0; }

// g * d without the products that a choice makes needless: a branch that is not taken must not turn inf into nan.
Expr times(Expr g, Expr d) {
  if (is_const(d, 1)) return g;
  if (is_const(d, 0)) return constant(0.0, g.dtype());
  if (d->op == ExprOp::Select) return select(d->args[0], times(g, d->args[1]), times(g, d->args[2]));
  if (d->op == ExprOp::Neg) return -times(g, d->args[0]);
  return g * d;
}

bool contains(Expr e, Expr part) {
  bool found = false;
  visit(e, [&](Expr n) { found |= n == part; });
  return found;
}

std::set<int> inputs_of(Expr e) {
  std::set<int> out;
  visit(e, [&](Expr n) {
    if (n->op == ExprOp::Input) out.insert(n->i);
  });
  return out;
}

// What comes back to x where g comes to out; d is (d out/dx, d out/d conj(x)).
Expr pulled_back(Expr g, std::pair<Expr, Expr> d) {
  if (!is_complex(g.dtype())) return times(g, d.first);
  const Expr direct = times(g, conj(d.first));
  return is_const(d.second, 0) ? direct : direct + times(conj(g), d.second);
}

// What goes on to out where x moves by t.
Expr pushed_forward(Expr t, std::pair<Expr, Expr> d) {
  const Expr direct = times(t, d.first);
  return !is_complex(t.dtype()) || is_const(d.second, 0) ? direct : direct + times(conj(t), d.second);
}

std::pair<Expr, Expr> both_derivatives(Expr e, Expr x) {
  return {derivative(e, x), is_complex(x.dtype()) ? conjugate_derivative(e, x) : constant(0.0, x.dtype())};
}

// The derivatives of f by x_k over f's own Inputs; the result stands as Input kOutMarker where that saves an operand.
std::pair<Expr, Expr> derivatives_of(const OpDef& f, int k, const ExprCtx& c) {
  ExprCtx inner;
  inner.dtype = c.dtype;
  inner.param = c.param;
  inner.attr = c.attr;
  for (size_t i = 0; i < f.schema.operands.size(); ++i) {
    const bool condition = f.schema.operands[i].kind == TensorKind::Bool;
    inner.operands.push_back(input(static_cast<int>(i), condition ? DType::Bool : c.dtype));
  }
  const Expr e = f.expr(inner);
  auto by_out = [&](Expr d) {
    if (e->op == ExprOp::Input || !contains(d, e)) return d;
    const Expr out = input(kOutMarker, e.dtype());
    const Expr r = rewrite(d, [&](Expr n) { return n == e ? out : Expr(); });
    return inputs_of(r).size() <= inputs_of(d).size() ? r : d;
  };
  const std::pair<Expr, Expr> d = both_derivatives(e, inner.x(k));
  return {by_out(d.first), by_out(d.second)};
}

SmallVec<int, 4> saved_by(Expr d) {
  SmallVec<int, 4> out;
  for (int i : inputs_of(d)) out.push_back(i == kOutMarker ? kSavedOut : i);
  return out;
}

Expr derived_expr(const OpDef& f, int k, const SmallVec<int, 4>& saved, ExprCtx& c) {
  auto by_saved = [&](Expr d) {
    return rewrite(d, [&](Expr n) {
      if (n->op != ExprOp::Input) return Expr();
      const int name = n->i == kOutMarker ? kSavedOut : n->i;
      const auto at = std::find(saved.begin(), saved.end(), name);
      if (at == saved.end()) throw InternalError(f.name() + ": its complex gradient needs what the real one does not");
      return c.x(static_cast<int>(at - saved.begin()) + 1);
    });
  };
  const std::pair<Expr, Expr> d = derivatives_of(f, k, c);
  return pulled_back(c.x(0), {by_saved(d.first), by_saved(d.second)});
}

TensorKind float_kind(TensorKind k) {
  const bool complex = k == TensorKind::Tensor || k == TensorKind::Number || k == TensorKind::FloatC;
  return k == TensorKind::Bool ? k : complex ? TensorKind::FloatC : TensorKind::Float;
}

struct Derived {
  std::mutex mutex;
  std::deque<OpDef> ops;
  std::map<std::tuple<const OpDef*, int, int>, PointwiseGrad> grads;  // op, operand, variant
};

Derived& derived() {
  static Derived d;
  return d;
}

const OpDef* add_derived_op(Derived& all, const OpDef& f, int k, const SmallVec<int, 4>& saved) {
  OpDef& d = all.ops.emplace_back();
  d.id = static_cast<int>(all_ops().size() + all.ops.size()) - 1;
  d.tier = Tier::Pointwise;
  d.schema.name = f.schema.full_name() + ".grad" + std::to_string(k);
  d.schema.attrs = f.schema.attrs;
  // A real result of complex operands (abs) has a real cotangent, but the type of the gradient's calls is complex.
  const TensorKind own = float_kind(f.schema.operands[static_cast<size_t>(k)].kind);
  const TensorKind result = own == TensorKind::FloatC ? own : float_kind(f.schema.results[0].kind);
  d.schema.operands.push_back({"g", result});
  for (int s : saved) {
    const OperandDecl* o = s == kSavedOut ? nullptr : &f.schema.operands[static_cast<size_t>(s)];
    d.schema.operands.push_back(o == nullptr ? OperandDecl{"out", result} : OperandDecl{o->name, float_kind(o->kind)});
  }
  d.schema.results.push_back({"", own});
  d.doc = "The gradient of " + f.schema.full_name() + " with respect to operand " + std::to_string(k) + ".";
  d.expr = [&f, k, saved](ExprCtx& c) { return derived_expr(f, k, saved, c); };
  return &d;
}

PointwiseGrad make_grad(Derived& all, const OpDef& f, int k, int variant) {
  const std::vector<Attr> attrs = variant_attrs(f, variant, 2.5);
  std::vector<std::string> params;
  // In a real type: complex gradients save the same, since f'(z) is the same expression.
  ExprCtx c;
  c.dtype = DType::F64;
  c.param = [&](std::string_view name) {
    params.emplace_back(name);
    return param(static_cast<int>(std::find(params.begin(), params.end(), name) - params.begin()), DType::F64);
  };
  c.attr = [&](std::string_view name) -> const Attr& { return Call{&f, {}, attrs, {}}.attr(name); };
  const Expr d = derivatives_of(f, k, c).first;
  PointwiseGrad out;
  if (is_const(d, 0)) {
    out.zero = true;
  } else if (!is_const(d, 1)) {
    out.saved = saved_by(d);
    out.op = add_derived_op(all, f, k, out.saved);
  }
  return out;
}

// The op of the registry that does what a node does.
std::string_view op_name(const ExprNode& n) {
  const bool logic = n.dtype == DType::Bool;
  switch (n.op) {
    case ExprOp::Add: return "add";
    case ExprOp::Sub: return "sub";
    case ExprOp::Mul: return "mul";
    case ExprOp::Div: return is_differentiable(n.dtype) ? "div" : "div_trunc";
    case ExprOp::FloorDiv: return "floor_divide";
    case ExprOp::Mod: return "remainder";
    case ExprOp::Neg: return "neg";
    case ExprOp::Abs: return "abs";
    case ExprOp::Min: return "minimum";
    case ExprOp::Max: return "maximum";
    case ExprOp::Sqrt: return "sqrt";
    case ExprOp::Floor: return "floor";
    case ExprOp::Ceil: return "ceil";
    case ExprOp::Trunc: return "trunc";
    case ExprOp::Round: return "round";
    case ExprOp::Exp: return "exp";
    case ExprOp::Expm1: return "expm1";
    case ExprOp::Log: return "log";
    case ExprOp::Log1p: return "log1p";
    case ExprOp::Sin: return "sin";
    case ExprOp::Cos: return "cos";
    case ExprOp::Tanh: return "tanh";
    case ExprOp::Erf: return "erf";
    case ExprOp::Sigmoid: return "sigmoid";
    case ExprOp::Pow: return "pow";
    case ExprOp::Rsqrt: return "rsqrt";
    case ExprOp::And: return logic ? "logical_and" : "bitwise_and";
    case ExprOp::Or: return logic ? "logical_or" : "bitwise_or";
    case ExprOp::Xor: return logic ? "logical_xor" : "bitwise_xor";
    case ExprOp::Not: return logic ? "logical_not" : "bitwise_not";
    case ExprOp::Eq: return "eq";
    case ExprOp::Ne: return "ne";
    case ExprOp::Lt: return "lt";
    case ExprOp::Le: return "le";
    case ExprOp::IsNan: return "isnan";
    case ExprOp::Select: return "where";
    case ExprOp::CopySign: return "copysign";
    case ExprOp::Real: return "real";
    case ExprOp::Imag: return "imag";
    case ExprOp::Complex: return "complex";
    case ExprOp::Conj: return "conj";
    default: return {};
  }
}

Tensor call_op(std::string_view name, std::span<const Tensor> in, Expr at) {
  const OpDef* op = name.empty() ? nullptr : find_op(name);
  if (op == nullptr) {
    throw NotImplementedError("no op computes '" + expr_str(at) + "', which a gradient of higher order needs");
  }
  std::vector<Attr> attrs;
  for (const AttrDecl& d : op->schema.attrs) attrs.push_back(d.def);
  return dispatch1(Call{op, in, attrs, {}});
}

Tensor number(const ExprNode& n) {
  Scalar s = n.dtype == DType::Bool ? Scalar(n.ivalue != 0)
             : is_int(n.dtype)      ? Scalar(n.ivalue)
             : is_complex(n.dtype)  ? Scalar(std::complex<double>(n.f, n.f2))
                                    : Scalar(n.f);
  return TensorArg(s).tensor();
}

Tensor node_as_call(Expr e, std::span<const Tensor> args) {
  if (e->op == ExprOp::Fma) {
    const Tensor product[] = {call_op("mul", args.subspan(0, 2), e), args[2]};
    return call_op("add", product, e);
  }
  if (e->op == ExprOp::Cast) return args[0].to(e.dtype());
  return call_op(op_name(*e.get()), args, e);
}

}  // namespace

const PointwiseGrad& derived_grad(const OpDef& f, int k, std::span<const Attr> attrs) {
  Derived& all = derived();
  const std::tuple key(&f, k, variant_of(f, attrs));
  std::lock_guard lock(all.mutex);
  auto known = all.grads.find(key);
  if (known != all.grads.end()) return known->second;
  try {
    return all.grads.emplace(key, make_grad(all, f, k, std::get<2>(key))).first->second;
  } catch (Error& e) {
    if (e.kind() != ErrorKind::NotImplemented) throw;
    throw NotImplementedError(f.name() + " has no gradient: " + e.headline());
  }
}

Tensor expr_as_calls(Expr e, std::span<const Tensor> operands, std::span<const Tensor> params) {
  std::map<const ExprNode*, Tensor> done;
  visit(e, [&](Expr n) {
    Tensor& value = done[n.get()];
    switch (n->op) {
      case ExprOp::Const: value = number(*n.get()); return;
      case ExprOp::Input: value = operands[static_cast<size_t>(n->i)]; return;
      case ExprOp::Param: value = params[static_cast<size_t>(n->i)]; return;
      default: break;
    }
    TensorList args;
    for (Expr a : n->args) args.push_back(done[a.get()]);
    value = node_as_call(n, args);
  });
  return done[e.get()];
}

namespace {

/// A call of a derived op as an expression of its operands, with one more: a cotangent or a tangent.
struct DerivedCall {
  DType type;
  Expr value, extra;
  TensorList operands, params;

  DerivedCall(const Call& call, const Tensor& more) : type(compute_type(pointwise_type(call))) {
    for (const Tensor& t : call.in) operands.push_back(is_number(t) ? as_tensor(t) : t);
    std::vector<std::string> names;
    value = pointwise_expr(*call.op, type, call.attrs, &names);
    for (const std::string& name : names) {
      const Attr& a = call.attr(name);
      const Scalar s = std::holds_alternative<double>(a) ? Scalar(std::get<double>(a))
                       : std::holds_alternative<Dim>(a)  ? Scalar(std::get<Dim>(a).value())
                                                         : std::get<Scalar>(a);
      params.push_back(as_tensor(TensorArg(s).tensor()));
    }
    extra = input(static_cast<int>(operands.size()), type);
    operands.push_back(more);
  }
  std::pair<Expr, Expr> derivatives(size_t k) const {
    return both_derivatives(value, input(static_cast<int>(k), type));
  }
  Tensor of(Expr e) const { return expr_as_calls(e, operands, params); }

 private:
  static bool is_number(const Tensor& t) {
    return t.defined() && t.record()->wrapped_number && t.dtype() != DType::Bool;
  }
  /// A number with all its digits in the call's type: two numbers by themselves are computed in the default dtype.
  Tensor as_tensor(const Tensor& number) const {
    static const OpDef* op = find_op("to_dtype");  // not to(), which would give a number of this type back
    const Attr attrs[] = {type};
    return dispatch1(Call{op, std::span<const Tensor>(&number, 1), attrs, {}});
  }
};

bool is_absent(Expr e) { return !e || e->op == ExprOp::Const; }

}  // namespace

Values derived_op_grad(const Call& call, const Tensor& g, std::span<const bool> needs) {
  const DerivedCall derived(call, g);
  Values out;
  for (size_t k = 0; k < call.in.size(); ++k) {
    if (!needs[k] || call.op->schema.operands[k].kind == TensorKind::Bool) {
      out.push_back({});
      continue;
    }
    const Expr value = pulled_back(derived.extra, derived.derivatives(k));
    // What does not depend on the cotangent is zero (relu has no second derivative): zeros of its shape, not a number.
    if (is_absent(value)) {
      static const OpDef* zeros = find_op("zeros_like");
      const Attr none[] = {Attr(), Attr()};
      out.push_back(dispatch1(Call{zeros, std::span<const Tensor>(&g, 1), none, call.at}));
    } else {
      out.push_back(derived.of(value));
    }
  }
  return out;
}

Tensor derived_op_jvp(const Call& call, size_t k, const Tensor& t) {
  const DerivedCall derived(call, t);
  const Expr value = pushed_forward(derived.extra, derived.derivatives(k));
  return is_absent(value) ? Tensor() : derived.of(value);
}

}  // namespace thixo
