#include "codegen/math/expand.h"

#include "codegen/math/build.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

Expr expand_node(Expr e) {
  auto arg = [&](size_t k) { return e->args[k]; };
  switch (e->op) {
    case ExprOp::Exp: return expand_exp(arg(0));
    case ExprOp::Expm1: return expand_expm1(arg(0));
    case ExprOp::Log: return expand_log(arg(0));
    case ExprOp::Log1p: return expand_log1p(arg(0));
    case ExprOp::Sin: return expand_sin(arg(0));
    case ExprOp::Cos: return expand_cos(arg(0));
    case ExprOp::Tanh: return expand_tanh(arg(0));
    case ExprOp::Erf: return expand_erf(arg(0));
    case ExprOp::Sigmoid: return expand_sigmoid(arg(0));
    case ExprOp::Pow: return expand_pow(arg(0), arg(1));
    case ExprOp::Rsqrt: return 1.0 / sqrt(arg(0));
    case ExprOp::Mod: return expand_mod(arg(0), arg(1));
    case ExprOp::FloorDiv: return expand_floor_div(arg(0), arg(1));
    default: return {};
  }
}

}  // namespace

Expr expand_math(Expr root, MathOptions options) {
  Expr out = rewrite(root, [](Expr e) { return is_float(e.dtype()) ? expand_node(e) : Expr(); });
  if (options.fma) return out;
  return rewrite(out, [](Expr e) { return e->op == ExprOp::Fma ? e->args[0] * e->args[1] + e->args[2] : Expr(); });
}

}  // namespace thixo::codegen
