#include <atomic>
#include <thread>

#include "thixo/autograd.h"
#include "transform/node.h"
#include "transform/test_util.h"

namespace thixo {
namespace {

TEST(Backward, ProductAndSum) {
  Tensor a = leaf({2, 3}), b = leaf({5, 7});
  Tensor y = (a * b).sum();
  EXPECT_TRUE(y.requires_grad());
  EXPECT_FALSE(y.is_leaf());
  y.backward();
  expect_values(a.grad(), {5, 7});
  expect_values(b.grad(), {2, 3});
  EXPECT_FALSE(a.grad().requires_grad());
}

TEST(Backward, AccumulatesOverCalls) {
  Tensor a = leaf({1, 2});
  (a * 3).sum().backward();
  Tensor first = a.grad();
  (a * 3).sum().backward();
  expect_values(a.grad(), {6, 6});
  EXPECT_TRUE(a.grad().is_same(first));
  a.zero_grad();
  EXPECT_FALSE(a.grad().defined());
}

TEST(Backward, SharedUseAddsUp) {
  Tensor a = leaf(3);
  Tensor b = a * a;
  (b + b * a).backward();  // a^2 + a^3
  expect_values(a.grad(), {6 + 27});
}

TEST(Backward, BroadcastOperandsGetSums) {
  Tensor a = leaf({1, 2, 3}, {3, 1}), b = leaf({10, 20}), c = leaf(2);
  (a * b * c).sum().backward();
  expect_values(a.grad(), {60, 60, 60});
  EXPECT_EQ(shape_str(a.grad().shape()), "[3, 1]");
  expect_values(b.grad(), {12, 12});
  expect_values(c.grad(), {180});
}

TEST(Backward, MixedDtypesGiveGradientsOfTheOperandsDtype) {
  Tensor a = tensor(std::vector<float>{1, 2}, {2});
  a.requires_grad_();
  Tensor b = leaf({3, 4});
  Tensor y = a * b;
  EXPECT_EQ(y.dtype(), float64);
  y.sum().backward();
  EXPECT_EQ(a.grad().dtype(), float32);
  expect_values(a.grad(), {3, 4});
}

TEST(Backward, IntegersTakeNoPart) {
  Tensor a = leaf({1, 2});
  Tensor n = tensor(std::vector<int64_t>{3, 4}, {2});
  (a * n).sum().backward();
  expect_values(a.grad(), {3, 4});
  EXPECT_FALSE((a < 2).requires_grad());
}

TEST(Backward, HigherOrders) {
  Tensor x = leaf({1, 2});
  Tensor y = (x * x * x * x).sum();
  Tensor g1 = autograd::grad({y}, {x}, {.create_graph = true})[0];
  expect_values(g1, {4, 32});
  Tensor g2 = autograd::grad({g1.sum()}, {x}, {.create_graph = true})[0];
  expect_values(g2, {12, 48});
  Tensor g3 = autograd::grad({g2.sum()}, {x}, {.create_graph = true})[0];
  expect_values(g3, {24, 48});
  Tensor g4 = autograd::grad({g3.sum()}, {x})[0];
  expect_values(g4, {24, 24});
}

TEST(Backward, ThirdOrderOfSavedResults) {
  // tanh and exp save their results.
  Tensor x = leaf({0.3, -0.7});
  Tensor g = x.tanh();
  for (int i = 0; i < 3; ++i) g = autograd::grad({g.sum()}, {x}, {.create_graph = true})[0];
  std::vector<double> want;
  for (double v : {0.3, -0.7}) {
    const double t = std::tanh(v), s = 1 - t * t;
    want.push_back(-2 * s * s + 4 * t * t * s);
  }
  expect_values(g, want);
  Tensor e = x.exp();
  for (int i = 0; i < 3; ++i) e = autograd::grad({e.sum()}, {x}, {.create_graph = true})[0];
  expect_values(e, {std::exp(0.3), std::exp(-0.7)});
}

TEST(Backward, GeluSecondOrder) {
  Tensor x = leaf({0.5, -1});
  Tensor g = autograd::grad({gelu(x).sum()}, {x}, {.create_graph = true})[0];
  Tensor h = autograd::grad({g.sum()}, {x})[0];
  std::vector<double> want;
  for (double v : {0.5, -1.0}) want.push_back(std::exp(-v * v / 2) / std::sqrt(2 * M_PI) * (2 - v * v));
  expect_values(h, want);
}

TEST(Backward, SecondBackwardNeedsRetainGraph) {
  Tensor a = leaf({1, 2});
  Tensor y = (a * a).sum();
  y.backward({}, /*retain_graph=*/true);
  y.backward();
  expect_values(a.grad(), {4, 8});
  EXPECT_EQ(headline_of([&] { y.backward(); }),
            "ValueError: backward: the saved values of mul were freed by an earlier backward");
}

TEST(Backward, Errors) {
  Tensor a = leaf({1, 2});
  EXPECT_EQ(headline_of([&] { (a * 2).backward(); }),
            "ValueError: backward: grad can be implicitly created only for scalar outputs");
  EXPECT_EQ(
      headline_of([&] { f64(1).backward(); }),
      "ValueError: backward: element 0 of the outputs does not require grad and was not made from tensors that do");
  EXPECT_EQ(headline_of([&] { (a * 2).backward(f64({1, 2, 3})); }),
            "ShapeError: backward: element 0 of the outputs and its gradient have different shapes");
  EXPECT_EQ(headline_of([&] { autograd::grad({(a * 2).sum()}, {f64({1, 2})}); }),
            "ValueError: grad: element 0 of the inputs does not require grad");
  Tensor other = leaf({1, 2});
  EXPECT_EQ(headline_of([&] { autograd::grad({(a * 2).sum()}, {other}); }),
            "ValueError: grad: the outputs do not depend on element 0 of the inputs");
  EXPECT_FALSE(autograd::grad({(a * 2).sum()}, {other}, {.allow_unused = true})[0].defined());
  expect_values(autograd::grad({(a * 2).sum()}, {other}, {.materialize_grads = true})[0], {0, 0});
  Tensor i = tensor(std::vector<int64_t>{1}, {1});
  EXPECT_EQ(headline_of([&] { i.requires_grad_(); }),
            "DTypeError: requires_grad_: only floating-point and complex tensors can require gradients");
}

TEST(Backward, GradOfInnerValues) {
  Tensor a = leaf(2);
  Tensor b = a * a, c = b * b;
  TensorList g = autograd::grad({c}, {b, a});
  expect_values(g[0], {8});
  expect_values(g[1], {32});
  EXPECT_FALSE(a.grad().defined());
  expect_values(autograd::grad({a}, {a})[0], {1});
}

TEST(Backward, InputsLimitWhatAccumulates) {
  Tensor a = leaf(2), b = leaf(3);
  autograd::backward({a * b}, {}, {.inputs = {a}});
  expect_values(a.grad(), {3});
  EXPECT_FALSE(b.grad().defined());
}

TEST(Backward, NoGradAndDetach) {
  Tensor a = leaf(2);
  {
    NoGrad guard;
    EXPECT_FALSE((a * a).requires_grad());
    EnableGrad on;
    EXPECT_TRUE((a * a).requires_grad());
  }
  Tensor d = (a * a).detach();
  EXPECT_FALSE(d.requires_grad());
  EXPECT_TRUE(d.is_leaf());
  Tensor y = a * a;
  Tensor same = y.detach();
  same.mul_(10);  // shares data and version
  expect_values(y, {40});
  EXPECT_EQ(y.version(), same.version());
  y.detach_();
  EXPECT_FALSE(y.requires_grad());
}

TEST(Backward, Hooks) {
  Tensor a = leaf({1, 2});
  Tensor b = a * 2;
  int calls = 0;
  b.register_hook([&](const Tensor& g) {
    ++calls;
    return g * 10;
  });
  const int64_t id = a.register_hook([&](const Tensor& g) {
    ++calls;
    return g + 1;
  });
  b.retain_grad();
  (b * a).sum().backward();  // 2 a^2: through b: 10 * 2 * a, direct: b
  EXPECT_EQ(calls, 2);
  expect_values(a.grad(), {20 + 2 + 1, 40 + 4 + 1});
  expect_values(b.grad(), {10, 20});
  a.remove_hook(id);
  a.zero_grad();
  a.sum().backward();
  EXPECT_EQ(calls, 2);
  expect_values(a.grad(), {1, 1});
}

TEST(Backward, LeafHooksChangeWhatIsAskedFor) {
  Tensor a = leaf({1, 2});
  int calls = 0;
  a.register_hook([&](const Tensor& g) {
    ++calls;
    return g * 10;
  });
  expect_values(autograd::grad({(a * 2 + a * 3).sum()}, {a})[0], {50, 50});
  EXPECT_EQ(calls, 1);
  autograd::backward({(a * 2).sum()}, {}, {.inputs = {a}});
  expect_values(a.grad(), {20, 20});
  EXPECT_EQ(calls, 2);
}

TEST(Backward, AnInputMayBeGivenTwice) {
  Tensor a = leaf({1, 2});
  const TensorList g = autograd::grad({(a * 2).sum()}, {a, a});
  expect_values(g[0], {2, 2});
  expect_values(g[1], {2, 2});
  autograd::backward({(a * 2).sum()}, {}, {.inputs = {a, a}});
  expect_values(a.grad(), {2, 2});
}

TEST(Backward, AHookMustKeepShapeAndDtype) {
  const std::string want = "backward: a hook made another gradient than fits its tensor";
  for (bool inner : {false, true}) {
    Tensor a = leaf({1, 2}), b = leaf({1, 2});
    Tensor x = inner ? a * 1 : a, y = inner ? b * 1 : b;
    x.register_hook([](const Tensor&) { return ones({3}, {.dtype = float64}); });
    EXPECT_EQ(headline_of([&] { (x * 2).sum().backward(); }), "ShapeError: " + want);
    y.register_hook([](const Tensor& g) { return g.to(float32); });
    EXPECT_EQ(headline_of([&] { (y * 2).sum().backward(); }), "DTypeError: " + want);
    EXPECT_FALSE(a.grad().defined() || b.grad().defined());
  }
}

TEST(Backward, PostAccumulateHookRunsWhenTheGradientIsComplete) {
  Tensor a = leaf(2), b = leaf(5);
  std::vector<double> seen;
  autograd::register_post_accumulate_grad_hook(a, [&](const Tensor& t) { seen.push_back(t.grad().item()); });
  Tensor c = a * b;  // earlier than the other use of a, so it comes later on the way back
  ((a * 3) + c + a * a).backward();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0], 3 + 5 + 4);
}

TEST(Backward, GradientIsStolenOrCopiedButNeverShared) {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  Tensor y = a + b;
  Tensor g = f64({1, 1});
  y.backward(g);
  EXPECT_FALSE(a.grad().is_same(b.grad()));
  EXPECT_FALSE(a.grad().is_same(g));
  NoGrad guard;
  a.grad().mul_(5);
  expect_values(b.grad(), {1, 1});
  expect_values(g, {1, 1});
}

TEST(Backward, GradientsLieInMemoryAsTheirLeaves) {
  Tensor a = f64({1, 2, 3, 4, 5, 6}, {2, 3}).transpose(0, 1).detach();
  a.requires_grad_();
  a.sum().backward();
  EXPECT_EQ(a.grad().strides(), a.strides());
  EXPECT_FALSE(a.grad().is_view());
  expect_values(a.grad(), {1, 1, 1, 1, 1, 1});
}

TEST(Backward, DeepGraphsDoNotRecurse) {
  Tensor a = leaf(1);
  Tensor y = a;
  for (int i = 0; i < 100000; ++i) y = y + a;
  y.backward();
  expect_values(a.grad(), {100001});
  {
    Tensor z = a;
    for (int i = 0; i < 1000000; ++i) z = -z;
  }  // freed without a backward
  SUCCEED();
}

TEST(Backward, ThreadsAddUpOnOneLeaf) {
  Tensor w = leaf({1, 2, 3});
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) (w * 2).sum().backward();
    });
  }
  for (std::thread& t : threads) t.join();
  expect_values(w.grad(), {4000, 4000, 4000});
}

TEST(Backward, ThreadsInOneGraphGetAnErrorAndNoHarm) {
  for (int round = 0; round < 50; ++round) {
    Tensor w = leaf({0.5, 0.25});
    Tensor h = w * 2;
    for (int d = 0; d < 100; ++d) h = h.tanh();
    std::atomic<int> ready{0}, done{0};
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; ++k) {
      threads.emplace_back([&] {
        for (++ready; ready < 4;) std::this_thread::yield();
        try {
          h.sum().backward();
          ++done;
        } catch (const Error&) {
        }
      });
    }
    for (std::thread& t : threads) t.join();
    EXPECT_LE(done, 1);  // what one has passed through is freed
  }
}

TEST(Backward, HooksSeeTheNodeThatRuns) {
  Tensor a = leaf({1, 2});
  std::string name;
  a.register_hook([&](const Tensor& g) {
    name = running_node() != nullptr ? running_node()->name() : "";
    return g;
  });
  (a * 2).sum().backward();
  EXPECT_EQ(name, "mul");
}

}  // namespace
}  // namespace thixo
