#include "codegen/schedule_domain.h"

#include <algorithm>

namespace thixo::codegen {
namespace {

/// Whether a has more dims of size other than 1.
bool larger(const Shape& a, const Shape& b) {
  auto count = [](const Shape& s) { return std::count_if(s.begin(), s.end(), [](Dim d) { return !Domain::one(d); }); };
  return count(a) != count(b) ? count(a) > count(b) : a.size() > b.size();
}

bool is_reduction(const NodeGroup& group, const GraphNode& n) {
  if (n.op->tier != Tier::Nest || !n.op->nest) return false;
  SmallVec<Tensor, 4> in;
  SmallVec<Spec, 2> specs;
  return !group.nest_of(n, &in, &specs).reduce.empty();
}

/// How many dims a reduction over s takes: they must be the last.
int64_t reduced_dims(const GraphNode& n, const Shape& s) {
  Call call{n.op, {}, n.attrs, n.at};
  auto dims = call.dims("dim", static_cast<int>(s.size()));
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] != static_cast<int>(s.size() - dims.size() + d)) refuse("a reduction over dims that are not the last");
  }
  return static_cast<int64_t>(dims.size());
}

std::vector<ValueId> pointwise_inputs(const NodeGroup& group) {
  std::vector<ValueId> out;
  for (int i : group.nodes()) {
    const GraphNode& n = group.node(i);
    if (n.op->tier != Tier::Pointwise && n.op->name() != "to_dtype") continue;
    for (ValueId v : n.in) {
      if (v >= 0 && group.from_outside(v) && group.number(v) == nullptr) out.push_back(v);
    }
  }
  return out;
}

bool contiguous_or_constant(const Strides& s, const Shape& shape, size_t from) {
  Dim expect = 1;
  bool row_major = true, constant = true;
  for (size_t d = shape.size(); d-- > from;) {
    if (Domain::one(shape[d])) continue;
    row_major = row_major && s[d].raw() == expect.raw();
    constant = constant && s[d].raw() == 0;
    expect = expect * shape[d];
  }
  return row_major || constant;
}

}  // namespace

Domain::Domain(const NodeGroup& group, KernelIds& ids)
    : group_(group), par_axis_(ids.fresh()), column_axis_(ids.fresh()) {
  find();
}

void Domain::find() {
  std::optional<Shape> full;
  int64_t reduced = 0;
  for (int i : group_.nodes()) {
    const GraphNode& n = group_.node(i);
    if (is_reduction(group_, n)) {
      const Shape& s = group_.gv(n.in[0]).shape;
      if (!full || larger(s, *full)) full = s;
      const int64_t k = reduced_dims(n, s);
      if (reduced != 0 && k != reduced) refuse("reductions over different dims");
      reduced = k;
    }
    for (ValueId v : n.out) {
      if (!full || larger(group_.gv(v).shape, *full)) full = group_.gv(v).shape;
    }
  }
  shape_ = *full;
  if (shape_.empty()) shape_.push_back(1);
  has_reduction_ = reduced > 0;
  split_ = shape_.size() - static_cast<size_t>(has_reduction_ ? reduced : uniform_suffix());
  for (size_t d = 0; d < shape_.size(); ++d) (d < split_ ? rows_ : columns_) *= shape_[d];
  flat_ = !has_reduction_ && all_alike();
}

/// The most trailing dims over which each operand is contiguous or constant; at least one.
int64_t Domain::uniform_suffix() const {
  std::vector<Strides> all;
  for (ValueId v : pointwise_inputs(group_)) all.push_back(aligned_strides(v));
  auto k = static_cast<int64_t>(shape_.size());
  for (; k > 1; --k) {
    bool ok = std::all_of(all.begin(), all.end(), [&](const Strides& s) {
      return contiguous_or_constant(s, shape_, shape_.size() - static_cast<size_t>(k));
    });
    if (ok) break;
  }
  return k;
}

bool Domain::all_alike() const {
  for (int i : group_.nodes()) {
    if (group_.node(i).op->tier != Tier::Pointwise && !group_.node(i).in.empty()) return false;
  }
  std::vector<ValueId> in = pointwise_inputs(group_);
  return std::all_of(in.begin(), in.end(),
                     [&](ValueId v) { return contiguous_or_constant(aligned_strides(v), shape_, 0); });
}

// ---- indices ----

Expr Domain::component(size_t d) const {
  bool lead = d < split_ && !flat_;
  size_t begin = lead ? 0 : flat_ ? 0 : split_, end = lead ? split_ : shape_.size();
  Expr at = lead || flat_ ? par() : column();
  Dim below = 1;
  for (size_t e = d + 1; e < end; ++e) below = below * shape_[e];
  Dim above = 1;
  for (size_t e = begin; e < d; ++e) above = above * shape_[e];
  if (!one(below)) at = floor_div(at, size(below));
  if (!one(above)) at = mod(at, size(shape_[d]));
  return at;
}

Strides Domain::aligned_strides(ValueId v) const {
  const Shape& s = group_.gv(v).shape;
  if (s.size() > shape_.size()) refuse("an operand of more dims than the group");
  const Strides own = group_.strides(v);
  Strides out(shape_.size(), 0);
  for (size_t d = 0; d < s.size(); ++d) out[d + shape_.size() - s.size()] = one(s[d]) ? Dim(0) : own[d];
  return out;
}

Strides Domain::row_strides(ValueId v, size_t rank) const {
  const Shape& s = group_.gv(v).shape;
  const Strides own = group_.strides(v);
  Strides out(shape_.size(), 0);
  for (size_t d = 0; d < s.size(); ++d) out[d + rank - s.size()] = one(s[d]) ? Dim(0) : own[d];
  return out;
}

Expr Domain::flat_index(const Strides& s, bool row_only) const {
  if (flat_) return std::all_of(s.begin(), s.end(), [](Dim d) { return d.raw() == 0; }) ? constant_int(0) : par();
  return part_index(s, 0, split_, par()) +
         (row_only ? constant_int(0) : part_index(s, split_, shape_.size(), column()));
}

Expr Domain::part_index(const Strides& s, size_t from, size_t to, Expr whole) const {
  Dim expect = 0;
  bool collapses = true;
  for (size_t d = to; d-- > from;) {  // one stride for the collapsed dims?
    if (one(shape_[d])) continue;
    if (expect.raw() == 0 && s[d].raw() != 0 && collapses) {
      bool first = true;
      for (size_t e = d + 1; e < to; ++e) first = first && one(shape_[e]);
      if (!first) collapses = false;
      expect = s[d];
    }
    if (s[d].raw() != expect.raw()) collapses = false;
    expect = expect * shape_[d];
  }
  bool constant = std::all_of(s.begin() + from, s.begin() + to, [](Dim d) { return d.raw() == 0; });
  if (constant) return constant_int(0);
  if (collapses) {
    for (size_t d = to; d-- > from;) {
      if (!one(shape_[d])) return times(whole, s[d]);
    }
  }
  Expr sum = constant_int(0);
  for (size_t d = from; d < to; ++d) {
    if (s[d].raw() != 0 && !one(shape_[d])) sum = sum + times(component(d), s[d]);
  }
  return sum;
}

// ---- what a value is ----

bool Domain::is_row(const Shape& s) const {
  if (flat_) return false;
  // Without a reduction a shorter shape is broadcast from the right, as everywhere.
  if (is_short(s))
    return has_reduction_ &&
           std::equal(s.begin(), s.end(), shape_.begin(), [](Dim a, Dim b) { return a.raw() == b.raw(); });
  if (s.size() != shape_.size()) return false;
  for (size_t d = 0; d < s.size(); ++d) {
    if (d < split_ ? s[d].raw() != shape_[d].raw() : !one(s[d])) return false;
  }
  return true;
}

bool Domain::is_full(const Shape& s) const {
  size_t lead = shape_.size() - std::min(shape_.size(), s.size());
  for (size_t d = 0; d < lead; ++d) {
    if (!one(shape_[d])) return false;
  }
  if (s.size() > shape_.size()) return false;
  for (size_t d = 0; d < s.size(); ++d) {
    if (s[d].raw() != shape_[d + lead].raw()) return false;
  }
  return true;
}

bool Domain::is_shared(const Shape& s) const {
  size_t lead = 0;
  while (lead < s.size() && one(s[lead])) ++lead;
  if (flat_ || s.size() - lead != shape_.size() - split_) return false;
  for (size_t d = lead; d < s.size(); ++d) {
    if (s[d].raw() != shape_[split_ + d - lead].raw()) return false;
  }
  return true;
}

}  // namespace thixo::codegen
