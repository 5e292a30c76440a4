#include "codegen/schedule_nodes.h"

#include <algorithm>

#include "codegen/cast_kernels.h"
#include "codegen/schedule_values.h"

namespace thixo::codegen {
namespace {

bool computes_in(DType t) { return compute_type(t) == t; }

}  // namespace

void NodeValues::add_node(int index) {
  const GraphNode& n = group_.node(index);
  if (n.op->tier == Tier::Pointwise) {
    add_pointwise(index);
  } else if (n.op->nest) {
    add_nest(index);
  } else {
    refuse("op " + n.op->name() + " has no loop");
  }
}

// ---- nodes ----

void NodeValues::add_pointwise(int index) {
  const GraphNode& n = group_.node(index);
  ValueId result = n.out[0];
  bool row = gives_row(n);
  if (!row) require_full(result);
  const SmallVec<Tensor, 4> in = group_.abstract_operands(n);
  DType t = pointwise_type(Call{n.op, in, n.attrs, n.at});
  if (!computes_in(t)) t = compute_type(t);
  std::vector<std::string> params;
  Expr body = pointwise_expr(*n.op, t, n.attrs, &params);
  int level = 0;
  std::vector<Expr> operands;
  for (ValueId v : n.in)
    operands.push_back(v < 0 || group_.number(v) != nullptr ? Expr()
                                                            : operand(v, row, group_.gv(result).shape.size(), &level));
  body = substitute(body, [&](Expr e) -> Expr {
    if (e->op == ExprOp::Input) {
      const auto k = static_cast<size_t>(e->i);
      const Expr number = number_as(n.in[k], e.dtype());
      return number ? number : convert(operands[k], e.dtype());
    }
    if (e->op == ExprOp::Param) return own_param(index, params[static_cast<size_t>(e->i)], e.dtype());
    return {};
  });
  define(result, body, !row, level);
}

void NodeValues::add_nest(int index) {
  const GraphNode& n = group_.node(index);
  SmallVec<Tensor, 4> in;
  SmallVec<Spec, 2> specs;
  NestCtx c = group_.nest_of(n, &in, &specs);
  if (c.values.size() != 1) refuse("a nest with several results");
  bool reduction = !c.reduce.empty();
  const Shape& s = group_.gv(n.out[0]).shape;
  const size_t rank = domain_.shape().size(), split = domain_.split();
  bool row = !reduction && gives_row(n);
  if (!reduction && !row) require_full(n.out[0]);
  int level = 0;
  auto index_of = [&](int id) -> Expr {  // a loop of the nest at this point of the domain
    for (size_t k = 0; k < c.reduce.size(); ++k) {
      if (c.reduce[k].axis == id) return domain_.component(split + k);
    }
    auto d = static_cast<size_t>(id);
    if (reduction) return d < split ? domain_.component(d) : constant_int(0);
    const size_t aligned = row && s.size() == split ? d : d + rank - s.size();
    return row && aligned >= split ? constant_int(0) : domain_.component(aligned);
  };
  std::function<Expr(Expr)> lower = [&](Expr e) -> Expr {
    if (e->op == ExprOp::Axis) return index_of(e->i);
    if (e->op == ExprOp::Param) return own_param(index, c.params[static_cast<size_t>(e->i)], e.dtype());
    if (e->op == ExprOp::At) return lower_at(n, c, e, reduction, row, lower, &level);
    return {};
  };
  Expr value = substitute(c.values[0], lower);
  if (!reduction) {
    define(n.out[0], value, !row, level);
    return;
  }
  if (domain_.flat()) refuse("a reduction in a flat group");
  int id = ids_.fresh();
  reductions_.push_back({id, *c.combine, value, level});
  Expr result = acc(id, value.dtype());
  define(n.out[0], c.finish ? substitute(c.finish(result), lower) : result, false, level + 1);
}

Expr NodeValues::lower_at(const GraphNode& n, const NestCtx& c, Expr e, bool reduction, bool row,
                          const std::function<Expr(Expr)>& lower, int* level) {
  ValueId v = n.in[static_cast<size_t>(e->i)];
  size_t rank = group_.gv(v).shape.size();
  auto known = values_.find(v);
  if (known != values_.end()) {
    if (known->second.full ? !identity_access(c, e, rank, reduction) : !row || !row_access(e, rank)) {
      refuse("an inner value read at another place");
    }
    *level = std::max(*level, known->second.level);
    return convert(known->second.expr, e.dtype());
  }
  Expr flat = constant_int(0);
  if (reduction && identity_access(c, e, rank, reduction)) {
    flat = domain_.flat_index(domain_.aligned_strides(v), false);
  } else {
    const Strides strides = group_.strides(v);
    for (size_t d = 0; d < rank; ++d) flat = flat + Domain::times(substitute(e->args[d], lower), strides[d]);
  }
  const DType t = loaded_type(group_.gv(v).dtype);
  int b = buffer(v, BufferKind::In);
  if (!e->guarded) return convert(load(b, t, flat), e.dtype());
  Expr predicate = substitute(e->args[rank], lower), other = substitute(e->args[rank + 1], lower);
  return convert(load_if(predicate, b, t, flat, convert(other, t)), e.dtype());
}

/// Whether the nest reads its operand at exactly the place of the domain where it computes.
bool NodeValues::identity_access(const NestCtx& c, Expr e, size_t rank, bool reduction) const {
  if (e->guarded || rank != domain_.shape().size()) return false;
  for (size_t d = 0; d < rank; ++d) {
    if (Domain::one(domain_.shape()[d])) continue;
    Expr i = e->args[d];
    if (i->op != ExprOp::Axis) return false;
    bool reduced = reduction && d >= domain_.split();
    if (reduced ? i->i != c.reduce[d - domain_.split()].axis : i->i != static_cast<int>(d)) return false;
  }
  return true;
}

/// Whether a nest of row values reads a row value of its own row.
bool NodeValues::row_access(Expr e, size_t rank) const {
  if (e->guarded || rank < domain_.split()) return false;
  for (size_t d = 0; d < domain_.split(); ++d) {
    if (Domain::one(domain_.shape()[d])) continue;
    if (e->args[d]->op != ExprOp::Axis || e->args[d]->i != static_cast<int>(d)) return false;
  }
  return true;
}

// ---- results ----

/// Whether a node gives one number for each row. Where sizes coincide, [n] beside [n, n] can be that or one row that
/// all share; it is the first only if it is computed from such numbers.
bool NodeValues::gives_row(const GraphNode& n) const {
  const Shape& s = group_.gv(n.out[0]).shape;
  if (!domain_.is_row(s) || domain_.is_full(s)) return false;
  if (!domain_.is_short(s) || !domain_.is_shared(s)) return true;
  return std::any_of(n.in.begin(), n.in.end(), [&](ValueId v) {
    const auto known = values_.find(v);
    return known != values_.end() && !known->second.full;
  });
}

void NodeValues::require_full(ValueId v) const {
  const Shape& s = group_.gv(v).shape;
  if (domain_.is_full(s)) return;
  if (!domain_.is_shared(s)) refuse("a value of another shape than the group's");
  if (group_.stored(v)) refuse("a result that all rows share");
}

/// Values that eager would have rounded to a type that lives in memory only are not to be had without storing them.
bool NodeValues::keeps_its_type(ValueId v, Expr e) const {
  const DType t = group_.gv(v).dtype;
  return computes_in(t) || keeps_to_type(e, t, [&](Expr leaf) {
           if (leaf->op == ExprOp::Load) return out_.kernel.buffers[static_cast<size_t>(leaf->i)].dtype == t;
           const auto r =
               std::find_if(reductions_.begin(), reductions_.end(), [&](auto& x) { return x.id == leaf->i; });
           return (r->combine == Combine::Min || r->combine == Combine::Max) && keeps_its_type(v, r->value);
         });
}

void NodeValues::define(ValueId v, Expr e, bool full, int level) {
  if (!group_.stored(v) && !keeps_its_type(v, e)) refuse("an inner value of a type that lives in memory only");
  // Stored with fewer bits than computed: what others in the group see is what eager would have stored.
  values_[v] = {convert(e, compute_type(group_.gv(v).dtype)), full, level};
  order_.push_back(v);
}

// ---- operands ----

/// Operand v of a pointwise node whose result, of that rank, is a row value or a full one.
Expr NodeValues::operand(ValueId v, bool row_node, size_t rank, int* level) {
  auto known = values_.find(v);
  if (known != values_.end()) {
    if (known->second.full && row_node) refuse("a full value read by a row value");
    const Shape& s = group_.gv(v).shape;
    if (!known->second.full && !row_node && domain_.is_short(s) && !std::all_of(s.begin(), s.end(), Domain::one))
      refuse("a row value that is broadcast along the rows");
    *level = std::max(*level, known->second.level);
    return known->second.expr;
  }
  Strides s = row_node ? domain_.row_strides(v, rank) : domain_.aligned_strides(v);
  return load_value(v, domain_.flat_index(s, row_node));
}

Expr NodeValues::load_value(ValueId v, Expr index) {
  DType t = group_.gv(v).dtype;
  return convert(load(buffer(v, BufferKind::In), loaded_type(t), index), compute_type(t));
}

/// The number that v is, as an operand of compute type t; null when no `number` node makes it.
Expr NodeValues::number_as(ValueId v, DType t) const {
  const Scalar* x = group_.number(v);
  if (x == nullptr) return {};
  if (is_complex(t)) return constant(x->to_complex(), t);
  if (is_float(t)) return constant(x->to_double(), t);
  return is_complex(x->kind()) || is_float(x->kind()) ? convert(constant(x->to_double(), DType::F64), t)
                                                      : constant_int(x->to_int(), t);
}

Expr NodeValues::own_param(int index, const std::string& attr, DType t) {
  for (size_t i = 0; i < out_.params.size(); ++i) {
    const ParamSource& p = out_.params[i];
    if (p.node == index && p.attr == attr && p.dtype == t) return param(static_cast<int>(i), t);
  }
  out_.params.push_back({index, attr, t});
  return param(static_cast<int>(out_.params.size()) - 1, t);
}

int NodeValues::buffer(ValueId v, BufferKind kind) {
  auto found = buffers_.find(v);
  if (found != buffers_.end()) return found->second;
  auto id = static_cast<int>(out_.kernel.buffers.size());
  out_.kernel.buffers.push_back({"v" + std::to_string(v), group_.gv(v).dtype, kind, 0});
  out_.buffers.push_back(v);
  return buffers_[v] = id;
}

}  // namespace thixo::codegen
