#include "transform/record.h"

#include <algorithm>

namespace thixo {
namespace {

thread_local Recorder* g_active = nullptr;

/// While it lives, ops on this thread run below the recorder and are not written down.
class Unrecorded {
 public:
  Unrecorded() { std::swap(saved_, dispatch_state().bottom); }
  ~Unrecorded() { std::swap(saved_, dispatch_state().bottom); }

 private:
  std::vector<Interpreter*> saved_;
};

/// The same elements in the same order: t itself, or another handle to them (detach()).
bool same_elements(const Tensor& a, const Tensor& b) {
  return a.is_same(b) || (a.record()->storage == b.record()->storage && a.shape() == b.shape() &&
                          a.strides() == b.strides() && a.storage_offset() == b.storage_offset());
}

void refuse_value_read(const Tensor& t, const char* what) {
  throw NotImplementedError("compile: the function looks at the value of a tensor (" + std::string(what) + ") while it is recorded")
      .got(std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()))
      .need("a function whose course does not depend on values")
      .fix("move item(), print() and numpy() out of the compiled function, or return the tensor");
}

}  // namespace

Recorder* Recorder::active() { return g_active; }

Recorder::Recorder(std::span<const Tensor> args) {
  if (g_active != nullptr) throw NotImplementedError("compile: a recording inside a recording is not supported");
  for (const Tensor& t : args) input(t, InputKind::Arg);
  g_active = this;
  dispatch_state().bottom.push_back(this);
  set_value_hook(refuse_value_read);
}

Recorder::~Recorder() {
  if (!active_) return;
  std::erase(dispatch_state().bottom, this);
  g_active = nullptr;
  set_value_hook(nullptr);
}

ValueId Recorder::input(const Tensor& t, InputKind kind) {
  ValueId v = graph_.add_value(t.dtype(), t.shape());
  if (!t.is_contiguous()) graph_.values.back().strides = t.strides();
  graph_.inputs.push_back({v, kind});
  bound_.push_back(t);
  remember(t, v);
  return v;
}

void Recorder::remember(const Tensor& t, ValueId v) {
  const TensorRecord* r = t.record();
  if (!r->storage) return;
  Seen seen{t, v, r->storage->version};
  if (r->view) {
    views_.insert_or_assign(r, seen);
  } else {
    current_.insert_or_assign(r->storage.get(), seen);
  }
}

ValueId Recorder::node(const OpDef* op, std::span<const Attr> attrs, std::vector<ValueId> in, const SourceLoc& at) {
  SmallVec<Tensor, 4> operands;
  for (ValueId v : in) operands.push_back(v < 0 ? Tensor() : abstract_value(graph_, v));
  GraphNode n{op, {attrs.begin(), attrs.end()}, std::move(in), {}, at, -1};
  for (const Spec& s : infer(Call{op, operands, attrs, at})) n.out.push_back(graph_.add_value(s.dtype, s.shape));
  ValueId first = n.out[0];
  graph_.nodes.push_back(std::move(n));
  return first;
}

ValueId Recorder::replay_views(const Tensor& t) {
  ValueId v = value_of(t.record()->view->base);
  for (const ViewStep& step : *t.record()->view->chain) v = node(step.op, step.attrs, {v}, {});
  remember(t, v);
  return v;
}

ValueId Recorder::value_of(const Tensor& t) {
  const TensorRecord* r = t.record();
  if (r->wrapper) throw InternalError("compile: a transform's value reached the recorder");
  if (r->wrapped_number) {
    static const OpDef* number = find_op("number");
    set_value_hook(nullptr);
    const Attr attrs[] = {t.item_scalar()};
    set_value_hook(refuse_value_read);
    ValueId v = node(number, attrs, {}, {});
    graph_.values[static_cast<size_t>(v)].weak = true;
    return v;
  }
  if (r->view) {
    auto seen = views_.find(r);
    if (seen != views_.end() && seen->second.version == r->storage->version) return seen->second.value;
    return replay_views(t);
  }
  auto seen = current_.find(r->storage.get());
  if (seen == current_.end()) return input(t, InputKind::State);
  if (same_elements(seen->second.keep, t)) return seen->second.value;
  static const OpDef* as_strided = find_op("as_strided");  // another tensor over the same storage, without a chain
  const Attr attrs[] = {t.shape(), t.strides(), Dim(t.storage_offset())};
  return node(as_strided, attrs, {seen->second.value}, {});
}

bool Recorder::is_bound(const Tensor& t) const {
  return std::any_of(bound_.begin(), bound_.end(), [&](const Tensor& b) { return b.is_same(t); });
}

bool Recorder::made_here(const Tensor& t) const {
  const TensorRecord* r = t.record();
  const Storage* s = r->storage.get();
  auto seen = current_.find(s);
  if (seen == current_.end()) return false;
  return std::none_of(graph_.inputs.begin(), graph_.inputs.end(), [&](const GraphInput& i) { return i.value == seen->second.value; });
}

Values Recorder::apply(const Call& call) {
  // Composites are written down as what they are made of, unless eager has one kernel for the whole.
  if (call.op->tier == Tier::Composite && !call.op->fused_rows) return call.op->compose(call);
  GraphNode n{call.op, {call.attrs.begin(), call.attrs.end()}, {}, {}, call.at, -1};
  for (const Tensor& t : call.in) n.in.push_back(t.defined() ? value_of(t) : -1);
  Values out;
  {
    Unrecorded quiet;
    out = dispatch_table().eager(call);
  }
  for (const Tensor& t : out) n.out.push_back(graph_.add_value(t.dtype(), t.shape()));
  for (size_t k = 0; k < out.size(); ++k) remember(out[k], n.out[k]);
  graph_.nodes.push_back(std::move(n));
  return out;
}

void Recorder::write(const Tensor& self, const Tensor& value) {
  ValueId v = value_of(value);
  const TensorRecord* r = self.record();
  if (r->view) {
    static const OpDef* write_op = find_op("write");
    const Tensor& base = r->view->base;
    const Attr attrs[] = {r->view->chain};
    v = node(write_op, attrs, {value_of(base), v}, {});
  } else {
    value_of(self);  // an input, if it was never seen
  }
  {
    Unrecorded quiet;
    static const OpDef* assign = find_op("assign");
    const Tensor in[] = {self, value};
    dispatch_table().eager_into(Call{assign, in, {}, {}}, std::span<const Tensor>(&self, 1));
  }
  remember(r->view ? r->view->base : self, v);
}

Recording Recorder::finish(std::span<const Tensor> outputs) {
  Recording done;
  for (const Tensor& t : outputs) {
    graph_.outputs.push_back(value_of(t));
    done.results.push_back(t);
  }
  for (size_t i = 0; i < bound_.size(); ++i) {
    auto seen = current_.find(bound_[i].record()->storage.get());
    ValueId in = graph_.inputs[i].value;
    bool whole = seen != current_.end() && same_elements(seen->second.keep, bound_[i]);
    if (whole && seen->second.value != in) graph_.updates.push_back({in, seen->second.value});
    if (graph_.inputs[i].kind == InputKind::Arg) bound_[i] = Tensor();
  }
  std::sort(graph_.updates.begin(), graph_.updates.end(), [](const GraphUpdate& a, const GraphUpdate& b) { return a.input < b.input; });
  std::erase(dispatch_state().bottom, this);
  g_active = nullptr;
  set_value_hook(nullptr);
  active_ = false;
  done.graph = std::move(graph_);
  done.bound = std::move(bound_);
  done.before_replay = std::move(refreshers_);
  return done;
}

}  // namespace thixo
