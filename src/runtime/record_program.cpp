// From one run of a function to its program.
#include <algorithm>
#include <cstring>

#include "runtime/compiled_program.h"
#include "transform/backward.h"
#include "transform/view_steps.h"
#include "transform/write.h"

namespace thixo {
namespace {

/// Where gradients of what the function takes from outside go.
struct GradientEnds {
  std::vector<Tensor> tensors;
  std::vector<Edge> edges;

  void add(const Tensor& t, Edge e) {
    if (!e || !is_differentiable(t.dtype()) ||
        std::any_of(edges.begin(), edges.end(), [&](const Edge& x) { return x.to == e.to && x.output == e.output; }))
      return;
    tensors.push_back(t);
    edges.push_back(std::move(e));
  }
  void add(const Tensor& t) {
    if (is_differentiable(t.dtype())) add(t, gradient_edge(t));
  }
};

bool contains_size(const std::vector<size_t>& list, size_t i) {
  return std::find(list.begin(), list.end(), i) != list.end();
}

bool contains(const std::vector<int>& list, size_t i) {
  return std::find(list.begin(), list.end(), static_cast<int>(i)) != list.end();
}

GradientEnds gradient_ends(const Recorder& recorder, const StandIns& args, const std::vector<int>& written) {
  GradientEnds ends;
  for (size_t i = 0; i < args.inputs().size(); ++i) ends.add(args.seen(i), args.edge(i));
  for (size_t i = args.inputs().size(); i < recorder.bound().size(); ++i) {
    const Tensor& t = recorder.bound()[i];
    if (!contains(written, i) || t.is_leaf()) ends.add(t);  // a leaf that is trained stays one
  }
  // A parameter that was seen as p.detach() before it was seen as p. (Values made here have no leaves among theirs.)
  for (const Tensor& t : recorder.other_handles()) {
    if (t.is_leaf() && !recorder.made_here(t)) ends.add(t);
  }
  return ends;
}

void refuse_history(const Tensor& t) {
  throw NotImplementedError("compile: the function writes a value with history in place into a tensor from outside")
      .got(describe(t))
      .fix("write value.detach(), or return the value");
}

void refuse_history_in_states(const Recorder& recorder, size_t arguments, const std::vector<int>& written,
                              const GradientEnds& ends) {
  for (int i : written) {
    if (static_cast<size_t>(i) < arguments) continue;
    const Tensor& t = recorder.bound()[static_cast<size_t>(i)];
    const Edge e = is_differentiable(t.dtype()) ? gradient_edge(t) : Edge{};
    if (e && !e.is_leaf() && can_run_backward(e, ends.edges)) refuse_history(t);
  }
}

std::vector<Ref<Storage>> by_address(std::vector<Ref<Storage>> s) {
  std::sort(s.begin(), s.end(), [](const auto& a, const auto& b) { return std::less<>()(a.get(), b.get()); });
  return s;
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
  explicit ProgramBuilder(const TensorList& args) : args_(args), recorder_(args_.inputs()) {
    args_.introduce(recorder_);
  }

  Ref<Program> build(const CompiledFunction::Fn& f, const TensorList& caller, TensorList* first) {
    *first = f(args_.given());
    program_->results = first->size();
    program_->hidden = args_.hidden();
    outputs_ = *first;
    program_->conditions = recorder_.conditions();
    find_handed_back();
    follow_grads();
    // Before the backward is recorded: it may look at more states, which are none of this program's.
    const std::vector<int> written = recorder_.written();
    const GradientEnds ends = gradient_ends(recorder_, args_, written);
    find_flows(written, ends);
    find_views();
    note_memory(written);
    for (size_t i = args_.inputs().size(); i < recorder_.bound().size(); ++i) {
      const Tensor& t = recorder_.bound()[i];
      if (dispatch_state().grad_enabled && is_differentiable(t.dtype()))
        program_->wanted.push_back({t, t.requires_grad()});
    }
    if (program_->flows.empty()) {
      Recording r = finish();
      program_->forward = make_ref<Executable>(std::move(r));
    } else {
      record_backward(ends);
    }
    for (const auto& r : program_->rewritten) {
      if (r.arg < caller.size() && !args_.given()[r.arg].is_same(caller[r.arg]))
        tape_wrote(caller[r.arg], args_.given()[r.arg]);
    }
    for (const auto& r : program_->returned) (*first)[r.result] = caller[r.arg];
    return program_;
  }

 private:
  bool is_argument(const Tensor& t) const {
    int i = recorder_.input_of(t);
    return i >= 0 && static_cast<size_t>(i) < args_.given().size();
  }

  /// Results that are no values of the program but tensors from outside.
  void find_handed_back() {
    for (size_t k = 0; k < program_->results; ++k) {
      const Tensor& t = outputs_[k];
      if (!t.defined()) continue;
      if (const int i = args_.argument(t); i >= 0) {
        program_->returned.push_back({k, static_cast<size_t>(i)});
      } else if (!recorder_.is_own(t) && t.record()->storage) {
        recorder_.value_of(t);  // an input, if it was never read
        program_->kept.push_back({k, t});
      }
    }
  }
  bool is_handed_back(size_t k) const {
    return std::any_of(program_->kept.begin(), program_->kept.end(), [&](const auto& r) { return r.result == k; }) ||
           std::any_of(program_->returned.begin(), program_->returned.end(),
                       [&](const auto& r) { return r.result == k; });
  }

  /// Results without a gradient of their own that lie in the memory of an argument or a state: what the program writes
  /// there, and the caller later, is seen through them.
  void find_views() {
    for (size_t k = 0; k < program_->results; ++k) {
      const Tensor& t = outputs_[k];
      if (!t.defined() || is_handed_back(k) || !t.record()->storage || contains_size(program_->flows, k)) continue;
      const Tensor& root = t.is_view() ? t.record()->view->base : t;
      for (size_t i = 0; i < recorder_.bound().size(); ++i) {
        if (!same_elements(root, i < args_.inputs().size() ? args_.seen(i) : recorder_.bound()[i])) continue;
        const bool arg = i < args_.inputs().size();
        program_->views.push_back({k,
                                   {arg ? static_cast<int>(i) : -1, arg ? Tensor() : recorder_.bound()[i]},
                                   t.is_view() ? t.record()->view->chain : nullptr});
        break;
      }
    }
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
      g.is_input = g.before.defined() && recorder_.input_of(g.before) >= static_cast<int>(args_.inputs().size());
      if (!after.defined()) {
        g.after = Program::Grad::Cleared;
      } else if (g.before.defined() && after.is_same(g.before)) {
        g.after = Program::Grad::Untouched;
      } else if (recorder_.made_here(after)) {
        if (recorder_.input_of(use.leaf) < 0 && recorder_.is_own(use.leaf)) continue;
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

  void find_flows(const std::vector<int>& written, const GradientEnds& ends) {
    const std::vector<size_t> rewritten = dispatch_state().grad_enabled ? args_.rewritten() : std::vector<size_t>();
    if (!dispatch_state().grad_enabled || ends.edges.empty()) return;
    refuse_history_in_states(recorder_, args_.inputs().size(), written, ends);
    for (size_t k = 0; k < program_->results; ++k) {
      const Tensor& t = outputs_[k];
      if (!t.defined() || is_handed_back(k) || !is_differentiable(t.dtype())) continue;
      const Edge e = gradient_edge(t);
      if (e && can_run_backward(e, ends.edges)) program_->flows.push_back(k);
    }
    for (size_t i : rewritten) {
      const Tensor& t = args_.seen(i);
      if (!can_run_backward(gradient_edge(t), ends.edges)) continue;
      program_->rewritten.push_back({outputs_.size(), i});
      program_->flows.push_back(outputs_.size());
      outputs_.push_back(t);
    }
  }

  /// A gradient that the program found: another tensor at every call.
  bool is_found_gradient(const Tensor& t) const {
    return std::any_of(program_->grads.begin(), program_->grads.end(),
                       [&](const Program::Grad& g) { return g.is_input && g.before.is_same(t); });
  }

  /// What is where in memory, as far as a replay must have it the same.
  void note_memory(const std::vector<int>& written) {
    std::vector<Ref<Storage>> states, written_states;
    std::vector<bool> written_args(args_.given().size(), false);
    for (size_t i = args_.inputs().size(); i < recorder_.bound().size(); ++i) {
      const Tensor& t = recorder_.bound()[i];
      if (is_found_gradient(t)) continue;
      states.push_back(t.record()->storage);
      if (contains(written, i)) written_states.push_back(t.record()->storage);
    }
    for (int i : written) {
      for (size_t k = 0; k < written_args.size(); ++k) {
        const Tensor& t = args_.given()[k];
        if (t.defined() && t.record()->storage == recorder_.bound()[static_cast<size_t>(i)].record()->storage)
          written_args[k] = true;
      }
    }
    for (size_t i = args_.inputs().size(); i < recorder_.bound().size(); ++i) {
      const Tensor& t = recorder_.bound()[i];
      if (!is_found_gradient(t)) program_->places.push_back({t, t.record()->storage.get()});
    }
    for (size_t i : recorder_.known_arguments()) {
      if (i < args_.given().size()) program_->known.push_back({i, recorder_.bound()[i].record()->storage});
    }
    program_->states = by_address(std::move(states));
    program_->written_states = by_address(std::move(written_states));
    program_->written_args = std::move(written_args);
  }

  /// Gradients found in their leaves become arguments: they are other tensors at every call.
  Recording finish() {
    Recording r = recorder_.finish(outputs_);
    for (size_t i = args_.inputs().size(); i < r.bound.size(); ++i) {
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

  void record_backward(const GradientEnds& ends) {
    Program& p = *program_;
    const size_t forward_outputs = outputs_.size();
    auto shared = make_ref<CompiledBackward>();
    const std::vector<Generator::State> random = recorder_.generator_states();
    {
      BackwardRun run({.retain_graph = true});
      run.capture(ends.edges, /*stop_there=*/true);
      for (size_t k : p.flows) {
        const Tensor result = outputs_[k];
        Tensor g = gradient_for(result);
        late_.push_back(static_cast<int>(recorder_.bound().size()));
        recorder_.add_argument(g);
        run.add_root(gradient_edge(result), g);
        shared->shapes.push_back(result.shape());
      }
      run.run();
      for (size_t j = 0; j < ends.edges.size(); ++j) {
        Tensor g = run.captured(j);
        shared->result_of.push_back(g.defined() ? static_cast<int>(outputs_.size() - forward_outputs) : -1);
        if (g.defined()) outputs_.push_back(std::move(g));
      }
    }
    recorder_.rewind(random);  // what backward draws is none of this call's
    cut(finish(), ends, forward_outputs, shared);
  }

  void cut(Recording whole, const GradientEnds& ends, size_t forward_outputs, const Ref<CompiledBackward>& shared) {
    Program& p = *program_;
    tidy(whole.graph);
    std::vector<bool> late(whole.bound.size(), false);
    for (int i : late_) late[static_cast<size_t>(i)] = true;
    SplitGraph parts = split_graph(whole.graph, forward_outputs, late);
    auto next = static_cast<int>(args_.given().size());
    for (size_t i = 0; i < whole.bound.size(); ++i) {
      if (i < args_.given().size()) {
        p.inputs.push_back({static_cast<int>(i), {}});
      } else if (whole.bound[i].defined() || late[i]) {
        p.inputs.push_back({-1, whole.bound[i]});
      } else {
        p.inputs.push_back({next++, {}});  // hidden, or a gradient that is fetched
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
    shared->whole = std::move(backward);
    p.backward = shared;
  }

  StandIns args_;
  Recorder recorder_;
  TensorList outputs_;
  std::vector<int> late_;
  Ref<Program> program_ = make_ref<Program>();
};

Ref<CompiledFunction::Program> CompiledFunction::Program::record(const TensorList& args, const Fn& f,
                                                                 TensorList* first) {
  return ProgramBuilder(args).build(f, args, first);
}

}  // namespace thixo
