// Expressions evaluated one element at a time, in two ways:
//   eval        what the definition means: floats in long double with libm, integers exactly as they wrap;
//   eval_exact  what generated code computes: every node rounded to its own type. The expression must be in
//               basic operations (codegen/math), so polynomials are tested without a compiler.
#pragma once

#include <complex>
#include <functional>
#include <span>
#include <vector>

#include "ir/expr.h"
#include "ir/expr_value.h"

namespace thixo {

using LongComplex = std::complex<long double>;

/// Values of leaves: Input, Param, Axis, Size, Acc, At and Load. `index` are the values of the node's index
/// arguments; a guarded At or Load is asked for only where its predicate holds. Integers are exact in long double.
struct EvalContext {
  std::function<LongComplex(const ExprNode& leaf, std::span<const int64_t> index)> leaf;
};
struct ExactContext {
  std::function<ExprValue(const ExprNode& leaf, std::span<const int64_t> index)> leaf;
};

/// An expression made ready for many elements.
class Evaluator {
 public:
  explicit Evaluator(Expr e);
  LongComplex eval(const EvalContext& context);
  ExprValue eval_exact(const ExactContext& context);

 private:
  struct Step {
    const ExprNode* node;
    std::vector<size_t> args;
  };
  template <class V, class Context> V leaf(const Step& s, const std::vector<V>& values, const Context& context);
  LongComplex step(const Step& s);
  ExprValue exact_step(const Step& s);

  std::vector<Step> steps_;  // each node once, arguments before users
  std::vector<LongComplex> values_;
  std::vector<ExprValue> exact_values_;
};

LongComplex eval(Expr e, const EvalContext& context);

}  // namespace thixo
