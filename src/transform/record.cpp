#include "transform/record.h"

#include <algorithm>

#include "transform/write.h"

namespace thixo {
namespace {

thread_local Recorder* g_active = nullptr;

/// While it lives, ops on this thread run below the recorder and are not written down; watchers from before the
/// recording see them.
class Unrecorded {
 public:
  explicit Unrecorded(const Recorder* r) {
    auto& stack = dispatch_state().bottom;
    saved_ = stack;
    stack.erase(std::find(stack.begin(), stack.end(), r), stack.end());
  }
  ~Unrecorded() { std::swap(saved_, dispatch_state().bottom); }
  Unrecorded(const Unrecorded&) = delete;

 private:
  std::vector<Interpreter*> saved_;
};

/// The same elements in the same order: t itself, or another handle to them (detach()).
bool same_elements(const Tensor& a, const Tensor& b) {
  return a.is_same(b) || (a.record()->storage == b.record()->storage && a.shape() == b.shape() &&
                          a.strides() == b.strides() && a.storage_offset() == b.storage_offset());
}

void refuse_value_read(const Tensor& t, const char* what) {
  throw NotImplementedError("compile: the function looks at the value of a tensor (" + std::string(what) +
                            ") while it is recorded")
      .got(std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()))
      .need("a function whose course does not depend on values")
      .fix("move item(), print() and numpy() out of the compiled function, or return the tensor");
}

}  // namespace

void RandomKeys::collect(const Graph& g) {
  for (const GraphNode& n : g.nodes) {
    for (const Attr& a : n.attrs) {
      const auto* k = std::get_if<RngKey>(&a);
      if (k != nullptr && std::find(recorded.begin(), recorded.end(), *k) == recorded.end()) recorded.push_back(*k);
    }
  }
}

std::vector<RngKey> RandomKeys::draw() const {
  std::vector<RngKey> now;
  if (recorded.empty() && count == 0) return now;
  Generator& g = default_generator();
  const uint64_t seed = g.seed(), base = g.take(count);
  for (const RngKey& k : recorded) {
    const bool drawn = k.key == start.seed && k.counter - start.counter < count;
    // A key of another generator, or of a seed set inside: fresh numbers all the same.
    now.push_back({seed, drawn ? base + (k.counter - start.counter) : g.take(uint64_t{1} << 32)});
  }
  return now;
}

size_t RandomKeys::index_of(const RngKey& key) const {
  return static_cast<size_t>(std::find(recorded.begin(), recorded.end(), key) - recorded.begin());
}

Recorder* Recorder::active() { return g_active; }

Recorder::Recorder(std::span<const Tensor> args) {
  if (g_active != nullptr) throw NotImplementedError("compile: a recording inside a recording is not supported");
  for (const Tensor& t : args) input(t, InputKind::Arg);
  random_.start = default_generator().state();
  g_active = this;
  dispatch_state().bottom.push_back(this);
  set_value_hook(refuse_value_read);
}

Recorder::~Recorder() { end(); }

void Recorder::end() {
  if (!active_) return;
  std::erase(dispatch_state().bottom, this);
  g_active = nullptr;
  set_value_hook(nullptr);
  active_ = false;
}

ValueId Recorder::input(const Tensor& t, InputKind kind) {
  ValueId v = graph_.add_value(t.dtype(), t.shape());
  if (!t.is_contiguous()) graph_.values.back().strides = t.strides();
  graph_.inputs.push_back({v, kind});
  input_of_.emplace(t.record(), static_cast<int>(bound_.size()));
  bound_.push_back(t);
  remember(t, v);
  return v;
}

int Recorder::input_of(const Tensor& t) const {
  auto found = input_of_.find(t.record());
  return found == input_of_.end() ? -1 : found->second;
}

void Recorder::note_grad(TensorRecord* leaf, bool read) {
  if (!grad_of_.emplace(leaf, grads_.size()).second) return;
  grads_.push_back({Tensor(Ref<TensorRecord>(leaf)), read, leaf->grad ? leaf->grad->grad : Tensor(), {}});
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

/// t lies over the storage of `kept`, whose strides are eager's: the program's values are row-major, so t is expressed
/// by the dims of `kept` and not by strides.
ValueId Recorder::reordered(const Tensor& kept, ValueId v, const Tensor& t) {
  Shape dims;
  bool same = kept.dim() == t.dim() && kept.storage_offset() == t.storage_offset();
  for (int64_t d = 0; same && d < t.dim(); ++d) {
    int64_t from = 0;
    auto fits = [&](int64_t k) {
      const auto i = static_cast<size_t>(k), j = static_cast<size_t>(d);
      return kept.shape()[i] == t.shape()[j] && kept.strides()[i] == t.strides()[j] &&
             std::find(dims.begin(), dims.end(), Dim(k)) == dims.end();
    };
    while (from < kept.dim() && !fits(from)) ++from;
    same = from < kept.dim();
    dims.push_back(from);
  }
  if (!same) {
    throw NotImplementedError("compile: a detached view of a tensor that does not lie row by row in memory")
        .fix("call contiguous() before the view is made");
  }
  static const OpDef* permute = find_op("permute");
  const Attr attrs[] = {dims};
  return node(permute, attrs, {v}, {});
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
  if (same_elements(seen->second.keep, t)) {
    if (r->grad && !seen->second.keep.is_same(t)) other_handles_.push_back(t);
    return seen->second.value;
  }
  if (!seen->second.keep.is_contiguous()) return reordered(seen->second.keep, seen->second.value, t);
  static const OpDef* as_strided = find_op("as_strided");  // another tensor over the same storage, without a chain
  const Attr attrs[] = {t.shape(), t.strides(), Dim(t.storage_offset())};
  return node(as_strided, attrs, {seen->second.value}, {});
}

bool Recorder::made_here(const Tensor& t) const {
  const TensorRecord* r = t.record();
  const Storage* s = r->storage.get();
  auto seen = current_.find(s);
  if (seen == current_.end()) return false;
  return std::none_of(graph_.inputs.begin(), graph_.inputs.end(),
                      [&](const GraphInput& i) { return i.value == seen->second.value; });
}

Values Recorder::apply(const Call& call) {
  // Composites are written down as what they are made of, unless eager has one kernel for the whole.
  if (call.op->tier == Tier::Composite && !call.op->fused_rows) return call.op->compose(call);
  GraphNode n{call.op, {call.attrs.begin(), call.attrs.end()}, {}, {}, call.at, -1};
  for (const Tensor& t : call.in) n.in.push_back(t.defined() ? value_of(t) : -1);
  Values out;
  {
    const Unrecorded quiet(this);
    out = dispatch_bottom(call, dispatch_state().bottom.size());
  }
  for (const Tensor& t : out) n.out.push_back(graph_.add_value(t.dtype(), t.shape()));
  for (size_t k = 0; k < out.size(); ++k) remember(out[k], n.out[k]);
  graph_.nodes.push_back(std::move(n));
  return out;
}

/// At the next call the argument may be a view of something else, which the program does not know.
void Recorder::refuse_write_to_argument_view(const Tensor& self) const {
  for (size_t i = 0; i < bound_.size(); ++i) {
    if (graph_.inputs[i].kind != InputKind::Arg || !bound_[i].is_view()) continue;
    if (bound_[i].record()->storage != self.record()->storage) continue;
    throw NotImplementedError("compile: the function writes in place to an argument that is a view of another tensor")
        .got("argument " + std::to_string(i) + ": " + describe(bound_[i]))
        .fix("pass the whole tensor and take the view inside, or return the new value");
  }
}

void Recorder::write(const Tensor& self, const Tensor& value) {
  ValueId v = value_of(value);
  const TensorRecord* r = self.record();
  if (r->view) {
    refuse_write_to_argument_view(self);
    static const OpDef* write_op = find_op("write");
    const Tensor& base = r->view->base;
    const Attr attrs[] = {r->view->chain};
    v = node(write_op, attrs, {value_of(base), v}, {});
  } else {
    value_of(self);  // an input, if it was never seen
  }
  {
    const Unrecorded quiet(this);
    write_data(self, value, dispatch_state().bottom.size());
  }
  remember(r->view ? r->view->base : self, v);
}

std::vector<int> Recorder::written() const {
  std::vector<int> out;
  for (size_t i = 0; i < bound_.size(); ++i) {
    auto seen = current_.find(bound_[i].record()->storage.get());
    bool whole = seen != current_.end() && same_elements(seen->second.keep, bound_[i]);
    if (whole && seen->second.value != graph_.inputs[i].value) out.push_back(static_cast<int>(i));
  }
  return out;
}

Recording Recorder::finish(std::span<const Tensor> outputs) {
  for (const Tensor& t : outputs) graph_.outputs.push_back(value_of(t));
  for (int i : written()) {
    const Tensor& t = bound_[static_cast<size_t>(i)];
    graph_.updates.push_back(
        {graph_.inputs[static_cast<size_t>(i)].value, current_.at(t.record()->storage.get()).value});
  }
  std::sort(graph_.updates.begin(), graph_.updates.end(),
            [](const GraphUpdate& a, const GraphUpdate& b) { return a.input < b.input; });
  for (size_t i = 0; i < bound_.size(); ++i) {
    if (graph_.inputs[i].kind == InputKind::Arg) bound_[i] = Tensor();
  }
  random_.count = default_generator().state().counter - random_.start.counter;
  random_.collect(graph_);
  end();
  return {std::move(graph_), std::move(bound_), std::move(refreshers_), std::move(random_)};
}

}  // namespace thixo
