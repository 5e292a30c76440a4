// One recording of a compiled function, as it is kept and replayed.
#pragma once

#include "runtime/compiled_node.h"
#include "runtime/stand_ins.h"
#include "thixo/compile.h"

namespace thixo {

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
  int64_t form = 0;  // see CompiledFunction::FormFn
  std::vector<Grad> grads;
  std::vector<HiddenArgument> hidden;  // arguments after the caller's,
  std::vector<size_t> fetched;   // then these: numbers of `grads`
  std::vector<Wanted> wanted;    // state: whether it required grad
  struct Input {
    int arg;  // or -1: state
    Tensor state;
  };
  std::vector<Input> inputs;        // of the whole graph, when there is a backward
  std::vector<size_t> edge_inputs;  // those that want a gradient
  std::vector<size_t> flows;        // results that have one
  struct ArgumentResult {
    size_t result, arg;
  };
  std::vector<ArgumentResult> rewritten;  // arguments that the function gives a history, and where their value is
  std::vector<ArgumentResult> returned;   // arguments that are results themselves
  struct KeptResult {
    size_t result;
    Tensor tensor;
  };
  std::vector<KeptResult> kept;  // tensors from outside that are results themselves
  struct ViewResult {
    size_t result;
    Input of;
    ViewChain chain;  // null: another handle to the same elements
  };
  std::vector<ViewResult> views;  // of an argument or a state
  struct Known {
    size_t arg;
    Ref<Storage> storage;
  };
  std::vector<Known> known;  // arguments that the function knows from elsewhere too: these, and no others
  struct StatePlace {
    Tensor state;
    const Storage* storage;
  };
  std::vector<StatePlace> places;  // the steps hold addresses: Module::to() may have given a state other memory
  std::vector<std::function<bool()>> conditions;
  // Where one of both is written, an argument must not lie in the memory of a state.
  std::vector<bool> written_args;
  std::vector<Ref<Storage>> states, written_states;  // by address

  /// Records one run of the function, whose results go to `first`, and makes the program of it.
  static Ref<Program> record(const TensorList& args, const Fn& f, TensorList* first);
  bool holds(std::span<const Tensor> given) const;
  TensorList replay(const TensorList& given);
  std::string explain() const;

 private:
  bool meets_states(std::span<const Tensor> given) const;
  void attach(const TensorList& args, TensorList* out, std::vector<RngKey> keys) const;
};

/// The gradient that the leaf has now, or an undefined tensor.
const Tensor& grad_now(const Tensor& leaf);

}  // namespace thixo
