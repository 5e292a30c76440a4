#include "thixo/compile.h"

#include "base/deterministic.h"
#include "runtime/executable.h"

namespace thixo {
namespace {

std::string signature(const TensorList& args, const std::string& key) {
  std::string s = key;
  s += dispatch_state().grad_enabled ? "|grad" : "|no_grad";
  if (detail::deterministic()) s += "|deterministic";
  for (const Tensor& t : args) {
    s += '|';
    s += dtype_short_name(t.dtype());
    s += shape_str(t.shape());
    if (!t.is_contiguous()) s += shape_str(t.strides());
    if (t.requires_grad()) s += 'g';
  }
  return s;
}

}  // namespace

struct CompiledFunction::Program {
  Ref<Executable> run;
  size_t results = 0;
  std::vector<Tensor> leaves;                         // results[results + i] becomes leaves[i].grad
  std::vector<std::pair<Tensor, Tensor>> grad_reads;  // (leaf, gradient that the program adds to)

  bool still_holds() const {
    for (const auto& [leaf, grad] : grad_reads) {
      Tensor now = leaf.grad();
      if (!now.defined() || !now.is_same(grad)) return false;
    }
    return true;
  }
};

CompiledFunction::CompiledFunction(Fn f) : f_(std::move(f)) {}
CompiledFunction::~CompiledFunction() = default;

CompiledFunction::Program& CompiledFunction::program(const TensorList& args, const std::string& key,
                                                     TensorList* first_results, bool* recorded) {
  std::string id = signature(args, key);
  auto found = programs_.find(id);
  if (found != programs_.end() && found->second->still_holds()) return *found->second;

  auto p = std::make_unique<Program>();
  Recorder recorder(args);
  TensorList out = f_(args);
  *first_results = out;
  *recorded = true;
  p->results = out.size();
  for (const Tensor& t : recorder.bound()) {
    if (!t.is_leaf() || !t.requires_grad()) continue;
    Tensor g = t.grad();
    if (!g.defined()) continue;
    if (recorder.is_bound(g)) {
      p->grad_reads.emplace_back(t, g);
    } else if (recorder.made_here(g)) {
      p->leaves.push_back(t);
      out.push_back(g);
    }
  }
  p->run = make_ref<Executable>(recorder.finish(out));
  return *(programs_[id] = std::move(p));
}

TensorList CompiledFunction::operator()(const TensorList& args, const std::string& key) {
  if (is_compiling()) return f_(args);  // a compiled function inside another is part of that one
  TensorList first;
  bool recorded = false;
  Program& p = program(args, key, &first, &recorded);
  if (recorded) return first;
  TensorList out = p.run->run(args);
  for (size_t i = 0; i < p.leaves.size(); ++i) {
    Tensor leaf = p.leaves[i];
    leaf.set_grad(out[p.results + i]);
  }
  out.resize(p.results);
  return out;
}

std::string CompiledFunction::explain(const TensorList& args, const std::string& key) {
  TensorList first;
  bool recorded = false;
  return program(args, key, &first, &recorded).run->explain();
}

void before_replay(std::function<void()> f) {
  if (Recorder* r = Recorder::active()) r->before_replay(std::move(f));
}
bool is_compiling() { return Recorder::active() != nullptr; }

}  // namespace thixo
