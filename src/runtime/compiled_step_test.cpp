// Compiled functions that call backward themselves.
#include <gtest/gtest.h>

#include "runtime/test_problem.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"

namespace thixo {
namespace {

using test::filled;
using test::Problem;
using test::random_tensor;
using test::values;

TEST(CompiledStep, GradientsAddUpUnlessTheyAreCleared) {
  for (const bool clears : {false, true}) {
    Problem eager, compiled;
    auto f = [clears](const Problem& p, const Tensor& x) {
      if (clears) {
        Tensor w = p.w, b = p.b;
        w.zero_grad();
        b.zero_grad();
      }
      const Tensor loss = p.loss(x);
      loss.backward();
      return loss.detach();
    };
    Compiled g = compile([&](const TensorList& a) { return TensorList{f(compiled, a[0])}; });
    for (int call = 0; call < 4; ++call) {
      const Tensor x = random_tensor({16, 30}, call);
      EXPECT_EQ(values(f(eager, x)), values(g({x})[0]));
      EXPECT_EQ(values(eager.w.grad()), values(compiled.w.grad())) << clears << call;
      EXPECT_EQ(values(eager.b.grad()), values(compiled.b.grad())) << clears << call;
    }
    EXPECT_EQ(g.function().recordings(), clears ? 1u : 2u) << "with and without a gradient at the start";
  }
}

TEST(CompiledStep, ArgumentsGetTheirGradients) {
  Compiled f = compile([](const TensorList& a) {
    (a[0] * a[0]).sum().backward();
    return TensorList{};
  });
  for (int call = 0; call < 3; ++call) {
    Tensor x = random_tensor({4}, call).requires_grad_();
    f({x});
    EXPECT_EQ(values(x.grad()), values(x.detach() * 2));
  }
  EXPECT_EQ(f.function().recordings(), 1u);
}

TEST(CompiledStep, GradientsClearedAtTheEndAreGone) {
  Tensor w = filled({3}, 2).requires_grad_();
  Compiled f = compile([&](const TensorList& a) {
    (w * a[0]).sum().backward();
    const Tensor g = w.grad();
    w.zero_grad();
    return TensorList{g};
  });
  for (int call = 0; call < 3; ++call) {
    EXPECT_EQ(values(f({filled({3}, call)})[0]), std::vector<float>(3, static_cast<float>(call)));
    EXPECT_FALSE(w.grad().defined());
  }
}

}  // namespace
}  // namespace thixo
