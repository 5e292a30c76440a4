// jvp: values that carry a tangent. The tangent of a pointwise op is the sum of its derived gradients taken at the
// tangents; of a linear op the op itself; of any other op the gradient of its gradient with respect to the cotangent.
#pragma once

#include "transform/interpreter.h"

namespace thixo {

class JvpLevel final : public LevelInterpreter {
 public:
  Values apply(const Call& call) override;
  void write(const Tensor& self, const Tensor& value) override;

  Tensor enter(const Tensor& t, const Tensor& tangent) { return wrap(t, t.shape(), tangent); }
  Tensor primal(const Tensor& t) const { return owns(t) ? value(t) : t; }
  /// Undefined: zero.
  Tensor tangent(const Tensor& t) const;

 private:
  using In = SmallVec<Tensor, 4>;
  Values tangents(const Call& call, const Values& out, const In& t);
  Tensor pointwise(const Call& call, const Tensor& out, const In& t);
  Values by_double_vjp(const Call& call, const Values& out, const In& t);
};

}  // namespace thixo
