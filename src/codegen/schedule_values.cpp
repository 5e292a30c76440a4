#include "codegen/schedule_values.h"

#include <algorithm>

#include "core/values.h"

namespace thixo::codegen {

bool expensive(Expr e) {
  bool found = false;
  visit(e, [&](Expr n) {
    switch (n->op) {
      case ExprOp::Exp:
      case ExprOp::Expm1:
      case ExprOp::Log:
      case ExprOp::Log1p:
      case ExprOp::Sin:
      case ExprOp::Cos:
      case ExprOp::Tanh:
      case ExprOp::Erf:
      case ExprOp::Sigmoid:
      case ExprOp::Pow:
      case ExprOp::MulHi: found = true; break;
      default: break;
    }
  });
  return found;
}

namespace {

bool is_of_type(Expr constant, DType t) {
  alignas(16) char stored[16] = {};
  const bool number = is_float(constant.dtype());
  store_scalar(stored, t, number ? Scalar(constant->f) : Scalar(constant->ivalue));
  const Scalar back = load_scalar(stored, t);
  return number ? back.to_double() == constant->f : back.to_int() == constant->ivalue;
}

}  // namespace

bool keeps_to_type(Expr e, DType t, const std::function<bool(Expr)>& of_type) {
  const auto all_from = [&](size_t first) {
    return std::all_of(e->args.begin() + static_cast<int64_t>(first), e->args.end(),
                       [&](Expr a) { return keeps_to_type(a, t, of_type); });
  };
  if (e.dtype() == t) return true;
  switch (e->op) {
    case ExprOp::Load: return of_type(e) && (!e->guarded || keeps_to_type(e->args[2], t, of_type));
    case ExprOp::Acc: return of_type(e);
    case ExprOp::Const: return !is_complex(e.dtype()) && is_of_type(e, t);
    case ExprOp::Select: return all_from(1);
    case ExprOp::Min:
    case ExprOp::Max: return all_from(0);
    case ExprOp::Neg:
    case ExprOp::Abs: return is_float(t) && all_from(0);
    case ExprOp::Cast: return e->args[0].dtype() == t;
    default: return false;
  }
}

}  // namespace thixo::codegen
