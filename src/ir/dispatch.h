// Where every op call goes. From the top: the tape (when an operand at the highest level wants a gradient),
// the interpreter of the highest wrapper level among the operands (vmap, jvp), then the bottom: a recorder,
// profiler or checker if one is active, else eager. Each interpreter is one file in src/transform with one
// function that matters, apply(call).
//
// Levels: a wrapper made by a transform has its level (1, 2, ... outermost transform first); plain tensors
// have level 0. The tape records a call when grad mode is on and an operand *of the call's highest level*
// requires grad; operands of lower levels are constants there and are seen again, unwrapped, further down.
#pragma once

#include "ir/op.h"

namespace thixo {

class Interpreter {
 public:
  virtual ~Interpreter() = default;
  virtual Values apply(const Call& call) = 0;
  /// self := value, where both are of this interpreter's level or lower. Default: NotImplementedError.
  virtual void write(const Tensor& self, const Tensor& value);
  /// Whether it only looks on, so that in-place and out= forms may compute into their tensors below it, by into().
  virtual bool watches() const { return false; }
  virtual void into(const Call& call, std::span<const Tensor> out);
  /// A key was drawn from g for a call to come: a recorder notes in it where a replay draws the next.
  virtual void drew(const Generator& g, RngKey* key);
};

/// The layers above this one that dispatch calls.
struct DispatchTable {
  Values (*eager)(const Call&) = nullptr;
  /// Computes into given results (same shapes and dtypes as inferred): out= and in-place forms.
  void (*eager_into)(const Call&, std::span<const Tensor> out) = nullptr;
  /// Runs `below` and puts a node on the tape.
  Values (*tape)(const Call&, Values (*below)(const Call&)) = nullptr;
  /// In-place write when a gradient is wanted or self is a view that others see: see transform/write.cpp.
  void (*tape_write)(const Tensor& self, const Tensor& value, const Call& call) = nullptr;
};
DispatchTable& dispatch_table();
namespace detail {
/// Fills the table and the backend's: src/runtime/start.cpp (no static initialisers). Called at the first use.
DispatchTable start();
}  // namespace detail

struct DispatchState {
  bool grad_enabled = true;
  std::vector<Interpreter*> levels;         // levels[i] is level i+1
  size_t random_levels = SIZE_MAX;          // how many of them a random call without operands goes to at most
  std::vector<Interpreter*> bottom;         // the last one is asked first; each calls eager or the next below
};
DispatchState& dispatch_state();

int level_of(const Tensor& t);
Interpreter& interpreter_at(int level);
/// A tensor with a level whose transform has ended.
Error used_after_its_transform();

Values dispatch(const Call& call);
inline Tensor dispatch1(const Call& call) { return std::move(dispatch(call)[0]); }
/// The operands of a composite, its index operands checked (bounded_index): for who composes it otherwise than eager
/// does, since what it is made of does not check them.
SmallVec<Tensor, 4> bounded_operands(const Call& call);
/// Bottom of the stack: `below` bottom[depth]; depth = bottom.size() starts at the top.
Values dispatch_bottom(const Call& call, size_t depth);
/// The same into given results, where everything at the bottom watches.
void dispatch_into(const Call& call, std::span<const Tensor> out, size_t depth);
/// x.op_(...): self receives the (first) result.
void dispatch_inplace(const Call& call, const Tensor& self);
/// op(..., out=t): ShapeError/DTypeError unless t fits; errors when a gradient is wanted.
void dispatch_out(const Call& call, std::span<const Tensor> out);

/// Sets grad mode for a scope.
class GradMode {
 public:
  explicit GradMode(bool on) : before_(dispatch_state().grad_enabled) { dispatch_state().grad_enabled = on; }
  ~GradMode() { dispatch_state().grad_enabled = before_; }
  GradMode(const GradMode&) = delete;
  bool before() const { return before_; }

 private:
  bool before_;
};

}  // namespace thixo
