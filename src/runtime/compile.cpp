#include "thixo/compile.h"

#include "base/deterministic.h"
#include "core/tensor_lock.h"
#include "runtime/compiled_program.h"

namespace thixo {
namespace {

constexpr size_t kMostPrograms = 16;  // of one signature: beyond that the oldest are forgotten

/// Of two views of one base that take part in gradients: how they lie in it (StandIns).
std::string place_in_base(const Tensor& t, const Tensor& other) {
  if (!t.is_view() || !other.is_view() || !t.base().is_same(other.base()) || !t.base().requires_grad()) return "";
  const Tensor base = t.base();
  return '^' + shape_str(base.shape()) + shape_str(base.strides()) +
         std::to_string(t.storage_offset() - base.storage_offset()) + (base.is_leaf() ? "l" : "g");
}

/// What decides the course of the function: kinds of the arguments, and which of them are one and the same memory.
std::string signature(const TensorList& args, const std::string& key) {
  std::string s = key;
  s += dispatch_state().grad_enabled ? "|grad" : "|no_grad";
  if (detail::deterministic()) s += "|deterministic";
  if (default_dtype() != DType::F32) s += "|" + std::string(dtype_short_name(default_dtype()));
  for (size_t i = 0; i < args.size(); ++i) {
    const Tensor& t = args[i];
    s += '|';
    if (!t.defined()) continue;
    s += dtype_short_name(t.dtype());
    s += shape_str(t.shape());
    if (!t.is_contiguous()) s += shape_str(t.strides());
    if (t.device() != Device()) s += t.device().str();
    if (t.requires_grad()) s += t.is_leaf() ? 'l' : 'g';
    if (t.is_view() && t.base().is_leaf() && t.base().requires_grad()) s += 'b';
    for (size_t k = 0; k < i; ++k) {
      if (args[k].defined() && args[k].record()->storage && args[k].record()->storage == t.record()->storage) {
        s += '=' + std::to_string(k) + '@' + std::to_string(t.storage_offset() - args[k].storage_offset());
        s += place_in_base(t, args[k]);
        break;
      }
    }
  }
  return s;
}

}  // namespace

CompiledFunction::CompiledFunction(Fn f)
    : CompiledFunction(FormFn([f = std::move(f)](const TensorList& args, int64_t*) { return f(args); })) {}
CompiledFunction::CompiledFunction(FormFn f) : f_(std::move(f)) {}
CompiledFunction::~CompiledFunction() = default;

Ref<CompiledFunction::Program> CompiledFunction::program(const TensorList& args, const std::string& key,
                                                         std::optional<TensorList>* first) {
  const std::string id = signature(args, key);
  {
    const auto lock = lock_for_tensors(mutex_);
    for (const Ref<Program>& p : programs_[id]) {
      if (p->holds(args)) return p;
    }
  }
  TensorList results;
  int64_t form = 0;
  Ref<Program> p = Program::record(args, [&](const TensorList& a) { return f_(a, &form); }, &results);
  p->form = form;
  *first = std::move(results);
  Ref<Program> forgotten;
  // Not while the function runs, nor while a program goes: both may wait for another thread (Python's lock).
  const auto lock = lock_for_tensors(mutex_);
  std::vector<Ref<Program>>& known = programs_[id];
  if (known.size() >= kMostPrograms) {
    forgotten = std::move(known.front());
    known.erase(known.begin());
  }
  known.push_back(p);
  return p;
}

TensorList CompiledFunction::operator()(const TensorList& args, const std::string& key, int64_t* form) {
  int64_t unasked = 0;
  if (form == nullptr) form = &unasked;
  if (is_part()) return f_(args, form);
  std::optional<TensorList> first;
  Ref<Program> p = program(args, key, &first);
  *form = p->form;
  return first ? std::move(*first) : p->replay(args);
}

std::string CompiledFunction::explain(const TensorList& args, const std::string& key) {
  std::optional<TensorList> first;
  return program(args, key, &first)->explain();
}

bool CompiledFunction::is_part() { return is_compiling() || !dispatch_state().levels.empty(); }

size_t CompiledFunction::recordings() const {
  const auto lock = lock_for_tensors(mutex_);
  size_t n = 0;
  for (const auto& [id, programs] : programs_) n += programs.size();
  return n;
}

void before_replay(std::function<void()> f) {
  if (Recorder* r = Recorder::active()) r->before_replay(std::move(f));
}
void replay_while(std::function<bool()> holds) {
  if (Recorder* r = Recorder::active()) r->replay_while(std::move(holds));
}
bool is_compiling() { return Recorder::active() != nullptr; }

}  // namespace thixo
