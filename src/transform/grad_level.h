// The level of func::grad and func::vjp: tensors of this level have a tape of their own, everything below is as it was
// outside. So an inner gradient never mixes with an outer one, whatever the nesting.
#pragma once

#include "transform/interpreter.h"
#include "transform/node.h"

namespace thixo {

class GradLevel final : public LevelInterpreter {
 public:
  /// `outer_mode`: grad mode around the transform; inside, it is on.
  explicit GradLevel(bool outer_mode) : outer_mode_(outer_mode) {}
  Values apply(const Call& call) override;
  void write(const Tensor& self, const Tensor& value) override;
  /// t as an input of the function: a leaf of this level.
  Tensor enter(const Tensor& t, bool requires_grad);
  /// The value of a result below this level.
  Tensor leave(const Tensor& t) const { return owns(t) ? value(t) : t; }
  bool outer_mode() const { return outer_mode_; }

 private:
  bool outer_mode_;
};

/// A linear map from gradients of the outputs to gradients of the inputs, recorded by one run of a function.
class Pullback {
 public:
  /// `outputs` and `inputs` are of the level; the values kept are used below it.
  Pullback(const GradLevel& level, const TensorList& outputs, const TensorList& inputs);
  /// Undefined gradients count as zero. An input that the outputs do not depend on gets zeros.
  TensorList operator()(const TensorList& grads, bool retain_graph) const;

 private:
  uint64_t transform_;
  bool mode_;
  std::vector<Edge> outputs_, inputs_;
  TensorList like_;
};

}  // namespace thixo
