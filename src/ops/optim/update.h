// The updates of optimizers: what one step makes of the elements of a parameter, its gradient and its state. One
// scalar expression for each new value, shared by the op definitions (update.cpp) and the kernels of the pack.
#pragma once

#include <span>
#include <vector>

#include "ir/expr.h"

namespace thixo {

/// An op <name>(param, grad, <states>, scalars) -> (param, <states>). `scalars` is f64: what differs from step to step.
struct UpdateRule {
  const char* op;  ///< full name
  int states;
  int scalars;
  /// New param, new states of x = {param, grad, states...} and the scalars s, all of one type.
  std::vector<Expr> (*step)(std::span<const Expr> x, std::span<const Expr> s);
  int tensors() const { return states + 2; }
};
std::span<const UpdateRule> update_rules();
/// Null when no rule has this name.
const UpdateRule* find_update_rule(std::string_view op);

// The scalars of each rule. kSign is -1 to maximize, else 1.
namespace sgd_scalars {
enum : int { kSign, kDecay, kRate, kMomentum, kDamp, kDirect, kBuffered, kCount };  // the last four: momentum only
}
namespace adam_scalars {
enum : int { kSign, kDecay, kKeep, kOneMinusBeta1, kBeta2, kOneMinusBeta2, kUnbias, kEps, kRate, kCount };
}

}  // namespace thixo
