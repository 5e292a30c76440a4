#include "transform/tape.h"

#include <algorithm>

#include "base/thread_state.h"
#include "ir/dispatch.h"
#include "ir/variant.h"
#include "transform/backward.h"
#include "transform/interpreter.h"
#include "transform/saving.h"
#include "transform/write.h"

namespace thixo {
namespace {

/// derived_grad() without its lock and its map: what this thread asked for before.
struct KnownGrad {
  int operand, variant;
  const PointwiseGrad* grad;
};
using KnownGrads = std::vector<SmallVec<KnownGrad, 2>>;
THIXO_FAST_TLS KnownGrads* t_grads = nullptr;

const PointwiseGrad* known_grad(const OpDef& op, int operand, std::span<const Attr> attrs) {
  if (t_grads == nullptr) {
    thread_local KnownGrads table(all_ops().size());
    t_grads = &table;
  }
  const int variant = attrs.empty() ? 0 : variant_of(op, attrs);
  SmallVec<KnownGrad, 2>& known = (*t_grads)[static_cast<size_t>(op.id)];
  for (const KnownGrad& g : known) {
    if (g.operand == operand && g.variant == variant) return g.grad;
  }
  const PointwiseGrad* grad = &derived_grad(op, operand, attrs);
  known.push_back({operand, variant, grad});
  return grad;
}

THIXO_FAST_TLS const SourceLoc* t_outer = nullptr;

/// While it lives, nodes have the place of the call that they are a part of: those within the library say nothing.
class PartOf {
 public:
  explicit PartOf(const SourceLoc& at) : before_(t_outer) {
    if (before_ == nullptr) t_outer = &at;
  }
  ~PartOf() { t_outer = before_; }
  PartOf(const PartOf&) = delete;

 private:
  const SourceLoc* before_;
};

}  // namespace

/// What the gradient of one node sees while it runs.
class TapeGrad final : public GradCtx {
 public:
  TapeGrad(OpNode& node, std::span<const Tensor> g, const GradRun& run)
      : node_(node), g_(g), run_(run), call_{node.op, {}, {node.attrs_.data(), node.attrs_.size()}, node.at} {}

  const Call& call() const override {
    if (in_.empty()) {
      for (const Kept& k : node_.operands_) {
        in_.push_back(!k.defined ? Tensor() : k.value.defined() ? strip(k.value) : node_.abstract_of(k));
      }
      call_.in = {in_.data(), in_.size()};
    }
    return call_;
  }
  Tensor in(int k) override {
    const Kept& kept = node_.operands_[static_cast<size_t>(k)];
    if (!kept.defined) return {};
    Tensor t = unpack(kept, "operand", k);
    return kept.ticket && run_.create_graph ? with_history(t, node_.edges[static_cast<size_t>(k)]) : t;
  }
  Tensor out(int k) override {
    const Kept& kept = node_.results_[static_cast<size_t>(k)];
    Tensor t = unpack(kept, "result", k);
    if (!run_.create_graph || !is_differentiable(kept.dtype)) return t;
    // Saved without history, or the node would own itself.
    Tensor again = alias(t);
    set_history(again, Ref<Node>(&node_), static_cast<uint32_t>(k));
    return again;
  }
  Tensor g(int k) override {
    if (g_[static_cast<size_t>(k)].defined()) return g_[static_cast<size_t>(k)];
    const Kept& kept = node_.results_[static_cast<size_t>(k)];
    return zeros(node_.shape_of(kept), {.dtype = kept.dtype, .device = kept.device});
  }
  bool needs(int k) const override {
    const Edge& e = node_.edges[static_cast<size_t>(k)];
    return e && (run_.only == nullptr || run_.only->wants(e));
  }

 private:
  Tensor strip(const Tensor& t) const { return run_.strip != 0 ? strip_wrapper(t, run_.strip) : t; }
  Tensor unpack(const Kept& kept, const char* what, int k) {
    if (!kept.saved) {
      throw InternalError(node_.op->name() + ": the gradient asks for " + what + " " + std::to_string(k) +
                          ", which it did not ask for when it was tried on abstract tensors");
    }
    if (kept.ticket) return strip(kept.ticket->value());
    if (version_of(kept.value) != kept.version) throw overwritten(kept, what, k);
    return strip(kept.value);
  }
  /// A value that was computed again, as part of the first graph.
  static Tensor with_history(const Tensor& t, const Edge& e) {
    if (!e) return t;
    if (e.is_leaf()) return Tensor(Ref<TensorRecord>(e.leaf()));
    Tensor again = alias(t);
    set_history(again, Ref<Node>(e.node()), static_cast<uint32_t>(e.output));
    return again;
  }
  Error overwritten(const Kept& kept, const char* what, int k) const {
    const Schema& s = node_.op->schema;
    std::string name = what == std::string_view("operand")
                           ? s.operands[s.operand_at(static_cast<size_t>(k), node_.operands_.size())].name
                           : "the result";
    Error e = ValueError("backward: a value that " + node_.op->name() + " needs was overwritten in place");
    e.got(name + ": " + describe(kept.value) + " saved at version " + std::to_string(kept.version) +
          ", now at version " + std::to_string(version_of(kept.value)));
    if (auto w = writer_after(kept.value, kept.version)) e.got("overwritten by " + *w);
    e.fix("use the out-of-place form of the later op, or clone the value before it is overwritten");
    e.at(node_.at);
    return e;
  }

  OpNode& node_;
  std::span<const Tensor> g_;
  const GradRun& run_;
  mutable Call call_;
  mutable SmallVec<Tensor, 4> in_;
};

OpNode::OpNode(const Call& call, const Values& out, SmallVec<Edge, 2> e) : op(call.op) {
  at = t_outer != nullptr ? *t_outer : call.at;
  edges = std::move(e);
  attrs_.append(call.attrs.begin(), call.attrs.end());
  choose_saved(call, out);
  enqueue_after_edges();
}

void OpNode::keep_meta(Kept& k, const Tensor& t, bool strides) {
  const TensorRecord& r = *t.record();
  k.defined = true;
  k.dtype = r.dtype;
  k.device = r.device;
  k.rank = static_cast<uint8_t>(r.shape.size());
  k.dims = static_cast<uint32_t>(dims_.size());
  k.strided = strides;
  dims_.append(r.shape.begin(), r.shape.end());
  if (strides) {
    dims_.append(r.strides.begin(), r.strides.end());
    dims_.push_back(r.offset);
  }
}

void OpNode::keep_value(Kept& k, const Tensor& t) {
  if (t_keeper != nullptr) {
    k.ticket = t_keeper->keep(t);
    keep_meta(k, t, op->tier == Tier::View);
    k.saved = keeps_values_ = static_cast<bool>(k.ticket);
    return;
  }
  const TensorRecord& r = *t.record();
  k.value = t;
  k.version = version_of(t);
  k.defined = k.saved = keeps_values_ = true;
  k.dtype = r.dtype;
  k.device = r.device;
  k.rank = static_cast<uint8_t>(r.shape.size());
}

void OpNode::choose_saved(const Call& call, const Values& out) {
  uint32_t in_mask = 0, out_mask = 0;
  const bool derive = op->tier == Tier::Pointwise && !op->grad && !is_derived(*op);
  if (derive) {
    for (size_t k = 0; k < edges.size(); ++k) {
      const PointwiseGrad* d = edges[k] ? known_grad(*op, static_cast<int>(k), call.attrs) : nullptr;
      derived_.push_back(d);
      if (d == nullptr) continue;
      for (int s : d->saved) (s == kSavedOut ? out_mask : in_mask) |= s == kSavedOut ? 1U : 1U << s;
    }
  } else if (op->tier == Tier::Pointwise && !op->grad) {
    in_mask = ~0U;  // a derived gradient itself: derived_op_grad is given the whole call
  } else if (op->grad) {
    SmallVec<bool, 8> flows;
    for (const Edge& e : edges) flows.push_back(static_cast<bool>(e));
    const SaveMask m = values_to_save(call, out, {flows.data(), flows.size()});
    in_mask = m.in;
    out_mask = m.out;
  }
  const bool strides = op->tier == Tier::View;
  for (size_t k = 0; k < call.in.size(); ++k) {
    Kept& kept = (operands_.push_back({}), operands_.back());
    const Tensor& t = call.in[k];
    if (!t.defined()) continue;
    if ((in_mask >> op->schema.operand_at(k, call.in.size()) & 1) != 0) {
      keep_value(kept, t);
    } else {
      keep_meta(kept, t, strides);
    }
  }
  for (size_t k = 0; k < out.size(); ++k) {
    Kept& kept = (results_.push_back({}), results_.back());
    if ((out_mask >> k & 1) != 0) {
      keep_value(kept, alias(out[k]));
    } else if (out.size() > 1) {
      keep_meta(kept, out[k], false);
    } else {
      kept.dtype = out[k].dtype();  // a node with one result never lacks its gradient
    }
  }
}

Shape OpNode::shape_of(const Kept& k) const {
  if (k.value.defined()) return k.value.shape();
  return Shape(std::span<const Dim>(dims_.data() + k.dims, k.rank));
}

Tensor OpNode::abstract_of(const Kept& k) const {
  Ref<TensorRecord> r = new_abstract(shape_of(k), k.dtype, k.device);
  if (k.strided) {
    for (size_t d = 0; d < k.rank; ++d) r->strides[d] = dims_[k.dims + k.rank + d];
    r->offset = dims_[k.dims + 2 * size_t{k.rank}];
  }
  return Tensor(std::move(r));
}

/// The one place where a gradient is brought to its operand's shape (summed over broadcast dims) and dtype.
Tensor OpNode::fit(Tensor g, const Kept& k) const {
  const Dim* dims = k.value.defined() ? k.value.shape().data() : dims_.data() + k.dims;
  const Shape& have = g.shape();
  if (have.size() != k.rank || !std::equal(have.begin(), have.end(), dims)) g = g.sum_to_size(shape_of(k));
  if (g.dtype() != k.dtype) g = g.to(k.dtype);
  return g;
}

Values OpNode::pointwise_grads(TapeGrad& ctx) const {
  Values out;
  for (size_t k = 0; k < edges.size(); ++k) {
    out.push_back({});
    if (!ctx.needs(static_cast<int>(k)) || derived_[k]->zero) continue;
    const PointwiseGrad& d = *derived_[k];
    if (d.op == nullptr) {
      out.back() = ctx.g(0);
      continue;
    }
    SmallVec<Tensor, 4> in;
    in.push_back(ctx.g(0));
    for (int s : d.saved) in.push_back(s == kSavedOut ? ctx.out(0) : ctx.in(s));
    out.back() = dispatch1(Call{d.op, {in.data(), in.size()}, {attrs_.data(), attrs_.size()}, at});
  }
  return out;
}

Values OpNode::apply(std::span<const Tensor> g, const GradRun& how) try {
  if (freed()) {
    throw ValueError("backward: the saved values of " + op->name() + " were freed by an earlier backward")
        .fix("keep the graph in the first backward, with retain_graph, when it is used again")
        .at(at);
  }
  const PartOf this_call(at);
  TapeGrad ctx(*this, g, how);
  Values out;
  if (op->grad) {
    out = op->grad(ctx);
  } else if (!derived_.empty()) {
    out = pointwise_grads(ctx);
  } else if (op->tier == Tier::Pointwise) {
    SmallVec<bool, 8> needs;
    for (size_t k = 0; k < edges.size(); ++k) needs.push_back(ctx.needs(static_cast<int>(k)));
    for (size_t k = 0; k < edges.size(); ++k) ctx.in(static_cast<int>(k));  // checks the versions
    out = derived_op_grad(ctx.call(), ctx.g(0), {needs.data(), needs.size()});
  } else if (op->tier == Tier::View) {
    out = Values{view_grad(ctx)};
  } else {
    throw NotImplementedError(op->name() + " has no gradient").fix("detach its operands if none should flow").at(at);
  }
  out.resize(edges.size());
  for (size_t k = 0; k < edges.size(); ++k) {
    if (!out[k].defined()) continue;
    if (edges[k]) {
      out[k] = fit(std::move(out[k]), operands_[k]);
    } else {
      out[k] = Tensor();
    }
  }
  return out;
} catch (Error& e) {
  e.at_call(at);
  throw;
}

void OpNode::release_saved() {
  freed_ = true;
  auto release = [&](Kept& k, bool strides) {
    const Tensor value = std::move(k.value);
    if (value.defined()) keep_meta(k, value, strides);
    k.ticket = nullptr;
    k.saved = false;
  };
  for (Kept& k : operands_) release(k, op->tier == Tier::View);
  for (Kept& k : results_) release(k, false);
}

void OpNode::copy_saved_from(const Storage* storage) {
  GradMode off(false);
  for (Kept& k : operands_) {
    if (!k.value.defined() || k.value.record()->storage.get() != storage) continue;
    Edge e = gradient_edge(k.value);
    Tensor copy = k.value.clone(MemoryFormat::Preserve);
    if (e && !e.is_leaf()) set_history(copy, Ref<Node>(e.node()), static_cast<uint32_t>(e.output));
    k.value = copy;
    k.version = version_of(copy);
  }
}

Values tape(const Call& call, Values (*below)(const Call&)) {
  const OpDef& op = *call.op;
  if (op.tier == Tier::Composite && !op.grad) {
    const PartOf whole(call.at);
    return op.compose(call);
  }
  Values out = below(call);
  bool any = false;
  for (const Tensor& t : out) any |= is_differentiable(t.dtype());
  if (!any) return out;

  int level = 0;
  for (const Tensor& t : call.in) {
    if (t.defined() && t.record()->wrapper) level = std::max(level, t.record()->wrapper->level);
  }
  SmallVec<Edge, 2> edges;
  for (const Tensor& t : call.in) {
    const bool flows = t.defined() && is_differentiable(t.dtype()) && (level == 0 || level_of(t) == level);
    edges.push_back(flows ? gradient_edge(t) : Edge{});
  }
  auto node = make_ref<OpNode>(call, out, std::move(edges));
  for (size_t k = 0; k < out.size(); ++k) {
    if (is_differentiable(out[k].dtype())) set_history(out[k], node, static_cast<uint32_t>(k));
  }
  return out;
}

}  // namespace thixo
