#include "transform/record.h"

#include <algorithm>
#include <atomic>

#include "core/seed_hook.h"
#include "transform/view_steps.h"
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

[[noreturn]] void refuse_layout(const Tensor& t) {
  throw NotImplementedError("compile: a detached view of a tensor that does not lie row by row in memory")
      .got(describe(t))
      .fix("call contiguous() before the view is made");
}

[[noreturn]] void refuse_shared_memory(const Tensor& t) {
  throw NotImplementedError("compile: the function writes in place to memory that it also reads through another tensor")
      .got(describe(t))
      .fix("pass the whole tensor and take its views inside, or return the new value");
}

[[noreturn]] void refuse_expanded(const Tensor& t) {
  throw NotImplementedError("compile: the function writes to a part of an expanded tensor")
      .got(describe(t))
      .fix("pass the tensor before expand(), or clone() it");
}

void refuse_seed() {
  throw NotImplementedError("compile: the function seeds a random generator while it is recorded")
      .fix("call manual_seed() or set_state() before the compiled function");
}

}  // namespace

/// Who asks for the memory of a tensor that no op has anything to do with yet fills it.
void Recorder::refuse_value_read(const Tensor& t, const char* what) {
  if (std::string_view(what) == "data" && g_active->is_fresh(t) && !t.record()->view &&
      !g_active->current_.contains(t.record()->storage.get()))
    return;
  throw NotImplementedError("compile: the function looks at the value of a tensor (" + std::string(what) +
                            ") while it is recorded")
      .got(std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()))
      .need("a function whose course does not depend on values")
      .fix("move item(), print() and numpy() out of the compiled function, or return the tensor");
}

Recorder* Recorder::active() { return g_active; }

Recorder::Recorder(std::span<const Tensor> args) {
  if (g_active != nullptr) throw NotImplementedError("compile: a recording inside a recording is not supported");
  static std::atomic<uint32_t> recordings = 0;
  number_ = ++recordings;
  for (const Tensor& t : args) input(t, InputKind::Arg);
  random_.sources.push_back({default_generator().twin(), default_generator().state()});
  g_active = this;
  dispatch_state().bottom.push_back(this);
  set_value_hook(refuse_value_read);
  set_recording(number_);
  set_seed_hook(refuse_seed);
}

Recorder::~Recorder() { end(); }

void Recorder::end() {
  if (!active_) return;
  std::erase(dispatch_state().bottom, this);
  g_active = nullptr;
  set_value_hook(nullptr);
  set_recording(0);
  set_seed_hook(nullptr);
  active_ = false;
}

void Recorder::drew(const Generator& g, RngKey* key) {
  std::vector<RandomKeys::Source>& known = random_.sources;
  const auto s = std::find_if(known.begin(), known.end(), [&](const auto& x) { return x.generator->is_twin(g); });
  key->source = static_cast<uint32_t>(s - known.begin());
  if (s == known.end()) known.push_back({g.twin(), {key->key, key->counter}});
}

std::vector<Generator::State> Recorder::generator_states() const {
  std::vector<Generator::State> states;
  for (const RandomKeys::Source& s : random_.sources) states.push_back(s.generator->state());
  return states;
}

void Recorder::rewind(std::span<const Generator::State> states) {
  for (size_t k = 0; k < random_.sources.size(); ++k) {
    const RandomKeys::Source& s = random_.sources[k];
    s.generator->go_to(k < states.size() ? states[k] : s.start);
  }
}

ValueId Recorder::add_input(const Tensor& t, InputKind kind) {
  ValueId v = graph_.add_value(t.dtype(), t.shape());
  if (!t.is_contiguous()) graph_.values.back().strides = t.strides();
  graph_.inputs.push_back({v, kind});
  input_of_.emplace(t.record(), static_cast<int>(bound_.size()));
  bound_.push_back(t);
  return v;
}

ValueId Recorder::input(const Tensor& t, InputKind kind) {
  const ValueId v = add_input(t, kind);
  if (!t.record()->view) remember(t, v);
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

ValueId Recorder::replay(const std::vector<ViewStep>& steps, ValueId v) {
  for (const ViewStep& step : steps) v = node(step.op, step.attrs, {v}, {});
  return v;
}

ValueId Recorder::replay_views(const Tensor& t) {
  const Tensor& base = t.record()->view->base;
  const ValueId v = value_of(base);
  const std::optional<std::vector<ViewStep>> steps = steps_between(base, t);
  if (!steps && !is_input(v)) refuse_layout(t);
  const ValueId made = replay(steps ? *steps : *t.record()->view->chain, v);
  remember(t, made);
  return made;
}

bool Recorder::is_input(ValueId v) const {
  return std::any_of(graph_.inputs.begin(), graph_.inputs.end(), [&](const GraphInput& i) { return i.value == v; });
}

bool Recorder::is_view_of_leaf(const Tensor& t) const {
  return std::find(guarded_.begin(), guarded_.end(), t.record()->storage) != guarded_.end();
}

/// t lies outside of what the program knows of its storage.
ValueId Recorder::value_beside(const Tensor& t) {
  auto known = beside_.find(t.record());
  if (known != beside_.end()) return known->second.value;
  const Seen& root = current_.at(t.record()->storage.get());
  if (spans_part_of(root.keep, t)) refuse_layout(t);  // it may have been made inside
  if (!is_input(root.value)) refuse_shared_memory(t);
  const ValueId v = add_input(t, InputKind::State);
  beside_.emplace(t.record(), Seen{t, v, t.record()->storage->version});
  return v;
}

/// Data that came about without an op (tensor(), empty()) is the same at every call. The function may write to it: what
/// is kept is a copy.
ValueId Recorder::constant(const Tensor& t) {
  static const OpDef* clone = find_op("clone");
  std::vector<Attr> attrs;
  for (const AttrDecl& d : clone->schema.attrs) attrs.push_back(d.def);
  Tensor kept;
  {
    const Unrecorded quiet(this);
    kept = alias(t).clone(MemoryFormat::Contiguous);
  }
  const ValueId v = node(clone, attrs, {add_input(kept, InputKind::Constant)}, {});
  remember(t, v);
  return v;
}

void Recorder::note_known(const Tensor& t) {
  if (is_own(t) || input_of_.contains(t.record())) return;
  for (size_t i = 0; i < bound_.size() && graph_.inputs[i].kind == InputKind::Arg; ++i) {
    if (bound_[i].defined() && bound_[i].record()->storage == t.record()->storage &&
        std::find(known_arguments_.begin(), known_arguments_.end(), i) == known_arguments_.end())
      known_arguments_.push_back(i);
  }
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
  if (seen == current_.end()) return is_fresh(t) ? constant(t) : input(t, InputKind::State);
  note_known(t);
  if (same_elements(seen->second.keep, t)) {
    if (r->grad && !seen->second.keep.is_same(t)) other_handles_.push_back(t);
    return seen->second.value;
  }
  const std::optional<std::vector<ViewStep>> steps = steps_between(seen->second.keep, t);
  return steps ? replay(*steps, seen->second.value) : value_beside(t);
}

bool Recorder::made_here(const Tensor& t) const {
  const TensorRecord* r = t.record();
  const Storage* s = r->storage.get();
  auto seen = current_.find(s);
  if (seen == current_.end()) return false;
  return std::none_of(graph_.inputs.begin(), graph_.inputs.end(),
                      [&](const GraphInput& i) { return i.value == seen->second.value; });
}

/// as_strided with an offset in the storage: of the program's values none need lie where eager's does. False when the
/// operand lies in the memory of an input.
bool Recorder::view_by_place(const Call& call, Values* out) {
  value_of(call.in[0]);
  const Seen& root = current_.at(call.in[0].record()->storage.get());
  if (is_input(root.value)) return false;
  *out = eager(call);
  const std::optional<std::vector<ViewStep>> steps = steps_between(root.keep, (*out)[0]);
  if (!steps) refuse_layout((*out)[0]);
  remember((*out)[0], replay(*steps, root.value));
  return true;
}

Values Recorder::eager(const Call& call) const {
  const Unrecorded quiet(this);
  return dispatch_bottom(call, dispatch_state().bottom.size());
}

Values Recorder::apply(const Call& call) {
  if (call.op->tier == Tier::Composite) {
    if (!call.op->index_bounds) return composite(call);
    const SmallVec<Tensor, 4> in = bounded_operands(call);
    return composite(Call{call.op, in, call.attrs, call.at});
  }
  return noted(call);
}

/// Composites are written down as what they are made of, unless eager has one kernel for the whole.
Values Recorder::composite(const Call& call) { return call.op->fused_rows ? noted(call) : call.op->compose(call); }

Values Recorder::noted(const Call& call) {
  if (counts_from_storage(call.op, call.attrs)) {
    Values out;
    if (view_by_place(call, &out)) return out;
  }
  GraphNode n{call.op, {call.attrs.begin(), call.attrs.end()}, {}, {}, call.at, -1};
  for (const Tensor& t : call.in) n.in.push_back(t.defined() ? value_of(t) : -1);
  Values out = eager(call);
  for (const Tensor& t : out) n.out.push_back(graph_.add_value(t.dtype(), t.shape()));
  for (size_t k = 0; k < out.size(); ++k) remember(out[k], n.out[k]);
  graph_.nodes.push_back(std::move(n));
  return out;
}

/// The value of a root after v was written to the view of it that `steps` make. A `view` that only eager's layout
/// allows is a copy of the program's value: written to, and put back.
ValueId Recorder::write_through(ValueId root, const std::vector<ViewStep>& steps, ValueId v) {
  if (steps.empty()) return v;
  static const OpDef *write_op = find_op("write"), *view = find_op("view");
  const auto shape_of = [&](ValueId x) { return graph_.values[static_cast<size_t>(x)].shape; };
  const auto most = static_cast<std::ptrdiff_t>(steps_by_rows(shape_of(root), steps));
  const std::vector<ViewStep> first(steps.begin(), steps.begin() + most);
  if (first.size() < steps.size()) {
    const ValueId part = replay(first, root), copy = node(view, steps[first.size()].attrs, {part}, {});
    const Attr back[] = {shape_of(part)};
    v = node(view, back, {write_through(copy, {steps.begin() + most + 1, steps.end()}, v)}, {});
  }
  if (first.empty()) return v;
  const Attr chain[] = {ViewChain(std::make_shared<const std::vector<ViewStep>>(first))};
  return node(write_op, chain, {root, v}, {});
}

void Recorder::write(const Tensor& self, const Tensor& value) {
  ValueId v = value_of(value);
  const TensorRecord* r = self.record();
  const Storage* storage = r->storage.get();
  if (!current_.contains(storage)) value_of(r->view ? r->view->base : self);  // an input, if it was never seen
  for (const auto& [record, seen] : beside_) {
    if (record->storage.get() == storage) refuse_shared_memory(self);
  }
  const Seen root = current_.at(storage);
  const std::optional<std::vector<ViewStep>> steps = steps_between(root.keep, self);
  if (!steps) spans_part_of(root.keep, self) ? refuse_layout(self) : refuse_shared_memory(self);
  if (!steps->empty() && overlaps_itself(*root.keep.record())) refuse_expanded(self);
  v = write_through(root.value, *steps, v);
  {
    const Unrecorded quiet(this);
    write_data(self, value, dispatch_state().bottom.size());
  }
  remember(root.keep, v);
}

std::vector<int> Recorder::written() const {
  std::vector<int> out;
  for (size_t i = 0; i < bound_.size(); ++i) {
    // Of several inputs in one place the last is the one that the program reads.
    const bool again = std::any_of(bound_.begin() + static_cast<std::ptrdiff_t>(i) + 1, bound_.end(),
                                   [&](const Tensor& other) { return same_elements(bound_[i], other); });
    if (again) continue;
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
  for (RandomKeys::Source& s : random_.sources) {
    const Generator::State now = s.generator->state();
    if (now.seed != s.start.seed || now.counter < s.start.counter) refuse_seed();  // another thread did it
    s.count = now.counter - s.start.counter;
    if (s.generator->is_last()) s.generator = nullptr;
  }
  random_.collect(graph_);
  end();
  return {std::move(graph_), std::move(bound_), std::move(refreshers_), std::move(random_)};
}

}  // namespace thixo
