#include "thixo/compile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "runtime/test_values.h"
#include "thixo/autograd.h"
#include "thixo/func.h"
#include "thixo/generator.h"

namespace thixo {
namespace {

using test::contains;
using test::error_of;
using test::random_tensor;
using test::values;

Tensor filled(const Shape& shape, double v) { return full(shape, v); }

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

// ---- gradients ----

struct Problem {
  Tensor w = random_tensor({20, 30}, 7).requires_grad_(), b = random_tensor({20}, 8).requires_grad_();
  Tensor loss(const Tensor& x) const { return (gelu(linear(x, w, b)).tanh() * x.sum(-1, true)).square().mean(); }
};

TEST(CompiledForward, BackwardOutsideRunsCompiled) {
  Problem eager, compiled;
  Compiled f = compile([&](const TensorList& a) { return TensorList{compiled.loss(a[0])}; });
  for (int call = 0; call < 4; ++call) {
    const Tensor x = random_tensor({16, 30}, call);
    const Tensor want = eager.loss(x), got = f({x})[0];
    EXPECT_EQ(values(want), values(got));
    EXPECT_TRUE(got.requires_grad());
    want.backward();
    got.backward();
    // Gradients of further calls add up, as in eager.
    EXPECT_EQ(values(eager.w.grad()), values(compiled.w.grad())) << call;
    EXPECT_EQ(values(eager.b.grad()), values(compiled.b.grad())) << call;
    if (call == 2) {
      for (Tensor t : {eager.w, eager.b, compiled.w, compiled.b}) t.zero_grad();
    }
  }
  EXPECT_EQ(f.function().recordings(), 1u);
  EXPECT_EQ(f({random_tensor({16, 30})})[0].grad_fn()->unique(), false);
}

TEST(CompiledForward, ArgumentsThatRequireGrad) {
  Compiled f =
      compile([](const TensorList& a) { return TensorList{(a[0] * a[1]).exp().sum(-1), a[0] * 2, a[1].gt(0)}; });
  auto run = [](const auto& g, int call) {
    Tensor x = random_tensor({5, 6}, call).requires_grad_(), y = random_tensor({6}, call + 9).requires_grad_();
    const Tensor inner = x.sin();  // not a leaf
    const TensorList out = g({inner, y});
    (out[0].sum() + (out[1] * inner).sum()).backward();
    return TensorList{x.grad(), y.grad()};
  };
  auto plain = [](const TensorList& a) { return TensorList{(a[0] * a[1]).exp().sum(-1), a[0] * 2, a[1].gt(0)}; };
  for (int call = 0; call < 3; ++call) {
    const TensorList want = run(plain, call), got = run(f, call);
    // Gradients through the function are added up before those around it: another order than eager's.
    for (size_t k = 0; k < 2; ++k) {
      for (size_t i = 0; i < values(want[k]).size(); ++i)
        EXPECT_NEAR(values(want[k])[i], values(got[k])[i], 1e-5) << call;
    }
  }
  EXPECT_EQ(f.function().recordings(), 1u);
}

TEST(CompiledForward, OnlySomeResultsAreUsed) {
  Tensor w = random_tensor({6}, 1).requires_grad_();
  Compiled f = compile([&](const TensorList& a) { return TensorList{w * a[0], w.exp(), a[0] + 1}; });
  for (int call = 0; call < 3; ++call) {
    w.zero_grad();
    const TensorList out = f({filled({6}, 3)});
    EXPECT_FALSE(out[2].requires_grad());
    out[0].sum().backward();
    EXPECT_EQ(values(w.grad()), std::vector<float>(6, 3));
    const TensorList g = autograd::grad({f({filled({6}, 2)})[1].sum()}, {w});
    EXPECT_EQ(values(g[0]), values(w.exp().detach()));
  }
}

TEST(CompiledForward, ResultsThatAreInputs) {
  Tensor w = random_tensor({3}, 1).requires_grad_();
  Compiled f = compile([&](const TensorList& a) {
    const Tensor y = w * 2;
    return TensorList{a[0], w, y, y, y.view({3, 1})};
  });
  for (int call = 0; call < 3; ++call) {
    w.zero_grad();
    Tensor x = random_tensor({3}, call).requires_grad_();
    const TensorList out = f({x});
    (out[0] * 2 + out[1] * 3 + out[2] * 5 + out[3] * 7 + out[4].squeeze(1)).sum().backward();
    EXPECT_EQ(values(x.grad()), std::vector<float>(3, 2));
    EXPECT_EQ(values(w.grad()), std::vector<float>(3, 3 + 2 * 13)) << call;
    EXPECT_TRUE(w.is_leaf());
  }
}

TEST(CompiledForward, NoGradMakesNoTape) {
  Problem p;
  Compiled f = compile([&](const TensorList& a) { return TensorList{p.loss(a[0])}; });
  const Tensor x = random_tensor({16, 30});
  for (int call = 0; call < 2; ++call) {
    f({x});
    NoGrad guard;
    EXPECT_FALSE(f({x})[0].requires_grad());
  }
  EXPECT_EQ(f.function().recordings(), 2u);
  p.w.requires_grad_(false);  // frozen: another program
  const Tensor loss = f({x})[0];
  f({x})[0].backward();
  EXPECT_FALSE(p.w.grad().defined());
  EXPECT_TRUE(p.b.grad().defined());
}

TEST(CompiledForward, RandomOpsAgreeWithTheBackward) {
  Tensor w = filled({300}, 1).requires_grad_();
  Compiled f = compile([&](const TensorList&) { return TensorList{dropout(w, 0.5, true)}; });
  for (int call = 0; call < 4; ++call) {
    w.zero_grad();
    const Tensor y = f({})[0];
    manual_seed(99);  // backward does not draw
    y.sum().backward();
    EXPECT_EQ(values(w.grad()), values(y.detach())) << call;
  }
}

TEST(CompiledForward, Checkpoint) {
  auto make = [](Tensor w) {
    return [w](const TensorList& a) {
      return autograd::checkpoint(
          [w](const TensorList& in) { return TensorList{dropout((in[0] * w).tanh(), 0.3, true).square()}; }, a);
    };
  };
  Tensor w = random_tensor({40}, 3).requires_grad_(), v = random_tensor({40}, 3).requires_grad_();
  Compiled f = compile(make(w));
  for (int call = 0; call < 3; ++call) {
    manual_seed(call);
    f({filled({40}, 0.5)})[0].sum().backward();
    manual_seed(call);
    make(v)({filled({40}, 0.5)})[0].sum().backward();
    EXPECT_EQ(values(w.grad()), values(v.grad()));
  }
}

TEST(CompiledForward, ErrorsOfBackward) {
  Tensor w = random_tensor({5}, 1).requires_grad_();
  Compiled f = compile([&](const TensorList& a) { return TensorList{(w * w * a[0]).sum()}; });
  f({filled({5}, 2)});
  Tensor loss = f({filled({5}, 2)})[0];
  loss.backward({}, /*retain_graph=*/true);
  loss.backward();
  std::string e = error_of([&] { loss.backward(); });
  EXPECT_TRUE(
      contains(e, "ValueError: backward: the saved values of a compiled function were freed by an earlier backward"))
      << e;
  loss = f({filled({5}, 2)})[0];
  e = error_of([&] { autograd::grad({loss}, {w}, {.create_graph = true}); });
  EXPECT_TRUE(
      contains(e, "NotImplementedError: backward: the gradient of a compiled function cannot be differentiated again"))
      << e;
  loss = f({filled({5}, 2)})[0];
  {
    NoGrad guard;
    w.mul_(2);
  }
  e = error_of([&] { loss.backward(); });
  EXPECT_TRUE(contains(e, "ValueError: backward: a value that the compiled function needs was overwritten in place"))
      << e;
}

TEST(CompiledForward, BatchStatisticsAreUpdatedOnce) {
  Tensor mean = zeros({4}), seen = zeros({4});
  Tensor w = random_tensor({4}, 2).requires_grad_();
  auto f = [&](Tensor& running) {
    return [&](const TensorList& a) {
      const Tensor m = a[0].mean(0);
      const Tensor y = (a[0] - m) * running * w;  // the backward needs `running` as it was
      NoGrad guard;
      running.mul_(0.9).add_(m.detach() * 0.1);
      return TensorList{y};
    };
  };
  Compiled g = compile(f(mean));
  for (int call = 0; call < 3; ++call) {
    const Tensor x = random_tensor({8, 4}, call);
    w.zero_grad();
    g({x})[0].square().sum().backward();
    const std::vector<float> got = values(w.grad());
    w.zero_grad();
    // The same in eager, where the old value must be cloned to be differentiable.
    const Tensor m = x.mean(0), y = (x - m) * seen.clone() * w;
    seen.mul_(0.9).add_(m * 0.1);
    y.square().sum().backward();
    EXPECT_EQ(values(mean), values(seen)) << call;
    EXPECT_EQ(got, values(w.grad())) << call;
  }
}

TEST(CompiledForward, ThePartsOfATrainingStepCompiledApart) {
  Problem eager, compiled;
  auto update = [](const Problem& p) {
    NoGrad guard;
    for (Tensor t : {p.w, p.b}) t.sub_(t.grad() * 0.01);
  };
  Compiled forward = compile([&](const TensorList& a) { return TensorList{compiled.loss(a[0])}; });
  Compiled step = compile([&](const TensorList&) {
    update(compiled);
    return TensorList{};
  });
  for (int call = 0; call < 5; ++call) {
    const Tensor x = random_tensor({16, 30}, call);
    for (Tensor t : {eager.w, eager.b, compiled.w, compiled.b}) t.zero_grad();
    eager.loss(x).backward();
    update(eager);
    forward({x})[0].backward();
    step({});
    EXPECT_EQ(values(eager.w), values(compiled.w)) << call;
    EXPECT_EQ(values(eager.b), values(compiled.b)) << call;
  }
  EXPECT_EQ(forward.function().recordings(), 1u);
  EXPECT_EQ(step.function().recordings(), 1u) << "gradients are other tensors at every call";
}

TEST(CompiledForward, AParameterSeenDetachedFirst) {
  Tensor w = filled({3}, 2).requires_grad_();
  Compiled f = compile([&](const TensorList& a) { return TensorList{(w.detach() * w * a[0]).sum()}; });
  for (int call = 0; call < 3; ++call) {
    w.zero_grad();
    f({filled({3}, 5)})[0].backward();
    EXPECT_EQ(values(w.grad()), std::vector<float>(3, 10));
  }
}

TEST(CompiledForward, ComputesInDouble) {
  Tensor w = random_tensor({6}).to(float64).requires_grad_();
  Compiled f = compile([&](const TensorList&) { return TensorList{(w * 0.1 + 1.0 / 3).sum()}; });
  for (int call = 0; call < 3; ++call) {
    w.zero_grad();
    const Tensor loss = f({})[0];
    loss.backward();
    EXPECT_EQ(test::values<double>(loss), test::values<double>((w * 0.1 + 1.0 / 3).sum()));
    EXPECT_EQ(test::values<double>(w.grad()), std::vector<double>(6, 0.1));
  }
}

TEST(CompiledForward, HooksOfLeavesRun) {
  Tensor w = filled({3}, 2).requires_grad_();
  int calls = 0;
  w.register_hook([&](const Tensor& g) {
    ++calls;
    return g * 10;
  });
  Compiled f = compile([&](const TensorList& a) { return TensorList{(w * a[0]).sum()}; });
  for (int call = 0; call < 3; ++call) {
    w.zero_grad();
    f({filled({3}, 1)})[0].backward();
    EXPECT_EQ(values(w.grad()), std::vector<float>(3, 10));
  }
  EXPECT_EQ(calls, 3);
}

TEST(CompiledForward, UnderTransformsTheFunctionIsPartOfThem) {
  Compiled f = compile([](const TensorList& a) { return TensorList{(a[0] * a[0]).sum()}; });
  const Tensor x = random_tensor({4, 3}, 1);
  f({x[0]});
  const Tensor batched = func::vmap([&](const TensorList& a) { return f(a)[0]; })({x});
  EXPECT_EQ(values(batched), values((x * x).sum(-1)));
}

// ---- gradients inside ----

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

// ---- what is refused, and what must survive ----

TEST(Compile, LookingAtValuesIsAnError) {
  const Tensor x = filled({3}, 1);
  for (const CompiledFunction::Fn& f : std::vector<CompiledFunction::Fn>{
           [](const TensorList& a) { return a[0].sum().item() > 0 ? TensorList{a[0]} : TensorList{}; },
           [](const TensorList& a) { return TensorList{a[0] * static_cast<double>(a[0].str().size())}; },
           [](const TensorList& a) { return TensorList{a[0] * a[0].data<float>()[0]}; }}) {
    const std::string e = error_of([&] { compile(f)({x}); });
    EXPECT_TRUE(contains(e, "NotImplementedError: compile: the function looks at the value of a tensor")) << e;
    EXPECT_FALSE(is_compiling());
    EXPECT_EQ(x.sum().item<float>(), 3.0f) << "outside it is allowed again";
  }
}

TEST(Compile, AnExceptionLeavesNothingBehind) {
  Tensor state = filled({3}, 1);
  bool fail = true;
  Compiled f = compile([&](const TensorList& a) {
    state.add_(1);
    if (fail) throw std::runtime_error("from the function");
    return TensorList{matmul(a[0], a[0])};
  });
  EXPECT_THROW(f({filled({2, 2}, 1)}), std::runtime_error);
  EXPECT_FALSE(is_compiling());
  EXPECT_EQ(f.function().recordings(), 0u);
  EXPECT_EQ(values(state), std::vector<float>(3, 2)) << "what ran has run";
  fail = false;
  EXPECT_THROW(f({filled({2, 3}, 1)}), Error);  // of an op
  EXPECT_FALSE(is_compiling());
  for (int call = 0; call < 2; ++call) EXPECT_EQ(values(f({filled({2, 2}, 1)})[0]), std::vector<float>(4, 2));
  EXPECT_EQ(values(state), std::vector<float>(3, 5));
}

TEST(Compile, IndicesAreCheckedAtEveryReplay) {
  Compiled f = compile([](const TensorList& a) { return TensorList{a[0].index_select(0, a[1]) * 2}; });
  const Tensor table = random_tensor({5, 3});
  auto at = [](int64_t i) { return tensor(std::vector<int64_t>{i, 0}, {2}); };
  f({table, at(4)});
  EXPECT_EQ(values(f({table, at(2)})[0]), values(table.index_select(0, at(2)) * 2));
  const std::string e = error_of([&] { f({table, at(5)}); });
  EXPECT_TRUE(contains(e, "IndexError: index_select: index 5 is out of range for dim 0 of size 5")) << e;
  EXPECT_EQ(values(f({table, at(1)})[0]), values(table.index_select(0, at(1)) * 2)) << "and works afterwards";
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
