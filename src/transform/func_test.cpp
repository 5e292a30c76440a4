// Functions of functions, and how they nest.
#include "thixo/func.h"

#include <algorithm>

#include "thixo/autograd.h"
#include "transform/test_util.h"

namespace thixo {
namespace {

using func::Fn;

Tensor cube_sum(const Tensor& x) { return (x * x * x).sum(); }

TEST(Func, Grad) {
  Tensor x = f64({1, 2});
  expect_values(func::grad(cube_sum)(x), {3, 12});
  const auto both = func::grad_and_value(cube_sum)(TensorList{x});
  expect_values(both[0], {9});
  expect_values(both[1], {3, 12});
  EXPECT_FALSE(both[1].requires_grad());
}

TEST(Func, GradOfGradOfGrad) {
  Fn f = [](const Tensor& x) { return x * x * x * x; };
  EXPECT_DOUBLE_EQ(func::grad(func::grad(func::grad(f)))(f64(2)).item(), 48);
}

TEST(Func, PerturbationsDoNotMix) {
  // d/dx (x * d/dy (x + y)) = 1, not 2.
  Fn f = [](const Tensor& x) { return x * func::grad([&](const Tensor& y) { return x + y; })(f64(1)); };
  EXPECT_DOUBLE_EQ(func::grad(f)(f64(1)).item(), 1);
  // d/dx (x * d/dy (x * y)) = 2x
  Fn h = [](const Tensor& x) { return x * func::grad([&](const Tensor& y) { return x * y; })(f64(1)); };
  EXPECT_DOUBLE_EQ(func::grad(h)(f64(3)).item(), 6);
}

TEST(Func, GradKeepsTheOuterTape) {
  Tensor w = leaf({2, 3});
  Tensor x = f64({1, 2});
  Tensor g = func::grad([&](const Tensor& t) { return (t * t * w).sum(); })(x);  // 2 x w
  EXPECT_TRUE(g.requires_grad());
  g.sum().backward();
  expect_values(w.grad(), {2, 4});
}

TEST(Func, NoGradInsideAndOutside) {
  Tensor x = f64({1, 2});
  Fn f = [](const Tensor& t) {
    Tensor c;
    {
      NoGrad guard;
      c = t * t;
    }
    return (c * t).sum();
  };
  expect_values(func::grad(f)(x), {1, 4});
  NoGrad guard;
  expect_values(func::grad(cube_sum)(x), {3, 12});
}

TEST(Func, Vjp) {
  Tensor x = f64({1, 2}), y = f64({3, 4});
  auto v = func::vjp([](const Tensor& a, const Tensor& b) { return a * b; }, {x, y});
  expect_values(v.outputs[0], {3, 8});
  const auto g = v.pullback(TensorList{f64({1, 10})});
  expect_values(g[0], {3, 40});
  expect_values(g[1], {1, 20});
  expect_values(v.pullback(TensorList{f64({2, 0})})[0], {6, 0});  // again
}

TEST(Func, Jvp) {
  Tensor x = f64({1, 2}), t = f64({1, 10});
  auto r = func::jvp(cube_sum, {x}, {t});
  expect_values(r.outputs[0], {9});
  expect_values(r.tangents[0], {3 + 120});
  // jvp(grad) is the Hessian times t.
  auto h = func::jvp(func::grad(cube_sum), {x}, {t});
  expect_values(h.tangents[0], {6, 120});
  // grad(jvp)
  Fn d = [&](const Tensor& a) { return func::jvp(cube_sum, {a}, {t}).tangents[0]; };
  expect_values(func::grad(d)(x), {6, 120});
  // jvp(jvp)
  auto second = func::jvp(d, {x}, {t});
  expect_values(second.tangents[0], {6 + 1200});
}

TEST(Func, JvpOfStructuredOps) {
  Tensor x = f64({1, 2, 3, 4}, {2, 2}), t = f64({1, 0, 0, 2}, {2, 2});
  Fn f = [](const Tensor& a) { return softmax(a, 1).select(0, 1).sum() + a.select(1, 0).exp().sum(); };
  const double eps = 1e-6;
  const double want = (f(x + t * eps).item() - f(x - t * eps).item()) / (2 * eps);
  EXPECT_NEAR(func::jvp(f, {x}, {t}).tangents[0].item(), want, 1e-8);
}

TEST(Func, Vmap) {
  Tensor x = f64({1, 2, 3, 4, 5, 6}, {3, 2}), w = f64({10, 100});
  Fn f = [](const Tensor& a, const Tensor& b) { return (a * b).sum(); };
  expect_values(func::vmap(f, {.in_dims = {0, func::kNoBatch}})(TensorList{x, w})[0], {210, 430, 650});
  expect_values(func::vmap(f, {.in_dims = {1, func::kNoBatch}})(TensorList{x, f64({1, 1, 1})})[0], {9, 12});
  // A result that does not depend on the batch is repeated.
  Tensor same = func::vmap([&](const Tensor&) { return w; })(x);
  EXPECT_EQ(shape_str(same.shape()), "[3, 2]");
  // out_dims
  Tensor moved = func::vmap([](const Tensor& a) { return a * 2; }, {.out_dims = {1}})(x);
  expect_values(moved.clone(contiguous_format), {2, 6, 10, 4, 8, 12});
  EXPECT_EQ(shape_str(moved.shape()), "[2, 3]");
  // chunks
  expect_values(func::vmap(f, {.in_dims = {0, func::kNoBatch}, .chunk_size = 2})(TensorList{x, w})[0], {210, 430, 650});
}

TEST(Func, VmapAlignsRanks) {
  Tensor x = f64({1, 2, 3}), m = f64({1, 2, 3, 4}, {2, 2});
  Tensor y = func::vmap([&](const Tensor& a) { return a + m; })(x);  // 0-d examples with a matrix
  EXPECT_EQ(shape_str(y.shape()), "[3, 2, 2]");
  expect_values(y, {2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7});
  // A 0-d example is as weak in promotion as a 0-d tensor.
  Tensor f = tensor(std::vector<float>{1, 2}, {2});
  EXPECT_EQ(func::vmap([&](const Tensor& a) { return a + f; })(x).dtype(), float32);
}

TEST(Func, VmapErrorsSpeakOfAnExample) {
  const auto says = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const auto view = func::vmap([](const Tensor& a) { return a.view({3}); });
  EXPECT_NE(says([&] { view(ones({4, 2})); }).find("shape [3] does not fit 2 elements"), std::string::npos);
  EXPECT_NE(says([&] { func::vmap(view)(ones({5, 4, 2})); }).find("does not fit 2 elements"), std::string::npos);
  const auto random = func::vmap([](const Tensor& a) { return rand_like(a); });
  EXPECT_NE(says([&] { random(ones({4, 2})); }).find("rand_like is random"), std::string::npos);
}

TEST(Func, VmapVmap) {
  Tensor x = f64({1, 2}), y = f64({10, 20, 30});
  Fn outer = func::vmap([](const Tensor& a, const Tensor& b) { return a * b; }, {.in_dims = {func::kNoBatch, 0}});
  Tensor r = func::vmap(outer, {.in_dims = {0, func::kNoBatch}})(TensorList{x, y})[0];
  EXPECT_EQ(shape_str(r.shape()), "[2, 3]");
  expect_values(r, {10, 20, 30, 20, 40, 60});
}

TEST(Func, VmapGradAndGradVmap) {
  Tensor x = f64({1, 2, 3, 4}, {2, 2});
  expect_values(func::vmap(func::grad(cube_sum))(x), {3, 12, 27, 48});
  Fn g = func::grad([](const Tensor& a) { return func::vmap(cube_sum)(a).sum(); });
  expect_values(g(x), {3, 12, 27, 48});
  Fn hess = func::vmap(func::hessian(cube_sum));
  expect_values(hess(x), {6, 0, 0, 12, 18, 0, 0, 24});
}

TEST(Func, VmapOfTheOrdinaryTape) {
  Tensor w = leaf({2, 3});
  Tensor x = f64({1, 2, 3, 4}, {2, 2});
  Tensor y = func::vmap([&](const Tensor& a) { return (a * w).sum(); })(x);
  y.sum().backward();
  expect_values(w.grad(), {4, 6});
  // backward() inside vmap
  Tensor per = func::vmap([](const Tensor& a) {
    Tensor t = a.detach();
    t.requires_grad_();
    (t * t).sum().backward();
    return t.grad();
  })(x);
  expect_values(per, {2, 4, 6, 8});
}

TEST(Func, Jacobians) {
  Fn f = [](const Tensor& a) { return a * a.sum(); };
  Tensor x = f64({1, 2});
  const std::vector<double> want = {4, 1, 2, 5};
  expect_values(func::jacrev(f)(x), want);
  expect_values(func::jacfwd(f)(x), want);
  expect_values(func::hessian(cube_sum)(x), {6, 0, 0, 12});
  expect_values(func::jacrev(func::jacfwd(cube_sum))(x), {6, 0, 0, 12});
}

TEST(Func, IntegersHaveNoGradient) {
  const Tensor i = ones({2}).to(int64), x = f64({1, 2});
  const Fn f = [](const Tensor& a, const Tensor& b) { return (a * b).sum(); };
  EXPECT_THROW(func::grad(f, {1})(TensorList{x, i}), Error);
  EXPECT_THROW(func::vjp(f, {x, i}), Error);
  EXPECT_THROW(func::jacrev(f, {1})(TensorList{x, i}), Error);
  EXPECT_THROW(func::jacfwd(f, {1})(TensorList{x, i}), Error);
  expect_values(func::grad(f)(TensorList{x, i})[0], {1, 1});
}

TEST(Func, JacobiansOfAllResultsByAllInputs) {
  Fn f = [](const TensorList& in) { return TensorList{in[0] * in[1], in[0].sum()}; };
  const TensorList in = {f64({1, 2}), f64({3, 4})};
  for (const Fn& jacobian : {func::jacrev(f, {0, -1}), func::jacfwd(f, {0, -1})}) {
    const TensorList blocks = jacobian(in);
    ASSERT_EQ(blocks.size(), 4u);
    expect_values(blocks[0], {3, 0, 0, 4});
    expect_values(blocks[1], {1, 0, 0, 2});
    expect_values(blocks[2], {1, 1});
    expect_values(blocks[3], {0, 0});
  }
  const TensorList h = func::hessian([](const Tensor& a, const Tensor& b) { return (a * a * b).sum(); }, {0, 1})(in);
  ASSERT_EQ(h.size(), 4u);
  expect_values(h[0], {6, 0, 0, 8});
  expect_values(h[1], {2, 0, 0, 4});
  expect_values(h[2], {2, 0, 0, 4});
  expect_values(h[3], {0, 0, 0, 0});
  EXPECT_THROW(func::jacrev(f, {2})(in), Error);
}

TEST(Func, InPlaceInsideTransforms) {
  Tensor x = f64({1, 2, 3, 4}, {2, 2});
  Fn f = [](const Tensor& a) {
    Tensor y = a * 1;
    y.select(0, 0).mul_(10);
    return (y * y).sum();
  };
  Tensor v = f64({1, 2});
  expect_values(func::grad(f)(v), {200, 4});
  expect_values(func::vmap(f)(x), {104, 916});
  expect_values(func::vmap(func::grad(f))(x), {200, 4, 600, 8});
  expect_values(func::jvp(f, {v}, {f64({1, 1})}).tangents[0], {204});
}

TEST(Func, RandomnessUnderVmap) {
  Tensor x = zeros({3, 4}, {.dtype = float64});
  Fn f = [](const Tensor& a) { return a + rand(Shape{4}, {.dtype = float64}); };
  EXPECT_EQ(headline_of([&] { func::vmap(f)(x); }),
            "ValueError: vmap: rand is random, and it is not said whether the examples should differ");
  Tensor same = func::vmap(f, {.randomness = "same"})(x);
  expect_close(same.select(0, 0), same.select(0, 2));
  Tensor different = func::vmap(f, {.randomness = "different"})(x);
  EXPECT_GT((different.select(0, 0) - different.select(0, 2)).abs().sum().item(), 1e-3);
  Fn like = [](const Tensor& a) { return rand_like(a); };
  Tensor d = func::vmap(func::vmap(like, {.randomness = "different"}), {.randomness = "different"})(x);
  EXPECT_EQ(shape_str(d.shape()), "[3, 4]");
  std::vector<double> v = d.to_vector<double>();
  std::sort(v.begin(), v.end());
  EXPECT_EQ(std::unique(v.begin(), v.end()), v.end());
}

TEST(Func, Errors) {
  EXPECT_EQ(headline_of([] { func::grad([](const Tensor& a) { return a * 2; })(f64({1, 2})); }),
            "ValueError: grad: the function must return one element without dims");
  EXPECT_EQ(headline_of([] { func::vmap(cube_sum, {.in_dims = {3}})(f64({1, 2})); }),
            "IndexError: vmap: in_dims has 3 for an input of rank 1");
  EXPECT_EQ(
      headline_of([] {
        func::vmap([](const Tensor& a, const Tensor& b) { return a + b; })(TensorList{f64({1, 2}), f64({1, 2, 3})});
      }),
      "ShapeError: vmap: inputs have batches of different sizes, 2 and 3");
  Tensor outside = f64({0, 0});
  EXPECT_EQ(
      headline_of([&] { func::vmap([&](const Tensor& a) { return outside.add_(a); })(f64({1, 2, 3, 4}, {2, 2})); }),
      "ValueError: add: an in-place op writes a value of this transform (grad, vmap, jvp) into a tensor made without "
      "it");
  EXPECT_EQ(headline_of([&] { func::grad(cube_sum, {})(outside); }), "ValueError: grad: argnums is empty");
  EXPECT_EQ(headline_of([&] { func::grad(cube_sum, {1})(outside); }),
            "IndexError: grad: argnums has 1 but the function got 1 inputs");
  EXPECT_EQ(headline_of([&] { func::jacrev(cube_sum, {2})(outside); }),
            "IndexError: jacrev: argnums has 2 but the function got 1 inputs");
  EXPECT_EQ(headline_of([&] { func::hessian(cube_sum, {-2})(outside); }),
            "IndexError: jacfwd: argnums has -2 but the function got 1 inputs");
  EXPECT_EQ(headline_of([&] { func::grad([](const Tensor& a, const Tensor& b) { return (a * b).sum(); })(outside); }),
            "ValueError: func: the function takes 2 tensors but got 1");
  const func::Vjp v = func::vjp([](const Tensor& a) { return a * 2; }, {f64({1, 2, 3})});
  EXPECT_EQ(headline_of([&] { v.pullback(f64({1})); }),
            "ShapeError: vjp: result 0 has shape [3] but its gradient has []");
  expect_values(v.pullback(f64({1, 2, 3})), {2, 4, 6});
  Tensor kept;
  func::vmap([&](const Tensor& a) { return kept = a; })(f64({1, 2}));
  EXPECT_NE(headline_of([&] {
              func::vmap([&](const Tensor& a) { return a + kept; })(f64({1, 2}));
            }).find("after that transform ended"),
            std::string::npos);
}

TEST(Func, ATensorThatOutlivesItsTransformSaysSo) {
  Tensor kept;
  auto keep = [&](const Tensor& a) {
    kept = a;
    return (a * a).sum();
  };
  const std::string want =
      "ValueError: a tensor made inside a transform (grad, vmap, jvp) is used after that transform ended";
  auto uses = [&] {
    EXPECT_EQ(headline_of([&] { kept + 1; }), want);
    EXPECT_EQ(headline_of([&] { kept.add_(1); }), want);
    NoGrad guard;
    EXPECT_EQ(headline_of([&] { kept.sum(); }), want);
    Tensor out = zeros(kept.shape(), {.dtype = float64});
    EXPECT_EQ(headline_of([&] { add_out(out, kept, kept); }), want);
  };
  func::grad(keep)(f64({1, 2}));
  uses();
  func::vmap(keep)(f64({1, 2, 3, 4}, {2, 2}));
  uses();
}

TEST(Func, PlacesOfExtremesUnderVmap) {
  const Tensor x = arange(24).to(float32).reshape({2, 3, 4});
  auto last = [](const Tensor& a) { return a.argmax(-1); };
  expect_values(func::vmap(last)(x), {3, 3, 3, 3, 3, 3});
  expect_values(func::vmap([](const Tensor& a) { return a.argmin(1); })(x), {0, 0, 0, 0, 0, 0});
  const Tensor deep = arange(120).to(float32).reshape({2, 3, 4, 5});
  for (int dim = 0; dim < 3; ++dim) {
    auto f = [&](const Tensor& a) { return a.argmax(dim); };
    expect_close(func::vmap(f, {.in_dims = {1}})(deep),
                 deep.argmax(dim == 0 ? 0 : dim + 1).movedim(dim == 0 ? 0 : 1, 0));
  }
}

TEST(Func, OutDimsMayBeNoneForWhatAllExamplesShare) {
  const Tensor shared = f64({7, 8});
  auto f = [&](const TensorList& x) { return TensorList{x[0] * 2, shared}; };
  const TensorList out = func::vmap(f, {.out_dims = {0, func::kNoBatch}})(TensorList{f64({1, 2, 3})});
  expect_values(out[0], {2, 4, 6});
  EXPECT_TRUE(out[1].is_same(shared));
  EXPECT_EQ(headline_of([&] { func::vmap(f, {.out_dims = {func::kNoBatch, 0}})(TensorList{f64({1, 2, 3})}); }),
            "ValueError: vmap: out_dims has None for result 0, but its examples differ");
}

TEST(Func, IndicesOfCompositesAreCheckedUnderVmap) {
  const Tensor t = tensor(std::vector<int64_t>{0, 3}, {2});
  EXPECT_EQ(headline_of([&] { func::vmap([](const Tensor& a) { return one_hot(a, 3); })(t); }),
            "IndexError: one_hot: index 3 is out of range for dim 0 of size 3");
}

TEST(Func, GradientsOfAPullbackMustFit) {
  const func::Vjp v = func::vjp([](const Tensor& x) { return x * x; }, {f64({1, 2})});
  EXPECT_EQ(headline_of([&] { v.pullback(TensorList{f64({1, 2, 3})}); }),
            "ShapeError: vjp: result 0 has shape [2] but its gradient has [3]");
}

}  // namespace
}  // namespace thixo
