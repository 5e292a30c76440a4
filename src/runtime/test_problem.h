// A loss with parameters, for tests of compiled gradients.
#pragma once

#include "runtime/test_values.h"

namespace thixo::test {

struct Problem {
  Tensor w = random_tensor({20, 30}, 7).requires_grad_(), b = random_tensor({20}, 8).requires_grad_();
  Tensor loss(const Tensor& x) const { return (gelu(linear(x, w, b)).tanh() * x.sum(-1, true)).square().mean(); }
};

}  // namespace thixo::test
