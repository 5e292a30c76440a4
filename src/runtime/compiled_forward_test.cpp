// Compiled functions with a backward outside of them: it is compiled too, and the tape is as in eager.
#include <gtest/gtest.h>

#include "runtime/test_problem.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"
#include "thixo/func.h"
#include "thixo/generator.h"

namespace thixo {
namespace {

using test::contains;
using test::error_of;
using test::filled;
using test::Problem;
using test::random_tensor;
using test::values;

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

}  // namespace
}  // namespace thixo
