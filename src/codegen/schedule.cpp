#include "codegen/schedule.h"

#include <algorithm>
#include <map>

#include "codegen/schedule_values.h"

namespace thixo::codegen {
namespace {

struct CannotSchedule {
  std::string why;
};
[[noreturn]] void refuse(std::string why) { throw CannotSchedule{std::move(why)}; }

bool computes_in(DType t) { return compute_type(t) == t; }

/// What a value of the group is while the kernel is built.
struct Value {
  Expr expr;        // in the current pass; full values: at (row, column), row values: at the row
  bool full = false;
  int level = 0;  // the first pass in which it can be computed
};

class Scheduler {
 public:
  Scheduler(const Graph& g, std::span<const int> nodes, const std::function<bool(ValueId)>& stored,
            const LayoutOf& layout, const std::string& name)
      : g_(g), nodes_(nodes), stored_(stored), layout_(layout) {
    out_.kernel.name = name;
    for (const GraphNode& n : g.nodes) {
      if (n.op->name() == "number") numbers_.emplace(n.out[0], std::get<Scalar>(n.attrs[0]));
    }
    out_.kernel.par_axis = ids_.fresh();
  }

  Scheduled run() {
    find_domain();
    for (int n : nodes_) add_node(n);
    if (flat_) {
      out_.kernel.vector_par = true;
      out_.extent = rows_ * columns_;
    } else {
      out_.extent = rows_;
    }
    out_.row = columns_;
    emit();
    collect_sizes();
    verify(out_.kernel);
    return std::move(out_);
  }

 private:
  // ---- the domain ----

  const GraphNode& node(int n) const { return g_.nodes[static_cast<size_t>(n)]; }
  const GraphValue& gv(ValueId v) const { return g_.values[static_cast<size_t>(v)]; }
  bool is_reduction(const GraphNode& n) const { return n.op->tier == Tier::Nest && n.op->nest && reduces(n); }
  NestCtx nest_of(const GraphNode& n, SmallVec<Tensor, 4>* in, SmallVec<Spec, 2>* specs) const {
    for (ValueId v : n.in) in->push_back(v < 0 ? Tensor() : abstract_value(g_, v));
    Call call{n.op, *in, n.attrs, n.at};
    *specs = infer(call);
    NestCtx c(call, *specs);
    n.op->nest(c);
    return c;
  }
  bool reduces(const GraphNode& n) const {
    SmallVec<Tensor, 4> in;
    SmallVec<Spec, 2> specs;
    return !nest_of(n, &in, &specs).reduce.empty();
  }

  void find_domain() {
    std::optional<Shape> full;
    int64_t reduced = 0;
    auto larger = [](const Shape& a, const Shape& b) {  // more dims of size other than 1
      auto count = [](const Shape& s) {
        return std::count_if(s.begin(), s.end(), [](Dim d) { return d.is_symbolic() || d.raw() != 1; });
      };
      return count(a) != count(b) ? count(a) > count(b) : a.size() > b.size();
    };
    for (int i : nodes_) {
      const GraphNode& n = node(i);
      if (is_reduction(n)) {
        const Shape& s = gv(n.in[0]).shape;
        if (!full || larger(s, *full)) full = s;
        Call call{n.op, {}, n.attrs, n.at};
        auto dims = call.dims("dim", static_cast<int>(s.size()));
        auto k = static_cast<int64_t>(dims.size());
        for (size_t d = 0; d < dims.size(); ++d) {
          if (dims[d] != static_cast<int>(s.size() - dims.size() + d))
            refuse("a reduction over dims that are not the last");
        }
        if (reduced != 0 && k != reduced) refuse("reductions over different dims");
        reduced = k;
      }
      for (ValueId v : n.out) {
        if (!full || larger(gv(v).shape, *full)) full = gv(v).shape;
      }
    }
    shape_ = *full;
    if (shape_.empty()) shape_.push_back(1);
    has_reduction_ = reduced > 0;
    split_ = shape_.size() - static_cast<size_t>(has_reduction_ ? reduced : uniform_suffix());
    rows_ = columns_ = 1;
    for (size_t d = 0; d < shape_.size(); ++d) (d < split_ ? rows_ : columns_) *= shape_[d];
    flat_ = !has_reduction_ && all_alike();
    column_axis_ = ids_.fresh();
  }

  /// Strides of an outside value in the domain's dims; 0 where it is broadcast.
  Strides aligned_strides(ValueId v) const {
    const Shape& s = gv(v).shape;
    Strides own = layout_(v);
    if (own.empty()) own = contiguous_strides(s);
    Strides out(shape_.size(), 0);
    for (size_t d = 0; d < s.size(); ++d) {
      bool one = !s[d].is_symbolic() && s[d].raw() == 1;
      if (s.size() > shape_.size()) refuse("an operand of more dims than the group");
      out[d + shape_.size() - s.size()] = one ? Dim(0) : own[d];
    }
    return out;
  }
  bool from_outside(ValueId v) const {
    return std::none_of(nodes_.begin(), nodes_.end(), [&](int i) {
      const auto& o = node(i).out;
      return std::find(o.begin(), o.end(), v) != o.end();
    });
  }
  std::vector<ValueId> pointwise_inputs() const {
    std::vector<ValueId> out;
    for (int i : nodes_) {
      if (node(i).op->tier != Tier::Pointwise && node(i).op->name() != "to_dtype") continue;
      for (ValueId v : node(i).in) {
        if (v >= 0 && from_outside(v) && !numbers_.contains(v)) out.push_back(v);
      }
    }
    return out;
  }
  static bool contiguous_or_constant(const Strides& s, const Shape& shape, size_t from) {
    Dim expect = 1;
    bool row_major = true, constant = true;
    for (size_t d = shape.size(); d-- > from;) {
      bool one = !shape[d].is_symbolic() && shape[d].raw() == 1;
      if (one) continue;
      row_major = row_major && s[d].raw() == expect.raw();
      constant = constant && s[d].raw() == 0;
      expect = expect * shape[d];
    }
    return row_major || constant;
  }
  /// The most trailing dims over which each operand is contiguous or constant; at least one.
  int64_t uniform_suffix() const {
    std::vector<Strides> all;
    for (ValueId v : pointwise_inputs()) all.push_back(aligned_strides(v));
    auto k = static_cast<int64_t>(shape_.size());
    for (; k > 1; --k) {
      bool ok = std::all_of(all.begin(), all.end(), [&](const Strides& s) {
        return contiguous_or_constant(s, shape_, shape_.size() - static_cast<size_t>(k));
      });
      if (ok) break;
    }
    return k;
  }
  bool all_alike() const {
    for (int i : nodes_) {
      if (node(i).op->tier != Tier::Pointwise && !node(i).in.empty()) return false;
    }
    std::vector<ValueId> in = pointwise_inputs();
    return std::all_of(in.begin(), in.end(),
                       [&](ValueId v) { return contiguous_or_constant(aligned_strides(v), shape_, 0); });
  }

  // ---- indices ----

  Expr par() const { return axis(out_.kernel.par_axis); }
  Expr column() const { return axis(column_axis_); }
  /// The index along dim d of the domain at (row, column).
  Expr component(size_t d) const {
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
  static bool one(Dim d) { return !d.is_symbolic() && d.raw() == 1; }
  static Expr times(Expr e, Dim d) { return one(d) ? e : e * size(d); }

  /// Flat index of an outside value with these aligned strides.
  Expr flat_index(const Strides& s, bool row_only) const {
    if (flat_) return std::all_of(s.begin(), s.end(), [](Dim d) { return d.raw() == 0; }) ? constant_int(0) : par();
    return part_index(s, 0, split_, par()) +
           (row_only ? constant_int(0) : part_index(s, split_, shape_.size(), column()));
  }
  Expr part_index(const Strides& s, size_t from, size_t to, Expr whole) const {
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

  // ---- values ----

  /// Without the reduced dims: [rows] where the group is [rows, columns].
  bool is_short(const Shape& s) const { return s.size() == split_ && s.size() != shape_.size(); }
  bool is_row(const Shape& s) const {
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
  bool is_full(const Shape& s) const {
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

  /// A value that every row shares: the shape of a row alone. It is computed like a full one.
  bool is_shared(const Shape& s) const {
    size_t lead = 0;
    while (lead < s.size() && one(s[lead])) ++lead;
    if (flat_ || s.size() - lead != shape_.size() - split_) return false;
    for (size_t d = lead; d < s.size(); ++d) {
      if (s[d].raw() != shape_[split_ + d - lead].raw()) return false;
    }
    return true;
  }

  /// Whether a node gives one number for each row. Where sizes coincide, [n] beside [n, n] can be that or one row that
  /// all share; it is the first only if it is computed from such numbers.
  bool gives_row(const GraphNode& n) const {
    const Shape& s = gv(n.out[0]).shape;
    if (!is_row(s) || is_full(s)) return false;
    if (!is_short(s) || !is_shared(s)) return true;
    return std::any_of(n.in.begin(), n.in.end(), [&](ValueId v) {
      const auto known = values_.find(v);
      return known != values_.end() && !known->second.full;
    });
  }

  int buffer(ValueId v, BufferKind kind) {
    auto found = buffers_.find(v);
    if (found != buffers_.end()) return found->second;
    auto id = static_cast<int>(out_.kernel.buffers.size());
    out_.kernel.buffers.push_back({"v" + std::to_string(v), gv(v).dtype, kind, 0});
    out_.buffers.push_back(v);
    return buffers_[v] = id;
  }
  static DType loaded(DType t) { return t == DType::F16 || t == DType::BF16 ? DType::F32 : t; }
  Expr load_value(ValueId v, Expr index) {
    DType t = gv(v).dtype;
    return convert(load(buffer(v, BufferKind::In), loaded(t), index), compute_type(t));
  }
  static Expr convert(Expr e, DType t) {
    if (e.dtype() == t) return e;
    if (is_complex(e.dtype()) && !is_complex(t)) e = unary(ExprOp::Real, e);
    if (t == DType::Bool) return ne(e, is_float(e.dtype()) ? constant(0, e.dtype()) : constant_int(0, e.dtype()));
    return cast(e, t);
  }

  /// The number that v is, as an operand of compute type t; null when no `number` node makes it.
  Expr number_as(ValueId v, DType t) const {
    auto found = numbers_.find(v);
    if (found == numbers_.end()) return {};
    const Scalar& x = found->second;
    if (is_complex(t)) return constant(x.to_complex(), t);
    if (is_float(t)) return constant(x.to_double(), t);
    return is_complex(x.kind()) || is_float(x.kind()) ? convert(constant(x.to_double(), DType::F64), t)
                                                      : constant_int(x.to_int(), t);
  }

  /// Operand v of a pointwise node whose result is a row value or a full one.
  Expr operand(ValueId v, bool row_node, int* level) {
    auto known = values_.find(v);
    if (known != values_.end()) {
      if (known->second.full && row_node) refuse("a full value read by a row value");
      const Shape& s = gv(v).shape;
      if (!known->second.full && !row_node && is_short(s) && !std::all_of(s.begin(), s.end(), one))
        refuse("a row value that is broadcast along the rows");
      *level = std::max(*level, known->second.level);
      return known->second.expr;
    }
    Strides s = row_node ? row_strides(v) : aligned_strides(v);
    return load_value(v, flat_index(s, row_node));
  }
  /// A row node's outside operand: its shape may lack the reduced dims.
  Strides row_strides(ValueId v) const {
    const Shape& s = gv(v).shape;
    if (s.size() != split_ || s.size() == shape_.size()) return aligned_strides(v);
    Strides own = layout_(v), out(shape_.size(), 0);
    if (own.empty()) own = contiguous_strides(s);
    for (size_t d = 0; d < s.size(); ++d) out[d] = one(s[d]) ? Dim(0) : own[d];
    return out;
  }

  void add_node(int index) {
    const GraphNode& n = node(index);
    if (n.op->tier == Tier::Pointwise) {
      add_pointwise(index);
    } else if (n.op->nest) {
      add_nest(index);
    } else {
      refuse("op " + n.op->name() + " has no loop");
    }
  }

  /// Values that eager would have rounded to a type that lives in memory only are not to be had without storing them.
  bool keeps_its_type(ValueId v, Expr e) const {
    const DType t = gv(v).dtype;
    return computes_in(t) || keeps_to_type(e, t, [&](Expr leaf) {
             if (leaf->op == ExprOp::Load) return out_.kernel.buffers[static_cast<size_t>(leaf->i)].dtype == t;
             const auto r =
                 std::find_if(reductions_.begin(), reductions_.end(), [&](auto& x) { return x.id == leaf->i; });
             return (r->combine == Combine::Min || r->combine == Combine::Max) && keeps_its_type(v, r->value);
           });
  }

  void define(ValueId v, Expr e, bool full, int level) {
    if (!stored_(v) && !keeps_its_type(v, e)) refuse("an inner value of a type that lives in memory only");
    // Stored with fewer bits than computed: what others in the group see is what eager would have stored.
    values_[v] = {convert(e, compute_type(gv(v).dtype)), full, level};
    order_.push_back(v);
  }

  void require_full(ValueId v) const {
    if (is_full(gv(v).shape)) return;
    if (!is_shared(gv(v).shape)) refuse("a value of another shape than the group's");
    if (stored_(v)) refuse("a result that all rows share");
  }

  void add_pointwise(int index) {
    const GraphNode& n = node(index);
    ValueId result = n.out[0];
    bool row = gives_row(n);
    if (!row) require_full(result);
    SmallVec<Tensor, 4> in;
    for (ValueId v : n.in) in.push_back(v < 0 ? Tensor() : abstract_value(g_, v));
    DType t = pointwise_type(Call{n.op, in, n.attrs, n.at});
    if (!computes_in(t)) t = compute_type(t);
    std::vector<std::string> params;
    Expr body = pointwise_expr(*n.op, t, n.attrs, &params);
    int level = 0;
    std::vector<Expr> operands;
    for (ValueId v : n.in) operands.push_back(v < 0 || numbers_.contains(v) ? Expr() : operand(v, row, &level));
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

  Expr own_param(int index, const std::string& attr, DType t) {
    for (size_t i = 0; i < out_.params.size(); ++i) {
      const ParamSource& p = out_.params[i];
      if (p.node == index && p.attr == attr && p.dtype == t) return param(static_cast<int>(i), t);
    }
    out_.params.push_back({index, attr, t});
    return param(static_cast<int>(out_.params.size()) - 1, t);
  }

  void add_nest(int index) {
    const GraphNode& n = node(index);
    SmallVec<Tensor, 4> in;
    SmallVec<Spec, 2> specs;
    NestCtx c = nest_of(n, &in, &specs);
    if (c.values.size() != 1) refuse("a nest with several results");
    bool reduction = !c.reduce.empty();
    const Shape& s = gv(n.out[0]).shape;
    bool row = !reduction && gives_row(n);
    if (!reduction && !row) require_full(n.out[0]);
    int level = 0;
    auto index_of = [&](int id) -> Expr {  // a loop of the nest at this point of the domain
      for (size_t k = 0; k < c.reduce.size(); ++k) {
        if (c.reduce[k].axis == id) return component(split_ + k);
      }
      auto d = static_cast<size_t>(id);
      if (reduction) return d < split_ ? component(d) : constant_int(0);
      const size_t aligned = row && s.size() == split_ ? d : d + shape_.size() - s.size();
      return row && aligned >= split_ ? constant_int(0) : component(aligned);
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
    if (flat_) refuse("a reduction in a flat group");
    int id = ids_.fresh();
    reductions_.push_back({id, *c.combine, value, level});
    Expr result = acc(id, value.dtype());
    define(n.out[0], c.finish ? substitute(c.finish(result), lower) : result, false, level + 1);
  }

  Expr lower_at(const GraphNode& n, const NestCtx& c, Expr e, bool reduction, bool row,
                const std::function<Expr(Expr)>& lower, int* level) {
    ValueId v = n.in[static_cast<size_t>(e->i)];
    size_t rank = gv(v).shape.size();
    auto known = values_.find(v);
    if (known != values_.end()) {
      if (known->second.full ? !identity_access(c, e, rank, reduction) : !row || !row_access(e, rank)) {
        refuse("an inner value read at another place");
      }
      *level = std::max(*level, known->second.level);
      return convert(known->second.expr, e.dtype());
    }
    Strides strides = layout_(v);
    if (strides.empty()) strides = contiguous_strides(gv(v).shape);
    Expr flat = constant_int(0);
    if (reduction && identity_access(c, e, rank, reduction)) {
      flat = flat_index(aligned_strides(v), false);
    } else {
      for (size_t d = 0; d < rank; ++d) flat = flat + times(substitute(e->args[d], lower), strides[d]);
    }
    DType t = gv(v).dtype;
    int b = buffer(v, BufferKind::In);
    if (!e->guarded) return convert(load(b, loaded(t), flat), e.dtype());
    Expr predicate = substitute(e->args[rank], lower), other = substitute(e->args[rank + 1], lower);
    return convert(load_if(predicate, b, loaded(t), flat, convert(other, loaded(t))), e.dtype());
  }
  /// Whether the nest reads its operand at exactly the place of the domain where it computes.
  bool identity_access(const NestCtx& c, Expr e, size_t rank, bool reduction) const {
    if (e->guarded || rank != shape_.size()) return false;
    for (size_t d = 0; d < rank; ++d) {
      if (one(shape_[d])) continue;
      Expr i = e->args[d];
      if (i->op != ExprOp::Axis) return false;
      bool reduced = reduction && d >= split_;
      if (reduced ? i->i != c.reduce[d - split_].axis : i->i != static_cast<int>(d)) return false;
    }
    return true;
  }

  /// Whether a nest of row values reads a row value of its own row.
  bool row_access(Expr e, size_t rank) const {
    if (e->guarded || rank < split_) return false;
    for (size_t d = 0; d < split_; ++d) {
      if (!one(shape_[d]) && (e->args[d]->op != ExprOp::Axis || e->args[d]->i != static_cast<int>(d))) return false;
    }
    return true;
  }

  // ---- the kernel ----

  struct Reduction {
    int id;
    Combine combine;
    Expr value;
    int level;
  };

  void emit() {
    int passes = 0;
    for (ValueId v : order_) passes = std::max(passes, values_[v].level);
    for (const Reduction& r : reductions_) passes = std::max(passes, r.level);
    if (flat_) {
      for (ValueId v : order_) {
        if (stored_(v)) store(v, par());
      }
      out_.kernel.body = std::move(block_);
      return;
    }
    for (int pass = 0; pass <= passes; ++pass) emit_pass(pass);
    out_.kernel.body = std::move(block_);
  }

  void emit_pass(int pass) {
    for (ValueId v : order_) {  // row values that are ready before the pass over the columns
      const Value& x = values_[v];
      if (!x.full && x.level == pass && stored_(v)) store(v, par());
    }
    Block body;
    std::swap(body, block_);
    std::vector<AccDecl> accs;
    for (const Reduction& r : reductions_) {
      if (r.level != pass) continue;
      accs.push_back({r.id, r.value.dtype(), r.combine, {}});
    }
    for (ValueId v : order_) {
      const Value& x = values_[v];
      if (x.full && x.level == pass && stored_(v)) store(v, par() * size(columns_) + column());
    }
    keep_expensive(pass);
    for (const Reduction& r : reductions_) {
      if (r.level == pass) block_.push_back(make_update(r.id, replaced(r.value, pass)));
    }
    std::swap(body, block_);
    if (!body.empty())
      block_.push_back(make_loop(column_axis_, size(columns_), LoopKind::Vector, std::move(accs), std::move(body)));
  }

  /// Expensive values of this pass that later passes read go to row scratch (or are read back from their output).
  void keep_expensive(int pass) {
    for (ValueId v : order_) {
      const Value& x = values_[v];
      if (!x.full || x.level != pass || !expensive(x.expr) || !read_after(x.expr, pass)) continue;
      auto id = static_cast<int>(out_.kernel.buffers.size());
      DType t = x.expr.dtype();
      if (is_complex(t) || t == DType::Bool) continue;
      out_.kernel.buffers.push_back({"scratch" + std::to_string(scratch_.size()), t, BufferKind::Scratch, columns_});
      out_.buffers.push_back(-1);
      block_.push_back(make_store(id, column(), replaced(x.expr, pass)));
      scratch_.push_back({x.expr, load(id, t, column()), pass});
    }
  }
  bool read_after(Expr e, int pass) const {
    auto contains = [&](Expr whole) {
      bool found = false;
      visit(whole, [&](Expr n) { found = found || n == e; });
      return found;
    };
    for (const Reduction& r : reductions_) {
      if (r.level > pass && contains(r.value)) return true;
    }
    for (ValueId v : order_) {
      auto x = values_.find(v);
      if (x->second.full && x->second.level > pass && stored_(v) && contains(x->second.expr)) return true;
    }
    return false;
  }
  Expr replaced(Expr e, int pass) const {
    return substitute(e, [&](Expr n) -> Expr {
      for (const Kept& k : scratch_) {
        if (k.pass < pass && n == k.expr) return k.load;
      }
      return {};
    });
  }

  void store(ValueId v, Expr index) {
    const Value& x = values_[v];
    int b = buffer(v, BufferKind::Out);
    block_.push_back(make_store(b, index, convert(replaced(x.expr, x.level), loaded(gv(v).dtype))));
  }

  void collect_sizes() {
    out_.kernel.params = static_cast<int>(out_.params.size());
    auto note = [&](Dim d) {
      if (!d.is_symbolic()) return;
      std::vector<Dim> todo = {d};
      while (!todo.empty()) {
        Dim x = todo.back();
        todo.pop_back();
        if (!x.is_symbolic()) continue;
        const DimNode& n = dim_node(x);
        if (n.op != 'n') {
          todo.push_back(n.a);
          todo.push_back(n.b);
        } else if (std::none_of(out_.kernel.sizes.begin(), out_.kernel.sizes.end(),
                                [&](Dim s) { return s.raw() == x.raw(); })) {
          out_.kernel.sizes.push_back(x);
        }
      }
    };
    note(rows_);
    note(columns_);
    for (const KernelBuffer& b : out_.kernel.buffers) note(b.scratch_size);
    auto note_expr = [&](Expr e) {
      if (e)
        visit(e, [&](Expr n) {
          if (n->op == ExprOp::Size) note(n->dim);
        });
    };
    std::function<void(const Block&)> walk = [&](const Block& b) {
      for (const Stmt& s : b) {
        for (Expr e : {s.extent, s.index, s.predicate, s.value}) note_expr(e);
        walk(s.body);
      }
    };
    walk(out_.kernel.body);
  }

  struct Kept {
    Expr expr, load;
    int pass;
  };

  const Graph& g_;
  std::span<const int> nodes_;
  const std::function<bool(ValueId)>& stored_;
  const LayoutOf& layout_;
  KernelIds ids_;
  Scheduled out_;
  Shape shape_;
  size_t split_ = 0;  // dims before it are rows
  Dim rows_ = 1, columns_ = 1;
  bool flat_ = false, has_reduction_ = false;
  int column_axis_ = 0;
  std::map<ValueId, int> buffers_;
  std::map<ValueId, Value> values_;
  std::map<ValueId, Scalar> numbers_;
  std::vector<ValueId> order_;
  std::vector<Reduction> reductions_;
  std::vector<Kept> scratch_;
  Block block_;
};

}  // namespace

std::optional<Scheduled> schedule(const Graph& g, std::span<const int> nodes,
                                  const std::function<bool(ValueId)>& stored, const LayoutOf& layout,
                                  const std::string& name, std::string* why) {
  try {
    return Scheduler(g, nodes, stored, layout, name).run();
  } catch (const CannotSchedule& c) {
    if (why != nullptr) *why = c.why;
    return std::nullopt;
  }
}

}  // namespace thixo::codegen
