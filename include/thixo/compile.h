// compile: the same program, recorded. The first call with new shapes runs the function for real while its ops are
// written down below Python and C++ alike; later calls run the optimised plan. A whole training step may be one
// function: forward, backward() and the optimizer's step together, state updated in place.
//
//   auto step = thixo::compile([&](const TensorList& a) -> TensorList {
//     optimizer.zero_grad();
//     Tensor loss = cross_entropy(net(a[0]), a[1]);
//     loss.backward();
//     optimizer.step();
//     return {loss};
//   });
//   Tensor loss = step({x, y})[0];
//
// Or the forward alone: what it returns can be differentiated, and its backward runs compiled as well.
//
//   auto forward = thixo::compile([&](const TensorList& a) -> TensorList { return {cross_entropy(net(a[0]), a[1])}; });
//   forward({x, y})[0].backward();
//
// The function must not depend on values: item(), printing or data() of a tensor inside it raises NotImplementedError.
// What it reads besides its arguments (parameters, buffers) is found while recording and bound; plain numbers that it
// computes with are frozen, except an optimizer's settings, which are read at each call, and the modes of modules, each
// of which has a program of its own.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "thixo/tensor.h"

namespace thixo {

class THIXO_API CompiledFunction : public Object {
 public:
  using Fn = std::function<TensorList(const TensorList&)>;
  /// For bindings: a number that stands for what the function returned besides tensors. A replay gives that of its
  /// recording.
  using FormFn = std::function<TensorList(const TensorList&, int64_t* form)>;
  explicit CompiledFunction(Fn f);
  explicit CompiledFunction(FormFn f);
  ~CompiledFunction() override;
  /// `key`: what else decides the course of the function (a training flag, static arguments of a binding).
  TensorList operator()(const TensorList& args, const std::string& key = "", int64_t* form = nullptr);
  /// The fused program for these arguments, recorded first if need be.
  std::string explain(const TensorList& args, const std::string& key = "");
  size_t recordings() const;
  /// Whether a call now is part of another recording, or of a transform: the function itself runs.
  static bool is_part();

 private:
  friend class ProgramBuilder;
  struct Program;
  /// The program to replay; recorded, with the results of that run in `first`, when there is none.
  Ref<Program> program(const TensorList& args, const std::string& key, std::optional<TensorList>* first);
  FormFn f_;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Ref<Program>>> programs_;
};

/// A callable that can be copied; all copies share the recordings.
class Compiled {
 public:
  explicit Compiled(CompiledFunction::Fn f) : f_(make_ref<CompiledFunction>(std::move(f))) {}
  TensorList operator()(const TensorList& args) const { return (*f_)(args); }
  CompiledFunction& function() const { return *f_; }

 private:
  Ref<CompiledFunction> f_;
};

inline Compiled compile(CompiledFunction::Fn f) { return Compiled(std::move(f)); }
/// What compile would run for these arguments: the graph after its passes, groups that became one kernel, memory.
inline std::string explain(const Compiled& f, const TensorList& args) { return f.function().explain(args); }

/// While a function is recorded: runs `f` before each replay (an optimizer brings its learning rate up to date).
THIXO_API void before_replay(std::function<void()> f);
/// While a function is recorded: the program is replayed only as long as `holds` (a module is in the mode that it was
/// in).
THIXO_API void replay_while(std::function<bool()> holds);
/// Whether this thread is recording.
THIXO_API bool is_compiling();

}  // namespace thixo
