#include "transform/checkpoint.h"

#include "thixo/autograd.h"
#include "thixo/func.h"
#include "thixo/generator.h"
#include "transform/test_util.h"

namespace thixo {
namespace {

TEST(Checkpoint, SameGradientsWithTwoRuns) {
  Tensor w = leaf({0.5, -1}), x = leaf({1, 2});
  int runs = 0;
  auto block = [&](const TensorList& in) {
    ++runs;
    return TensorList{(in[0] * w).tanh() * in[0]};
  };
  block({x})[0].sum().backward();
  const Tensor gx = x.grad(), gw = w.grad();
  x.zero_grad();
  w.zero_grad();
  runs = 0;
  Tensor y = autograd::checkpoint(block, {x})[0].sum();
  EXPECT_EQ(runs, 1);
  y.backward();
  EXPECT_EQ(runs, 2);
  expect_close(x.grad(), gx);
  expect_close(w.grad(), gw);
}

TEST(Checkpoint, SecondOrder) {
  Tensor x = leaf({0.3, -0.4});
  auto f = [](const TensorList& in) {
    return autograd::checkpoint([](const TensorList& v) { return TensorList{v[0].tanh() * v[0]}; }, in);
  };
  EXPECT_TRUE(autograd::gradcheck(f, {x}));
  EXPECT_TRUE(autograd::gradgradcheck(f, {x}));
}

TEST(Checkpoint, InsideFuncGrad) {
  auto f = [](const Tensor& t) {
    return autograd::checkpoint([](const TensorList& v) { return TensorList{v[0].exp().sum()}; }, {t})[0];
  };
  expect_values(func::grad(f)(f64({1, 2})), {std::exp(1), std::exp(2)});
}

TEST(Checkpoint, AnErrorInTheSecondRunLeavesTheGeneratorAlone) {
  Tensor x = leaf({1, 2});
  int runs = 0;
  Tensor y = autograd::checkpoint(
      [&](const TensorList& in) {
        Tensor r = rand({2}, {.dtype = float64}) * in[0].exp();
        if (++runs == 2) throw ValueError("interrupted");
        return TensorList{r};
      },
      {x})[0];
  rand({10});
  const Generator::State before = default_generator().state();
  EXPECT_EQ(headline_of([&] { y.sum().backward(); }), "ValueError: interrupted");
  EXPECT_EQ(default_generator().state().seed, before.seed);
  EXPECT_EQ(default_generator().state().counter, before.counter);
}

TEST(Checkpoint, ChangesAreNoticed) {
  Tensor x = leaf({1, 2});
  Tensor a = x * 1;
  Tensor y = autograd::checkpoint([](const TensorList& in) { return TensorList{in[0].exp()}; }, {a})[0];
  {
    NoGrad guard;
    a.add_(1);
  }
  EXPECT_EQ(headline_of([&] { y.sum().backward(); }),
            "ValueError: checkpoint: input 0 was overwritten before backward");
  bool first = true;
  Tensor z = autograd::checkpoint(
      [&](const TensorList& in) {
        const bool was_first = std::exchange(first, false);
        return TensorList{was_first ? in[0].exp() : in[0] + 1};
      },
      {x})[0];
  EXPECT_EQ(headline_of([&] { z.sum().backward(); }),
            "ValueError: checkpoint: the function did not do the same when it ran again");
}

}  // namespace
}  // namespace thixo
