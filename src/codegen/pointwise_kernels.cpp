#include "codegen/pointwise_kernels.h"

#include <algorithm>
#include <optional>

#include "codegen/cast_kernels.h"
#include "ir/pointwise_grad.h"

namespace thixo::codegen {
namespace {

/// Whether integers of type t are read as signed or unsigned numbers, not as bits.
bool sign_matters(Expr e, DType t) {
  bool found = false;
  visit(e, [&](Expr n) {
    switch (n->op) {
      case ExprOp::Div:
      case ExprOp::FloorDiv:
      case ExprOp::Mod:
      case ExprOp::Min:
      case ExprOp::Max:
      case ExprOp::Lt:
      case ExprOp::Le:
      case ExprOp::Abs:
      case ExprOp::Shr:
      case ExprOp::Pow: found |= n->args[0].dtype() == t; break;
      case ExprOp::Cast: found |= n->args[0].dtype() == t && !is_int(n->dtype); break;
      default: break;
    }
  });
  return found;
}

PointwiseForm form_of_type(const OpDef& op, DType type, std::span<const Attr> attrs) {
  PointwiseForm f;
  f.type = type;
  std::vector<std::string> names;
  try {
    f.value = pointwise_expr(op, type, attrs, &names);
  } catch (const Error&) {
    // A definition that orders or rounds its operands has no meaning for complex numbers.
    if (!is_complex(type)) throw;
    throw NotImplementedError(op.name() + ": not defined for " + std::string(dtype_name(type)));
  }
  for (const OperandDecl& d : op.schema.operands) f.in.push_back(d.kind == TensorKind::Bool ? DType::Bool : type);
  f.out = f.value.dtype();
  for (const std::string& name : names) {
    const std::vector<AttrDecl>& decls = op.schema.attrs;
    auto at = std::find_if(decls.begin(), decls.end(), [&](const AttrDecl& d) { return d.name == name; });
    f.param_attrs.push_back(static_cast<int>(at - decls.begin()));
  }
  return f;
}

bool takes(const OpDef& op, DType t) {
  return std::all_of(op.schema.operands.begin(), op.schema.operands.end(),
                     [&](const OperandDecl& d) { return d.kind == TensorKind::Bool || accepts(d.kind, t); });
}

std::optional<PointwiseForm> form_if_any(const OpDef& op, DType t, std::span<const Attr> attrs) try {
  return takes(op, t) ? std::optional(pointwise_form(op, t, attrs)) : std::nullopt;
} catch (const Error& e) {
  if (e.kind() != ErrorKind::NotImplemented) throw;
  return std::nullopt;
}

void add_variant(PackSink& sink, const OpDef& op, int variant) {
  const std::vector<Attr> attrs = variant_attrs(op, variant, 2.5);
  for (DType t : kKernelTypes) {
    const std::optional<PointwiseForm> form = form_if_any(op, t, attrs);
    if (!form || form->type != t) continue;  // u64 may be computed by the i64 kernel
    if (pointwise_form(op, t, variant_attrs(op, variant, 3.5)).value != form->value) {
      throw InternalError("pack: the expression of '" + op.name() +
                          "' depends on the value of a numeric attribute; use c.param(name) for it");
    }
    for (const std::string& p : pointwise_patterns(form->in.size())) {
      sink.add(pointwise_key(op, variant, t, p), pointwise_kernel(*form, p));
    }
  }
}

// The derived gradients of one op, as far as it leaves them to be derived.
void add_gradients(PackSink& sink, const OpDef& op, int variant) {
  if (!op.differentiable || op.grad) return;
  const std::vector<Attr> attrs = variant_attrs(op, variant, 2.5);
  for (size_t k = 0; k < op.schema.operands.size(); ++k) {
    if (!accepts(op.schema.operands[k].kind, DType::F64)) continue;
    const PointwiseGrad& g = derived_grad(op, static_cast<int>(k), attrs);
    if (g.op != nullptr) add_variant(sink, *g.op, variant);
  }
}

}  // namespace

PointwiseForm pointwise_form(const OpDef& op, DType t, std::span<const Attr> attrs) {
  switch (t) {
    case DType::U32: return form_of_type(op, DType::I64, attrs);
    case DType::U64: {
      PointwiseForm f = form_of_type(op, DType::U64, attrs), bits = form_of_type(op, DType::I64, attrs);
      return sign_matters(f.value, DType::U64) || sign_matters(bits.value, DType::I64) ? f : bits;
    }
    default: return form_of_type(op, compute_type(t), attrs);
  }
}

Kernel pointwise_kernel(const PointwiseForm& form, std::string_view pattern) {
  Kernel k;
  k.vector_par = true;
  k.params = static_cast<int>(form.param_attrs.size());
  const bool strided = pattern == "s";
  const size_t n = form.in.size();
  std::vector<Expr> loads;
  for (size_t i = 0; i <= n; ++i) {
    if (strided) k.sizes.push_back(Dim::named("s" + std::to_string(i)));
    if (i == n) break;
    k.buffers.push_back({"x" + std::to_string(i), form.in[i], BufferKind::In, {}});
    Expr at = strided ? axis(0) * size(k.sizes[i]) : pattern[i] == 'k' ? constant_int(0) : axis(0);
    loads.push_back(load(static_cast<int>(i), form.in[i], at));
  }
  k.buffers.push_back({"out", form.out, BufferKind::Out, {}});
  Stmt store;
  store.kind = Stmt::Store;
  store.buffer = static_cast<int>(n);
  store.index = strided ? axis(0) * size(k.sizes[n]) : axis(0);
  store.value =
      rewrite(form.value, [&](Expr e) { return e->op == ExprOp::Input ? loads[static_cast<size_t>(e->i)] : Expr(); });
  k.body = {store};
  return k;
}

std::string pointwise_key(const OpDef& op, int variant, DType type, std::string_view pattern) {
  return op.schema.full_name() + variant_name(op, variant) + "." + std::string(dtype_short_name(type)) + "." +
         std::string(pattern);
}

std::vector<std::string> pointwise_patterns(size_t operands) {
  std::vector<std::string> out = {std::string(operands, 'c')};
  for (size_t i = 0; operands > 1 && i < operands; ++i) {
    out.push_back(out[0]);
    out.back()[i] = 'k';
  }
  out.push_back("s");
  return out;
}

void add_pointwise_kernels(PackSink& sink) {
  for (const OpDef& op : all_ops()) {
    if (op.tier != Tier::Pointwise) continue;
    sink.group(op.schema.full_name());
    for (int v = 0; v < variant_count(op); ++v) {
      add_variant(sink, op, v);
      add_gradients(sink, op, v);
    }
  }
}

}  // namespace thixo::codegen
