// Custom functions, gradcheck, anomaly detection and the profiler.
#include <fstream>
#include <sstream>

#include "thixo/autograd.h"
#include "thixo/func.h"
#include "thixo/profiler.h"
#include "transform/test_util.h"

namespace thixo {
namespace {

using autograd::Function;
using autograd::FunctionContext;

struct Exp final : Function {
  std::string name() const override { return "Exp"; }
  TensorList forward(FunctionContext& ctx, const TensorList& x) override {
    Tensor y = x[0].exp();
    ctx.save_for_backward({y});
    return {y};
  }
  TensorList backward(FunctionContext& ctx, const TensorList& g) override { return {g[0] * ctx.saved_tensors()[0]}; }
};

/// The gradient is deliberately not that of the value: 10 times the cotangent.
struct TenfoldGrad final : Function {
  bool wrong_count = false;
  std::string name() const override { return "TenfoldGrad"; }
  TensorList forward(FunctionContext& ctx, const TensorList& x) override {
    EXPECT_FALSE(is_grad_enabled());
    ctx.save_for_backward({x[0]});
    Tensor count = x[0].detach() * 0;
    ctx.mark_non_differentiable(count);
    return {x[0] * 1, count};
  }
  TensorList backward(FunctionContext& ctx, const TensorList& g) override {
    EXPECT_TRUE(ctx.needs_input_grad(0));
    if (wrong_count) return {};
    return {g[0] * 10};
  }
};

/// Writes its input in place.
struct DoubleIt final : Function {
  bool returned = true;
  std::string name() const override { return "DoubleIt"; }
  TensorList forward(FunctionContext& ctx, const TensorList& x) override {
    Tensor t = x[0];
    t.mul_(2);
    ctx.mark_dirty(t);
    return {returned ? t : t * 1};
  }
  TensorList backward(FunctionContext&, const TensorList& g) override { return {g[0] * 2}; }
};

/// Its gradient has a shape of its own.
struct Misshapen final : Function {
  std::string name() const override { return "Misshapen"; }
  TensorList forward(FunctionContext&, const TensorList& x) override { return {x[0] * 1}; }
  TensorList backward(FunctionContext&, const TensorList&) override { return {f64({1, 2, 3})}; }
};

/// The gradient lacks the conjugate: right for the real part alone.
struct HalfConjugate final : Function {
  std::string name() const override { return "HalfConjugate"; }
  TensorList forward(FunctionContext&, const TensorList& x) override { return {x[0].conj()}; }
  TensorList backward(FunctionContext&, const TensorList& g) override { return {g[0]}; }
};

TEST(Custom, ForwardAndBackward) {
  Tensor x = leaf({1, 2});
  Tensor y = autograd::apply(make_ref<Exp>(), {x})[0];
  EXPECT_TRUE(y.requires_grad());
  (y * 2).sum().backward();
  expect_values(x.grad(), {2 * std::exp(1), 2 * std::exp(2)});
  EXPECT_FALSE(autograd::apply(make_ref<Exp>(), {f64({1})})[0].requires_grad());
}

TEST(Custom, HigherOrdersGoThroughTheSavedResult) {
  Tensor x = leaf({0.5});
  Tensor g = autograd::apply(make_ref<Exp>(), {x})[0];
  for (int i = 0; i < 3; ++i) g = autograd::grad({g.sum()}, {x}, {.create_graph = true})[0];
  expect_values(g, {std::exp(0.5)});
  EXPECT_TRUE(autograd::gradcheck([](const TensorList& v) { return autograd::apply(make_ref<Exp>(), v); }, {x}));
  EXPECT_TRUE(autograd::gradgradcheck([](const TensorList& v) { return autograd::apply(make_ref<Exp>(), v); }, {x}));
}

TEST(Custom, ItsGradientIsTaken) {
  Tensor x = leaf({1, 2});
  TensorList out = autograd::apply(make_ref<TenfoldGrad>(), {x});
  EXPECT_FALSE(out[1].requires_grad());
  out[0].sum().backward();
  expect_values(x.grad(), {10, 10});
  expect_values(
      func::grad([](const Tensor& t) { return autograd::apply(make_ref<TenfoldGrad>(), {t})[0].sum(); })(f64({1, 2})),
      {10, 10});
}

TEST(Custom, NodesAreShownAsPyTorchNamesThem) {
  const Tensor x = ones({2}).requires_grad_();
  EXPECT_EQ((x + 1).grad_fn_name(), "AddBackward0");
  EXPECT_EQ(x.index_select(0, ones({1}).to(int64)).grad_fn_name(), "IndexSelectBackward0");
  EXPECT_EQ(autograd::apply(make_ref<Exp>(), {x})[0].grad_fn_name(), "ExpBackward");
  EXPECT_EQ(x.grad_fn_name(), "");
  EXPECT_EQ((x * 2).str(), "tensor([2., 2.], grad_fn=<MulBackward0>)");
}

TEST(Custom, Errors) {
  Tensor x = leaf({1, 2});
  auto f = make_ref<TenfoldGrad>();
  f->wrong_count = true;
  Tensor y = autograd::apply(f, {x})[0].sum();
  EXPECT_EQ(headline_of([&] { y.backward(); }), "ValueError: TenfoldGrad: backward returned 0 gradients for 1 inputs");
  Tensor z = autograd::apply(make_ref<Exp>(), {x})[0];
  z.sum().backward();
  EXPECT_EQ(headline_of([&] { z.sum().backward(); }),
            "ValueError: backward: the saved values of Exp were freed by an earlier backward");
}

TEST(Custom, WhatItWroteInPlaceHasItsHistory) {
  Tensor x = leaf({1, 2, 3});
  Tensor y = x * 3, part = y.slice(0, 1, 3);
  const Tensor out = autograd::apply(make_ref<DoubleIt>(), {part})[0];
  EXPECT_TRUE(out.is_same(part));
  expect_values(y, {3, 12, 18});
  (y * y).sum().backward();
  expect_values(x.grad(), {2 * 3 * 3, 2 * 12 * 6, 2 * 18 * 6});
  EXPECT_EQ(headline_of([&] { autograd::apply(make_ref<DoubleIt>(), {x}); }),
            "ValueError: DoubleIt: a leaf that requires grad, or a view of one, was marked dirty");
  auto lost = make_ref<DoubleIt>();
  lost->returned = false;
  EXPECT_EQ(headline_of([&] { autograd::apply(lost, {x * 1}); }),
            "ValueError: DoubleIt: an input was marked dirty but is not among the results");
}

TEST(Custom, AGradientOfAnotherShapeIsTheFunctionsFault) {
  Tensor x = leaf({1, 2});
  const Tensor y = autograd::apply(make_ref<Misshapen>(), {x})[0];
  const std::string text = error_of([&] { y.sum().backward(); });
  EXPECT_NE(text.find("Misshapen: backward returned a gradient of shape [3] for input 0 of shape [2]"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("custom_test.cpp:"), std::string::npos) << text;
}

TEST(Gradcheck, PassesAndFails) {
  Tensor a = leaf({0.3, -1.2, 2}), b = leaf({1.5, 0.7, -0.2});
  auto f = [](const TensorList& x) { return TensorList{(x[0] * x[1]).exp() + x[0].tanh()}; };
  EXPECT_TRUE(autograd::gradcheck(f, {a, b}));
  EXPECT_TRUE(autograd::gradgradcheck(f, {a, b}));
  const std::string text = error_of([&] {
    autograd::gradcheck([](const TensorList& x) { return TensorList{autograd::apply(make_ref<TenfoldGrad>(), x)[0]}; },
                        {a});
  });
  EXPECT_NE(text.find("gradcheck: a gradient differs from the difference of values"), std::string::npos) << text;
  EXPECT_NE(text.find("d output 0[0] / d input 0[0]"), std::string::npos) << text;
  EXPECT_NE(text.find("gradient   10"), std::string::npos) << text;
  EXPECT_EQ(headline_of([&] { autograd::gradcheck(f, {f64({1}), f64({1})}); }),
            "ValueError: gradcheck: no input requires grad");
}

TEST(Gradcheck, TakesComplexNumbers) {
  Tensor z = f64({0.5, -0.75, 2}) + f64({-1.25, 0.5, 0.25}) * Scalar(std::complex(0.0, 1.0)), a = leaf({0.3, 1.2, -2});
  z.requires_grad_();
  auto f = [](const TensorList& x) {
    return TensorList{x[0] * x[1].exp() / x[1], (x[1] * x[1].conj()).imag() + x[1].abs() * x[0], x[1].real().sin()};
  };
  EXPECT_TRUE(autograd::gradcheck(f, {a, z}));
  EXPECT_TRUE(autograd::gradgradcheck(f, {a, z}));
  // The parts of a gradient belong to those of the operand: |z|^2 grows along z.
  const Tensor g = autograd::grad({(z * z.conj()).real().sum()}, {z})[0];
  EXPECT_TRUE((g - z * 2).abs().max().item<double>() < 1e-15);
  const std::string text = error_of([&] {
    autograd::gradcheck([](const TensorList& x) { return autograd::apply(make_ref<HalfConjugate>(), x); }, {z});
  });
  EXPECT_NE(text.find("d output 0[0].imag / d input 0[0].imag"), std::string::npos) << text;
  EXPECT_EQ(headline_of([&] { autograd::gradcheck(f, {a, z.to(complex64).detach().requires_grad_()}); }),
            "DTypeError: gradcheck: input 1 requires grad but is not complex128");
  EXPECT_EQ(headline_of([&] { (z * z).sum().backward(); }),
            "ValueError: backward: grad can be implicitly created only for real scalar outputs");
}

TEST(Anomaly, NamesTheFirstOp) {
  Tensor x = leaf({0, 1});
  {
    autograd::DetectAnomaly guard;
    EXPECT_EQ(headline_of([&] { ((x + 1).log() / x).sum(); }),
              "ValueError: div: the first nan or inf comes from here: its operands are finite");
  }
  Tensor y = x.sqrt().sum();  // its derivative at 0 is not finite
  autograd::DetectAnomaly guard;
  const std::string text = error_of([&] { y.backward(); });
  EXPECT_NE(text.find("ValueError: backward of sqrt: the first nan or inf comes from here"), std::string::npos) << text;
  EXPECT_NE(text.find("custom_test.cpp:"), std::string::npos) << text;
}

TEST(Profiler, ChangesNoRuleOfInPlaceOps) {
  Tensor x = leaf({1, 2, 3});
  Tensor part;
  {
    NoGrad off;
    part = x.slice(0, 0, 2);  // no history: writing to it is not the tape's business
  }
  part.mul_(2);
  Profiler p;
  part.mul_(2);
  expect_values(x.detach(), {4, 8, 3});
}

TEST(Profiler, TableAndTrace) {
  Tensor x = leaf({1, 2, 3});
  Profiler p;
  (x * x).sum().backward();
  p.stop();
  const size_t seen = p.events().size();
  (x * x).sum();
  EXPECT_EQ(p.events().size(), seen);
  const std::string table = p.table();
  EXPECT_NE(table.find("mul "), std::string::npos) << table;
  EXPECT_NE(table.find("(backward of mul)"), std::string::npos) << table;
  int64_t before = INT64_MAX;
  for (const Profiler::Event& e : p.events()) {
    EXPECT_GE(e.total_ns, e.self_ns);
    before = std::min(before, e.start_ns);
  }
  EXPECT_GE(before, 0);
  const std::string path = testing::TempDir() + "thixo_trace.json";
  p.export_chrome_trace(path);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str().find("{\"displayTimeUnit\": \"ns\", \"traceEvents\": ["), 0U);
  EXPECT_NE(text.str().find("\"name\": \"mul\", \"cat\": \"forward\""), std::string::npos);
  EXPECT_NE(text.str().find("f64[3], f64[3]"), std::string::npos);
}

}  // namespace
}  // namespace thixo
