#include "thixo/compile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "runtime/test_values.h"
#include "thixo/generator.h"

namespace thixo {
namespace {

using test::contains;
using test::filled;
using test::random_tensor;
using test::values;

/// f compiled gives what f gives, at the first call (which records) and at two replays.
void expect_equal(const CompiledFunction::Fn& f, const std::function<TensorList(int)>& args_of) {
  Compiled compiled = compile(f);
  for (int call = 0; call < 3; ++call) {
    const TensorList want = f(args_of(call)), got = compiled(args_of(call));
    ASSERT_EQ(want.size(), got.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(shape_str(want[i].shape()), shape_str(got[i].shape()));
      EXPECT_EQ(values(want[i]), values(got[i])) << "call " << call << ", result " << i << "\n"
                                                 << explain(compiled, args_of(call));
    }
  }
  EXPECT_EQ(compiled.function().recordings(), 1u);
}

/// [n] beside [n, n] is one number a row or one row for all: by how it is computed, not by its shape.
TEST(Compile, RowsAndSharedRowsOfSquareMatrices) {
  manual_seed(0);
  const Tensor x = randn({24, 24}), w = randn({24});
  const std::vector<std::function<Tensor(const Tensor&, const Tensor&)>> functions = {
      [](const Tensor& a, const Tensor&) { return a - a.amax(-1); },
      [](const Tensor& a, const Tensor&) { return a - a.amax(-1, true); },
      [](const Tensor& a, const Tensor& v) { return (a * (v * 2)).sum(-1); },
      [](const Tensor& a, const Tensor& v) { return (a * (v + 1)).sum(-1) + (v + 1); },
      [](const Tensor& a, const Tensor& v) { return (a.exp() - a.amax(-1).exp()) * v; },
      [](const Tensor& a, const Tensor&) { return (a * arange(24)).sum(-1); },
  };
  for (size_t i = 0; i < functions.size(); ++i) {
    Compiled f = compile([&](const TensorList& t) { return TensorList{functions[i](t[0], t[1])}; });
    f({x, w});
    EXPECT_LT((f({x, w})[0] - functions[i](x, w)).abs().max().item<float>(), 1e-3F) << i;
  }
}

TEST(Compile, ChainsOfPointwiseOpsAndRows) {
  auto args = [](int call) {
    return TensorList{random_tensor({33, 70}, call), random_tensor({70}, call + 10), random_tensor({33, 1}, call + 20)};
  };
  expect_equal([](const TensorList& a) { return TensorList{gelu(a[0] * a[1] + a[2]).tanh() * 3, a[0].exp() - 1}; },
               args);
  expect_equal([](const TensorList& a) { return TensorList{(a[0] * a[1]).sum(-1), a[0].softmax(-1) + a[2]}; }, args);
  expect_equal([](const TensorList& a) { return TensorList{layer_norm(gelu(a[0] * a[1]) + a[2], {70}, a[1], a[1])}; },
               args);
  expect_equal(
      [](const TensorList& a) { return TensorList{(a[0] - a[0].mean(-1, true)).square().sum(), a[0].amax(-1)}; }, args);
  expect_equal(
      [](const TensorList& a) { return TensorList{matmul(a[0], a[0].t()).relu() * 2, a[0].t().contiguous() * 2}; },
      args);
}

TEST(Compile, EmptyAndScalarTensors) {
  expect_equal([](const TensorList& a) { return TensorList{gelu(a[0] * 2).sum(-1) + 1, a[0].softmax(-1)}; },
               [](int) { return TensorList{empty({0, 5})}; });
  expect_equal([](const TensorList& a) { return TensorList{a[0].sum(-1) + 1, a[0].sum()}; },
               [](int) { return TensorList{empty({4, 0})}; });
  expect_equal([](const TensorList& a) { return TensorList{(a[0] * 2 + 1).exp()}; },
               [](int call) { return TensorList{random_tensor({}, call)}; });
}

TEST(Compile, StridedArguments) {
  auto transposed = [](int call) {
    return TensorList{random_tensor({9, 40}, call).t(), random_tensor({40, 9}, call + 5)};
  };
  expect_equal(
      [](const TensorList& a) { return TensorList{(a[0] + a[1]).exp() * a[0], a[0].sum(-1), a[0].softmax(-1) * a[1]}; },
      transposed);
  auto rows = [](int call) {
    const Tensor all = random_tensor({6, 20}, call);
    return TensorList{all[1], all[4]};  // two views of one tensor
  };
  expect_equal([](const TensorList& a) { return TensorList{a[0] * 2 - a[1]}; }, rows);
}

TEST(Compile, NewShapesAndDtypesAreRecordedAnew) {
  Compiled f = compile([](const TensorList& a) { return TensorList{a[0] * 2 + 1}; });
  for (const Tensor& x :
       {random_tensor({3, 4}), random_tensor({5, 4}), random_tensor({3, 4}).to(float64), random_tensor({4, 3}).t()}) {
    for (int call = 0; call < 2; ++call) {
      const Tensor got = f({x})[0], want = x * 2 + 1;
      EXPECT_EQ(got.dtype(), want.dtype());
      EXPECT_EQ(values(got.to(float32)), values(want.to(float32)));
    }
  }
  EXPECT_EQ(f.function().recordings(), 4u);
}

TEST(Compile, OneTensorTwiceIsAnotherProgramThanTwoTensors) {
  Compiled f = compile([](const TensorList& a) { return TensorList{a[0] * 10 + a[1]}; });
  const Tensor x = filled({4}, 1), y = filled({4}, 2);
  f({x, x});
  EXPECT_EQ(values(f({x, y})[0]), values(x * 10 + y));
  EXPECT_EQ(values(f({x, y})[0]), values(x * 10 + y));
  EXPECT_EQ(values(f({y, y})[0]), values(y * 11));
}

TEST(Compile, StateIsUpdatedInPlace) {
  Tensor state = filled({1000}, 1), counter = filled({}, 0);
  const void* memory = state.raw_data();
  Compiled f = compile([&](const TensorList& a) {
    state.mul_(0.5).add_(a[0]);
    counter.add_(1);
    return TensorList{state.sum()};
  });
  std::vector<float> want(1000, 1);
  for (int call = 0; call < 4; ++call) {
    const Tensor x = random_tensor({1000}, call);
    const uint32_t before = state.version();
    f({x});
    for (size_t i = 0; i < want.size(); ++i) want[i] = want[i] * 0.5f + values(x)[i];
    EXPECT_EQ(values(state), want);
    EXPECT_EQ(state.raw_data(), memory);
    EXPECT_GT(state.version(), before);
    EXPECT_EQ(counter.item<float>(), static_cast<float>(call + 1));
  }
  EXPECT_EQ(f.function().recordings(), 1u);
}

TEST(Compile, WritesThroughViews) {
  auto f = [](const TensorList& a) {
    Tensor x = a[0].clone();
    x[1].mul_(2);
    Tensor column = x.select(1, 2);
    column.add_(x.select(1, 0));
    x[3].copy_(x[0]);
    return TensorList{x, column * 1, x.t()};
  };
  expect_equal(f, [](int call) { return TensorList{random_tensor({4, 5}, call)}; });
  Tensor table = filled({4, 5}, 1);  // the same on state
  Compiled g = compile([&](const TensorList& a) {
    table[2].add_(a[0]);
    return TensorList{table.sum()};
  });
  for (int call = 1; call <= 3; ++call)
    EXPECT_EQ(g({filled({5}, 1)})[0].item<float>(), static_cast<float>(20 + 5 * call));
  EXPECT_EQ(values(table[2]), std::vector<float>(5, 4));
}

TEST(Compile, ArgumentsAreWrittenInPlace) {
  Compiled f = compile([](const TensorList& a) {
    Tensor x = a[0];
    x.mul_(3);
    return TensorList{x + 1};
  });
  for (int call = 0; call < 3; ++call) {
    Tensor x = filled({7}, call + 1);
    EXPECT_EQ(values(f({x})[0]), std::vector<float>(7, static_cast<float>(3 * (call + 1) + 1)));
    EXPECT_EQ(values(x), std::vector<float>(7, static_cast<float>(3 * (call + 1))));
  }
}

TEST(Compile, RandomOpsContinueTheStream) {
  auto f = [](const TensorList& a) {
    const Tensor noise = rand({50}) * a[0];
    return TensorList{dropout(a[0], 0.5, true) + noise, randn({3})};
  };
  Compiled compiled = compile(f);
  for (int call = 0; call < 4; ++call) {
    const Tensor x = random_tensor({50}, call);
    manual_seed(call);
    const TensorList want = f({x}), next_want = f({x});
    const Generator::State after = default_generator().state();
    manual_seed(call);
    const TensorList got = compiled({x}), next_got = compiled({x});
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(values(got[i]), values(want[i])) << call;
      EXPECT_EQ(values(next_got[i]), values(next_want[i])) << call;
    }
    EXPECT_NE(values(got[1]), values(next_got[1]));
    EXPECT_EQ(default_generator().state().counter, after.counter);
  }
}

TEST(Compile, DropoutDropsTheSameInForwardAndBackward) {
  Tensor w = filled({400}, 1).requires_grad_();
  Compiled step = compile([&](const TensorList& a) {
    w.zero_grad();
    const Tensor y = dropout(w * a[0], 0.5, true);
    y.sum().backward();
    return TensorList{y.detach()};
  });
  for (int call = 0; call < 3; ++call) {
    const std::vector<float> y = values(step({filled({400}, 3)})[0]);
    EXPECT_EQ(values(w.grad()), y) << "w is 1, so its gradient is the result";
    EXPECT_GT(std::count(y.begin(), y.end(), 0.0f), 100);
  }
}

TEST(Compile, NanPassesThrough) {
  Tensor w = filled({3}, 1).requires_grad_();
  Compiled f = compile([&](const TensorList& a) { return TensorList{(w * a[0]).log().sum()}; });
  f({filled({3}, 1)})[0].backward();
  w.zero_grad();
  const Tensor loss = f({filled({3}, -1)})[0];
  EXPECT_TRUE(std::isnan(loss.item<float>()));
  loss.backward();
  EXPECT_EQ(values(w.grad()), std::vector<float>(3, 1));
}

TEST(Compile, InsideAnother) {
  Compiled inner = compile([](const TensorList& a) { return TensorList{a[0] * 2}; });
  Compiled outer = compile([&](const TensorList& a) { return TensorList{inner({a[0]})[0] + 1}; });
  for (int call = 0; call < 2; ++call) EXPECT_EQ(values(outer({filled({2}, 3)})[0]), std::vector<float>(2, 7));
  EXPECT_EQ(inner.function().recordings(), 0u);
}

TEST(Compile, FromManyThreads) {
  Compiled f = compile([](const TensorList& a) { return TensorList{gelu(a[0] * 2).softmax(-1)}; });
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t k = 0; k < wrong.size(); ++k) {
    threads.emplace_back([&, k] {
      for (int call = 0; call < 20; ++call) {
        const Tensor x = random_tensor({9, static_cast<int64_t>(10 + k % 2)},
                                       static_cast<unsigned>(call + 50 * static_cast<int>(k)));
        if (values(f({x})[0]) != values(gelu(x * 2).softmax(-1))) ++wrong[k];
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Compile, ExplainShowsWhatWasFused) {
  Compiled f = compile([](const TensorList& a) { return TensorList{(a[0] * 2 + 1).exp().sum(-1)}; });
  const std::string text = explain(f, {random_tensor({64, 100})});
  EXPECT_TRUE(contains(text, "kernel @0: ")) << text;
  EXPECT_TRUE(contains(text, " exp sum")) << text;
  EXPECT_TRUE(contains(text, "1 steps, arena 0 bytes")) << text;
}

}  // namespace
}  // namespace thixo
