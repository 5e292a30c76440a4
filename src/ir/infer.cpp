// Result shapes and dtypes. Pointwise ops share one rule (broadcast and promote); the others bring their own.
#include <algorithm>

#include "ir/front.h"

namespace thixo {
namespace {

/// Promotion sees three ranks of operands, as in PyTorch: tensors with dims, 0-d tensors, Python-like numbers.
/// A lower rank counts only when its category is above the higher ranks'.
DType combine_ranks(std::optional<DType> high, std::optional<DType> low) {
  if (!high) return *low;
  if (!low || category(*low) <= category(*high)) return *high;
  if (category(*low) == 3 && category(*high) == 2) return complex_type(*high);
  return promote_types(*high, *low);
}

DType number_type(DType d) { return is_float(d) ? default_dtype() : is_complex(d) ? complex_type(default_dtype()) : d; }

DType promoted(const Call& call) {
  std::optional<DType> ranks[3];
  auto add = [&](int rank, DType d) { ranks[rank] = ranks[rank] ? promote_types(*ranks[rank], d) : d; };
  for (size_t i = 0; i < call.in.size(); ++i) {
    const Tensor& t = call.in[i];
    if (!t.defined()) continue;
    TensorKind kind = call.op->schema.operands[call.op->schema.operand_at(i, call.in.size())].kind;
    if (kind == TensorKind::Index || kind == TensorKind::Bool) continue;  // where's condition, not a value
    int rank = t.record()->wrapped_number ? 2 : t.dim() == 0 ? 1 : 0;
    add(rank, rank == 2 ? number_type(t.dtype()) : t.dtype());
  }
  for (size_t i = 0; call.op->numbers_promote && i < call.attrs.size(); ++i) {
    if (const Scalar* s = std::get_if<Scalar>(&call.attrs[i])) add(2, number_type(s->kind()));
  }
  DType t = DType::Bool;
  if (ranks[0] || ranks[1] || ranks[2]) {
    std::optional<DType> low = ranks[1] || ranks[2] ? std::optional(combine_ranks(ranks[1], ranks[2])) : std::nullopt;
    t = combine_ranks(ranks[0], low);
  }
  return t;
}

/// `t`: the promoted type, which is what the kinds speak of; `or_own`: or each operand's own.
void check_kinds(const Call& call, DType t, bool or_own) {
  const std::vector<OperandDecl>& decls = call.op->schema.operands;
  for (size_t i = 0; i < call.in.size(); ++i) {
    const OperandDecl& d = decls[call.op->schema.operand_at(i, call.in.size())];
    if (!call.in[i].defined()) {
      if (!d.optional) throw call.error(ErrorKind::Value, d.name + " is missing");
      continue;
    }
    bool condition = d.kind == TensorKind::Bool || d.kind == TensorKind::Index;
    DType seen = condition ? call.in[i].dtype() : t;
    if (!accepts(d.kind, seen) && !(or_own && accepts(d.kind, call.in[i].dtype()))) {
      throw call.error(ErrorKind::DType, d.name + " is " + std::string(dtype_name(call.in[i].dtype())) +
                                             " but the op takes " + tensor_kind_name(d.kind));
    }
  }
}

/// Whether the definition means something for type t: complex numbers have no order, no floor, no remainder.
bool is_defined(const Call& c, DType t) {
  try {
    std::vector<std::string> params;
    pointwise_expr(*c.op, compute_type(t), c.attrs, &params);
    return true;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Internal) throw;
    return false;
  }
}

void infer_pointwise(Infer& c) {
  DType t = pointwise_type(c);
  check_kinds(c, t, false);
  if (is_complex(t) && !is_defined(c, t)) {
    throw c.error(ErrorKind::DType, "not defined for " + std::string(dtype_name(t)));
  }
  Shape shape;
  Device device;
  bool first = true;
  for (const Tensor& x : c.in) {
    if (!x.defined()) continue;
    shape = first ? x.shape() : broadcast_shapes(shape, x.shape(), c.op->name().c_str());
    if (first || x.device().type == DeviceType::Meta) device = x.device();
    first = false;
  }
  TensorKind kind = c.op->schema.results[0].kind;
  DType result = c.op->bool_result                                                          ? DType::Bool
                 : (kind == TensorKind::Float || kind == TensorKind::Real) && is_complex(t) ? real_type(t)
                                                                                            : t;
  c.out.push_back({result, std::move(shape), device});
}

}  // namespace

void check_kinds(const Call& call) { check_kinds(call, promoted(call), true); }

void check_choices(const Call& call) {
  for (size_t i = 0; i < call.attrs.size(); ++i) {
    const AttrDecl& d = call.op->schema.attrs[i];
    const auto* given = std::get_if<std::string>(&call.attrs[i]);
    if (d.kind != AttrKind::Enum || given == nullptr) continue;
    if (std::find(d.choices.begin(), d.choices.end(), *given) != d.choices.end()) continue;
    std::string choices;
    for (const std::string& c : d.choices) choices += (choices.empty() ? "'" : " '") + c + "'";
    throw call.error(ErrorKind::Value, d.name + " must be one of " + choices + ", not '" + *given + "'");
  }
}

DType pointwise_type(const Call& call) {
  DType t = promoted(call);
  bool floats = false;
  for (const OperandDecl& d : call.op->schema.operands)
    floats |= d.kind == TensorKind::Float || d.kind == TensorKind::FloatC;
  if (floats && !is_differentiable(t)) t = default_dtype();
  return t;
}

SmallVec<Spec, 2> infer(const Call& call) {
  Infer c{call, {}};
  if (call.op->infer) {
    const std::vector<OperandDecl>& decls = call.op->schema.operands;
    for (size_t i = 0; i < call.in.size(); ++i) {
      const OperandDecl& d = decls[call.op->schema.operand_at(i, call.in.size())];
      if (!call.in[i].defined()) {
        if (!d.optional) throw call.error(ErrorKind::Value, d.name + " is missing");
      } else if (!accepts(d.kind, call.in[i].dtype())) {
        throw call.error(ErrorKind::DType, d.name + " is " + std::string(dtype_name(call.in[i].dtype())) +
                                               " but the op takes " + tensor_kind_name(d.kind));
      }
    }
    call.op->infer(c);
    // One operand without values leaves the results without.
    for (const Tensor& x : call.in) {
      if (!x.defined() || x.device().type != DeviceType::Meta) continue;
      for (Spec& r : c.out) r.device = x.device();
    }
  } else if (call.op->tier == Tier::Pointwise) {
    infer_pointwise(c);
  } else if (call.op->tier == Tier::View) {
    c.result(call.dtype(0), call.op->view(call).shape);
  } else {
    // A composite without a rule of its own: run it on shapes alone.
    SmallVec<Tensor, 4> meta;
    for (const Tensor& x : call.in)
      meta.push_back(x.defined() ? Tensor(new_abstract(x.shape(), x.dtype(), DeviceType::Meta)) : Tensor());
    Values out = call.op->compose(Call{call.op, meta, call.attrs, call.at});
    for (const Tensor& t : out) c.result(t.dtype(), t.shape());
  }
  return std::move(c.out);
}

Expr pointwise_expr(const OpDef& op, DType t, std::span<const Attr> attrs, std::vector<std::string>* params) {
  ExprCtx c;
  c.dtype = t;
  for (size_t k = 0; k < op.schema.operands.size(); ++k) {
    TensorKind kind = op.schema.operands[k].kind;
    bool condition = kind == TensorKind::Bool;
    c.operands.push_back(input(static_cast<int>(k), condition ? DType::Bool : t));
  }
  c.param = [&](std::string_view name) {
    for (size_t i = 0; i < params->size(); ++i) {
      if ((*params)[i] == name) return param(static_cast<int>(i), t);
    }
    params->emplace_back(name);
    return param(static_cast<int>(params->size()) - 1, t);
  };
  c.attr = [&](std::string_view name) -> const Attr& { return Call{&op, {}, attrs, {}}.attr(name); };
  return op.expr(c);
}

}  // namespace thixo
