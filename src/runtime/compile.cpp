#include "thixo/compile.h"

#include <algorithm>
#include <cstring>

#include "base/deterministic.h"
#include "runtime/compiled_node.h"
#include "runtime/executable.h"
#include "transform/backward.h"
#include "transform/write.h"

namespace thixo {
namespace {

constexpr size_t kMostPrograms = 16;  // of one signature: beyond that the oldest are forgotten

/// What decides the course of the function: kinds of the arguments, and which of them are one and the same memory.
std::string signature(const TensorList& args, const std::string& key) {
  std::string s = key;
  s += dispatch_state().grad_enabled ? "|grad" : "|no_grad";
  if (detail::deterministic()) s += "|deterministic";
  for (size_t i = 0; i < args.size(); ++i) {
    const Tensor& t = args[i];
    s += '|';
    if (!t.defined()) continue;
    s += dtype_short_name(t.dtype());
    s += shape_str(t.shape());
    if (!t.is_contiguous()) s += shape_str(t.strides());
    if (t.requires_grad()) s += 'g';
    for (size_t k = 0; k < i; ++k) {
      if (args[k].defined() && args[k].record()->storage && args[k].record()->storage == t.record()->storage) {
        s += '=' + std::to_string(k) + '@' + std::to_string(t.storage_offset() - args[k].storage_offset());
        break;
      }
    }
  }
  return s;
}

const Tensor& grad_now(const Tensor& leaf) {
  static const Tensor none;
  return leaf.record()->grad ? leaf.record()->grad->grad : none;
}

bool looks_like(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && a.strides() == b.strides();
}

}  // namespace

/// One recording, and what must hold for it to be replayed.
struct CompiledFunction::Program : Object {
  /// A `grad` of a tensor outside: what the program found in its place and leaves there.
  struct Grad {
    int arg;      // the leaf is this argument, else -1:
    Tensor leaf;  // this one
    bool read;    // the recording found `before` (undefined: none)
    bool is_input;
    Tensor before;
    enum { Untouched, Cleared, Computed, Given } after = Untouched;
    size_t result = 0;  // Computed: which result of the program
    Tensor given;

    const Tensor& of(std::span<const Tensor> args) const { return arg < 0 ? leaf : args[static_cast<size_t>(arg)]; }
  };
  struct Wanted {
    Tensor state;
    bool grad;
  };

  Ref<Executable> forward;
  Ref<CompiledBackward> backward;  // null: no result has a gradient
  RandomKeys random;
  size_t results = 0;
  std::vector<Grad> grads;
  std::vector<size_t> fetched;   // numbers of `grads` that are arguments after the caller's
  std::vector<Wanted> wanted;    // state: whether it required grad
  struct Input {
    int arg;  // or -1: state
    Tensor state;
  };
  std::vector<Input> inputs;        // of the whole graph, when there is a backward
  std::vector<size_t> edge_inputs;  // those that want a gradient
  std::vector<size_t> flows;        // results that have one

  bool holds(std::span<const Tensor> given) const {
    for (const Wanted& w : wanted) {
      if (w.state.requires_grad() != w.grad) return false;
    }
    return std::all_of(grads.begin(), grads.end(), [&](const Grad& g) {
      if (!g.read) return true;
      const Tensor& now = grad_now(g.of(given));
      return now.defined() == g.before.defined() && (!g.is_input || looks_like(now, g.before));
    });
  }
  TensorList replay(const TensorList& given);
  std::string explain() const {
    std::string s = forward->explain();
    return backward ? s + backward->run->explain() : s;
  }

 private:
  void attach(const TensorList& args, TensorList* out, std::vector<RngKey> keys) const;
};

TensorList CompiledFunction::Program::replay(const TensorList& given) {
  std::vector<RngKey> keys = random.draw();
  TensorList all;  // arguments: the caller's, then gradients
  if (!fetched.empty()) {
    all = given;
    for (size_t k : fetched) all.push_back(grad_now(grads[k].of(given)));
  }
  const TensorList& args = fetched.empty() ? given : all;
  TensorList out = forward->run(args, keys);
  for (const Grad& g : grads) {
    Tensor leaf = g.of(given);
    if (g.after == Grad::Cleared) leaf.zero_grad();
    if (g.after == Grad::Computed) leaf.set_grad(out[g.result]);
    if (g.after == Grad::Given) leaf.set_grad(g.given);
  }
  if (backward) attach(args, &out, std::move(keys));
  out.resize(results);
  return out;
}

/// Puts the call on the tape.
void CompiledFunction::Program::attach(const TensorList& args, TensorList* out, std::vector<RngKey> keys) const {
  TensorList all;
  for (const Input& i : inputs) all.push_back(i.arg < 0 ? i.state : args[static_cast<size_t>(i.arg)]);
  SmallVec<Edge, 2> edges;
  for (size_t i : edge_inputs) edges.push_back(gradient_edge(all[i]));
  for (size_t k : flows) {  // a result that is an input, or given out twice, keeps its history apart
    Tensor& t = (*out)[k];
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const Tensor& x) { return x.defined() && x.is_same(t); }) ||
        std::any_of(out->begin(), out->begin() + static_cast<std::ptrdiff_t>(k),
                    [&](const Tensor& x) { return x.is_same(t); });
    if (known) t = alias(t);
  }
  auto node = make_ref<CompiledNode>(backward, all, *out, std::move(keys), std::move(edges));
  for (size_t j = 0; j < flows.size(); ++j) set_history((*out)[flows[j]], node, static_cast<uint32_t>(j));
}

namespace {

/// Where gradients of what the function takes from outside go.
struct GradientEnds {
  std::vector<Tensor> tensors;
  std::vector<Edge> edges;

  void add(const Tensor& t) {
    Edge e = is_differentiable(t.dtype()) ? gradient_edge(t) : Edge{};
    if (!e ||
        std::any_of(edges.begin(), edges.end(), [&](const Edge& x) { return x.to == e.to && x.output == e.output; }))
      return;
    tensors.push_back(t);
    edges.push_back(std::move(e));
  }
};

GradientEnds gradient_ends(const Recorder& recorder, const std::vector<int>& written) {
  GradientEnds ends;
  for (size_t i = 0; i < recorder.bound().size(); ++i) {
    if (std::find(written.begin(), written.end(), static_cast<int>(i)) == written.end()) ends.add(recorder.bound()[i]);
  }
  // A parameter that was seen as p.detach() before it was seen as p. (Values made here have no leaves among theirs.)
  for (const Tensor& t : recorder.other_handles()) {
    if (t.is_leaf() && !recorder.made_here(t)) ends.add(t);
  }
  return ends;
}

void refuse_history_outside(const std::vector<Tensor>& bound, const std::vector<int>& written,
                            const GradientEnds& ends) {
  for (int i : written) {
    const Tensor& t = bound[static_cast<size_t>(i)];
    const Edge e = is_differentiable(t.dtype()) ? gradient_edge(t) : Edge{};
    if (!e || e.is_leaf() || !can_run_backward(e, ends.edges)) continue;
    throw NotImplementedError("compile: the function writes a value with history in place into a tensor from outside")
        .got(describe(t))
        .fix("write value.detach(), or return the value");
  }
}

/// A gradient to record the backward with: zeros, made without an op.
Tensor gradient_for(const Tensor& t) {
  Tensor g(new_record(t.shape(), t.dtype(), t.device()));
  if (g.nbytes() > 0) std::memset(g.record()->data(), 0, g.nbytes());
  return g;
}

}  // namespace

/// Records one run of the function and makes the program of it.
class ProgramBuilder {
 public:
  using Program = CompiledFunction::Program;
  explicit ProgramBuilder(const TensorList& args) : args_(args), recorder_(args) {}

  Ref<Program> build(const CompiledFunction::Fn& f, TensorList* first) {
    *first = f(args_);
    program_->results = first->size();
    outputs_ = *first;
    follow_grads();
    // Before the backward is recorded: it may look at more states, which are none of this program's.
    const std::vector<int> written = recorder_.written();
    const GradientEnds ends = gradient_ends(recorder_, written);
    find_flows(*first, written, ends);
    for (const Tensor& t : recorder_.bound()) {
      if (dispatch_state().grad_enabled && is_differentiable(t.dtype()) && !is_argument(t))
        program_->wanted.push_back({t, t.requires_grad()});
    }
    if (program_->flows.empty()) {
      Recording r = finish();
      program_->forward = make_ref<Executable>(std::move(r));
    } else {
      record_backward(*first, ends);
    }
    return program_;
  }

 private:
  bool is_argument(const Tensor& t) const {
    int i = recorder_.input_of(t);
    return i >= 0 && static_cast<size_t>(i) < args_.size();
  }

  void follow_grads() {
    for (const GradUse& use : recorder_.grad_uses()) {
      Program::Grad g{is_argument(use.leaf) ? recorder_.input_of(use.leaf) : -1,
                      {},
                      use.read,
                      false,
                      use.before,
                      Program::Grad::Untouched,
                      0,
                      {}};
      if (g.arg < 0) g.leaf = use.leaf;
      const Tensor& after = grad_now(use.leaf);
      g.is_input = g.before.defined() && recorder_.input_of(g.before) >= static_cast<int>(args_.size());
      if (!after.defined()) {
        g.after = Program::Grad::Cleared;
      } else if (g.before.defined() && after.is_same(g.before)) {
        g.after = Program::Grad::Untouched;
      } else if (recorder_.made_here(after)) {
        if (recorder_.input_of(use.leaf) < 0) continue;  // a leaf of the function's own
        g.after = Program::Grad::Computed;
        g.result = outputs_.size();
        outputs_.push_back(after);
      } else {
        g.after = Program::Grad::Given;
        g.given = after;
      }
      program_->grads.push_back(std::move(g));
    }
  }

  void find_flows(const TensorList& results, const std::vector<int>& written, const GradientEnds& ends) {
    if (!dispatch_state().grad_enabled || ends.edges.empty()) return;
    const bool trains = std::any_of(written.begin(), written.end(), [&](int i) {
      const Tensor& t = recorder_.bound()[static_cast<size_t>(i)];
      return is_differentiable(t.dtype()) && t.is_leaf() && t.requires_grad();
    });
    if (trains) return;  // the values that a backward would need are overwritten
    refuse_history_outside(recorder_.bound(), written, ends);
    for (size_t k = 0; k < results.size(); ++k) {
      if (!results[k].defined() || !is_differentiable(results[k].dtype())) continue;
      const Edge e = gradient_edge(results[k]);
      if (e && can_run_backward(e, ends.edges)) program_->flows.push_back(k);
    }
  }

  /// Gradients found in their leaves become arguments: they are other tensors at every call.
  Recording finish() {
    Recording r = recorder_.finish(outputs_);
    for (size_t i = args_.size(); i < r.bound.size(); ++i) {
      if (!r.bound[i].defined()) continue;
      for (size_t k = 0; k < program_->grads.size(); ++k) {
        const Program::Grad& g = program_->grads[k];
        if (!g.is_input || !g.before.is_same(r.bound[i])) continue;
        r.graph.inputs[i].kind = InputKind::Arg;
        r.bound[i] = Tensor();
        program_->fetched.push_back(k);
        break;
      }
    }
    for (Program::Grad& g : program_->grads) {  // only its looks are compared from now on
      if (g.before.defined()) g.before = Tensor(look_of(g.before));
    }
    program_->random = r.random;
    return r;
  }
  static Ref<TensorRecord> look_of(const Tensor& t) {
    Ref<TensorRecord> r = new_abstract(t.shape(), t.dtype(), t.device());
    r->strides = t.strides();
    return r;
  }

  void record_backward(const TensorList& results, const GradientEnds& ends) {
    Program& p = *program_;
    const size_t forward_outputs = outputs_.size();
    auto shared = make_ref<CompiledBackward>();
    const Generator::State random = default_generator().state();
    {
      BackwardRun run({.retain_graph = true});
      run.capture(ends.edges, /*stop_there=*/true);
      for (size_t k : p.flows) {
        Tensor g = gradient_for(results[k]);
        late_.push_back(static_cast<int>(recorder_.bound().size()));
        recorder_.add_argument(g);
        run.add_root(gradient_edge(results[k]), g);
        shared->shapes.push_back(results[k].shape());
        shared->dtypes.push_back(results[k].dtype());
      }
      run.run();
      for (size_t j = 0; j < ends.edges.size(); ++j) {
        Tensor g = run.captured(j);
        shared->result_of.push_back(g.defined() ? static_cast<int>(outputs_.size() - forward_outputs) : -1);
        if (g.defined()) outputs_.push_back(std::move(g));
      }
    }
    default_generator().set_state(random);  // what backward draws is none of this call's
    cut(finish(), ends, forward_outputs, shared);
  }

  void cut(Recording whole, const GradientEnds& ends, size_t forward_outputs, const Ref<CompiledBackward>& shared) {
    Program& p = *program_;
    tidy(whole.graph);
    std::vector<bool> late(whole.bound.size(), false);
    for (int i : late_) late[static_cast<size_t>(i)] = true;
    SplitGraph parts = split_graph(whole.graph, forward_outputs, late);
    auto next = static_cast<int>(args_.size());
    for (size_t i = 0; i < whole.bound.size(); ++i) {
      if (i < args_.size()) {
        p.inputs.push_back({static_cast<int>(i), {}});
      } else if (whole.bound[i].defined() || late[i]) {
        p.inputs.push_back({-1, whole.bound[i]});
      } else {
        p.inputs.push_back({next++, {}});  // a gradient that is fetched
      }
    }
    for (const Tensor& t : ends.tensors) {
      const int i = recorder_.input_of(t);
      p.edge_inputs.push_back(i >= 0 ? static_cast<size_t>(i) : p.inputs.size());
      if (i < 0) p.inputs.push_back({-1, t});
    }
    Recording forward{std::move(parts.forward), {}, std::move(whole.before_replay), whole.random};
    for (int i : parts.forward_inputs) forward.bound.push_back(whole.bound[static_cast<size_t>(i)]);
    p.forward = make_ref<Executable>(std::move(forward));

    Recording backward{std::move(parts.backward), {}, {}, whole.random};
    for (size_t i = 0; i < parts.backward_inputs.size(); ++i) {
      const SplitGraph::Source& s = parts.backward_inputs[i];
      const bool is_late = s.kind == SplitGraph::Source::Input && late[static_cast<size_t>(s.index)];
      const bool is_bound = backward.graph.inputs[i].kind != InputKind::Arg;
      backward.bound.push_back(is_bound ? whole.bound[static_cast<size_t>(s.index)] : Tensor());
      if (is_bound) {
        shared->bound.push_back(backward.bound.back());
      } else if (!is_late) {
        shared->sources.push_back(s);
      }
    }
    shared->run = make_ref<Executable>(std::move(backward));
    p.backward = shared;
  }

  const TensorList& args_;
  Recorder recorder_;
  TensorList outputs_;
  std::vector<int> late_;
  Ref<Program> program_ = make_ref<Program>();
};

CompiledFunction::CompiledFunction(Fn f) : f_(std::move(f)) {}
CompiledFunction::~CompiledFunction() = default;

Ref<CompiledFunction::Program> CompiledFunction::program(const TensorList& args, const std::string& key,
                                                         std::optional<TensorList>* first) {
  const std::string id = signature(args, key);
  {
    std::lock_guard lock(mutex_);
    for (const Ref<Program>& p : programs_[id]) {
      if (p->holds(args)) return p;
    }
  }
  TensorList results;
  Ref<Program> p = ProgramBuilder(args).build(f_, &results);
  *first = std::move(results);
  std::lock_guard lock(mutex_);  // not while the function runs: it may wait for another thread (Python's lock)
  std::vector<Ref<Program>>& known = programs_[id];
  if (known.size() >= kMostPrograms) known.erase(known.begin());
  known.push_back(p);
  return p;
}

TensorList CompiledFunction::operator()(const TensorList& args, const std::string& key) {
  // Inside another recording, or under a transform, the function is part of that one.
  if (is_compiling() || !dispatch_state().levels.empty()) return f_(args);
  std::optional<TensorList> first;
  Ref<Program> p = program(args, key, &first);
  return first ? std::move(*first) : p->replay(args);
}

std::string CompiledFunction::explain(const TensorList& args, const std::string& key) {
  std::optional<TensorList> first;
  return program(args, key, &first)->explain();
}

size_t CompiledFunction::recordings() const {
  std::lock_guard lock(mutex_);
  size_t n = 0;
  for (const auto& [id, programs] : programs_) n += programs.size();
  return n;
}

void before_replay(std::function<void()> f) {
  if (Recorder* r = Recorder::active()) r->before_replay(std::move(f));
}
bool is_compiling() { return Recorder::active() != nullptr; }

}  // namespace thixo
