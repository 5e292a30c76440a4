#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error_text.h"
#include "core/record.h"
#include "thixo/autograd.h"
#include "thixo/nn.h"
#include "thixo/optim.h"

namespace thixo::optim {
namespace {

using Doubles = std::vector<double>;

/// One step of a plain implementation: (parameter, gradient, state, step from 1).
using Plain = std::function<void(double& p, double g, double* state, int64_t t)>;

/// A parameter and its gradients: 20 steps of both implementations agree.
void compare(const std::function<std::unique_ptr<Optimizer>(const TensorList&)>& make, const Plain& plain, DType type,
             double tolerance) {
  constexpr size_t kSizes[] = {1, 17, 20000};  // more than one tile of the parallel loop
  std::mt19937 random(5);
  std::normal_distribution<double> normal;
  TensorList params;
  std::vector<Doubles> want, state;
  for (size_t n : kSizes) {
    Doubles v(n);
    for (double& x : v) x = normal(random);
    params.push_back(tensor(v, {n}).to(type).requires_grad_());
    want.push_back(params.back().detach().to(float64).to_vector<double>());
    state.emplace_back(3 * n, 0.0);
  }
  std::unique_ptr<Optimizer> optimizer = make(params);
  for (int64_t t = 1; t <= 20; ++t) {
    for (size_t k = 0; k < params.size(); ++k) {
      Doubles g(kSizes[k]);
      for (double& x : g) x = normal(random);
      const Tensor grad = tensor(g, {kSizes[k]}).to(type);
      const Doubles rounded = grad.to(float64).to_vector<double>();
      params[k].set_grad(grad);
      for (size_t i = 0; i < g.size(); ++i) plain(want[k][i], rounded[i], &state[k][3 * i], t);
    }
    optimizer->step();
  }
  for (size_t k = 0; k < params.size(); ++k) {
    const Doubles got = params[k].detach().to(float64).to_vector<double>();
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], want[k][i], tolerance * (1 + std::abs(want[k][i]))) << "parameter " << k << ", element " << i;
    }
  }
}

void compare_f32_f64(const std::function<std::unique_ptr<Optimizer>(const TensorList&)>& make, const Plain& plain) {
  compare(make, plain, float32, 2e-5);
  compare(make, plain, float64, 1e-12);
}

TEST(SGD, Plain) {
  compare_f32_f64(
      [](const TensorList& p) { return std::make_unique<SGD>(p, SGDOptions{.lr = 0.1, .weight_decay = 0.01}); },
      [](double& p, double g, double*, int64_t) { p -= 0.1 * (g + 0.01 * p); });
}

TEST(SGD, Momentum) {
  compare_f32_f64(
      [](const TensorList& p) {
        return std::make_unique<SGD>(p, SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.2, .maximize = true});
      },
      [](double& p, double g, double* s, int64_t t) {
        s[0] = t == 1 ? -g : 0.9 * s[0] + 0.8 * -g;
        p -= 0.1 * s[0];
      });
}

TEST(SGD, Nesterov) {
  compare_f32_f64(
      [](const TensorList& p) {
        return std::make_unique<SGD>(p, SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true});
      },
      [](double& p, double g, double* s, int64_t t) {
        s[0] = t == 1 ? g : 0.9 * s[0] + g;
        p -= 0.1 * (g + 0.9 * s[0]);
      });
}

void plain_adam(double& p, double g, double* s, int64_t t, double lr, double decay, bool decoupled, bool amsgrad) {
  constexpr double kBeta1 = 0.8, kBeta2 = 0.99, kEps = 1e-6;
  if (decoupled) {
    p *= 1 - lr * decay;
  } else {
    g += decay * p;
  }
  s[0] = kBeta1 * s[0] + (1 - kBeta1) * g;
  s[1] = kBeta2 * s[1] + (1 - kBeta2) * g * g;
  s[2] = amsgrad ? std::max(s[2], s[1]) : s[1];
  const auto step = static_cast<double>(t);
  p -= lr / (1 - std::pow(kBeta1, step)) * s[0] / (std::sqrt(s[2]) / std::sqrt(1 - std::pow(kBeta2, step)) + kEps);
}

TEST(Adam, FollowsTheFormula) {
  compare_f32_f64(
      [](const TensorList& p) {
        return std::make_unique<Adam>(p,
                                      AdamOptions{.lr = 0.01, .betas = {0.8, 0.99}, .eps = 1e-6, .weight_decay = 0.1});
      },
      [](double& p, double g, double* s, int64_t t) { plain_adam(p, g, s, t, 0.01, 0.1, false, false); });
}

TEST(Adam, Amsgrad) {
  compare_f32_f64(
      [](const TensorList& p) {
        return std::make_unique<Adam>(p, AdamOptions{.lr = 0.01, .betas = {0.8, 0.99}, .eps = 1e-6, .amsgrad = true});
      },
      [](double& p, double g, double* s, int64_t t) { plain_adam(p, g, s, t, 0.01, 0, false, true); });
}

TEST(AdamW, DecaysTheParameter) {
  compare_f32_f64(
      [](const TensorList& p) {
        return std::make_unique<AdamW>(
            p, AdamWOptions{.lr = 0.01, .betas = {0.8, 0.99}, .eps = 1e-6, .weight_decay = 0.1});
      },
      [](double& p, double g, double* s, int64_t t) { plain_adam(p, g, s, t, 0.01, 0.1, true, false); });
}

TEST(Adam, HalfPrecision) {
  for (DType t : {float16, bfloat16}) {
    Tensor p = ones({33}).to(t).requires_grad_();
    Adam adam(TensorList{p}, {.lr = 0.25});
    p.set_grad(full({33}, 2).to(t));
    adam.step();
    EXPECT_NEAR(p.detach().to(float32).to_vector<float>()[32], 0.75, 0.01);
  }
}

/// Complex parameters are pairs of real ones.
TEST(Optimizer, ComplexParameters) {
  const Tensor start = rand({2, 5, 2}), grad = rand({2, 5, 2});
  auto pairs = [](const Tensor& t) { return t.select(2, 0) + t.select(2, 1) * Scalar(std::complex<double>(0, 1)); };
  auto compare_step = [&](auto make) {
    Tensor p = start.clone().requires_grad_(), c = pairs(start).requires_grad_();
    auto real_steps = make(TensorList{p}), complex_steps = make(TensorList{c});
    for (int i = 0; i < 3; ++i) {
      p.set_grad(grad * (i + 1));
      c.set_grad(pairs(grad * (i + 1)));
      real_steps.step();
      complex_steps.step();
    }
    NoGrad guard;
    EXPECT_EQ(real(c).to_vector<float>(), p.select(2, 0).to_vector<float>());
    EXPECT_EQ(imag(c).to_vector<float>(), p.select(2, 1).to_vector<float>());
  };
  compare_step([](const TensorList& p) { return SGD(p, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1}); });
  compare_step([](const TensorList& p) { return Adam(p, {.lr = 0.1, .amsgrad = true}); });
  compare_step([](const TensorList& p) { return AdamW(p, {.lr = 0.1}); });
}

TEST(Optimizer, IntegerParametersHaveNoStep) {
  Tensor p = ones({2}, {.dtype = int64});
  SGD sgd(TensorList{p}, {.lr = 1});
  sgd.step();  // without a gradient it is left alone
  p.set_grad(ones({2}, {.dtype = int64}));
  try {
    sgd.step();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.headline(), "optimizer: a parameter of dtype int64 has a gradient");
  }
}

TEST(Adam, AnyLayoutOfTheGradient) {
  Tensor p = ones({2, 3}).requires_grad_(), q = ones({2, 3}).requires_grad_();
  Adam adam(TensorList{p, q}, {.lr = 0.1});
  const Tensor g = tensor(std::vector<float>{1, -2, 3, -4, 5, -6}, {3, 2});
  p.set_grad(g.t());
  q.set_grad(g.t().contiguous());
  adam.step();
  EXPECT_EQ(p.to_vector<float>(), q.to_vector<float>());
}

TEST(Optimizer, SkipsParametersWithoutAGradient) {
  Tensor p = ones({2}).requires_grad_(), q = ones({2}).requires_grad_();
  Adam adam(TensorList{p, q}, {.lr = 0.5});
  p.set_grad(ones({2}));
  adam.step();
  EXPECT_EQ(q.to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(adam.state_of(p).step, 1);
  EXPECT_EQ(adam.state_of(q).step, 0);
  q.set_grad(ones({2}));  // now the two stand at different steps
  adam.step();
  EXPECT_NEAR(q.to_vector<float>()[0], 0.5f, 1e-6);
  adam.zero_grad();
  EXPECT_FALSE(p.grad().defined());
}

TEST(Optimizer, WritesAreSeenByTheTape) {
  Tensor p = ones({2}).requires_grad_();
  const uint32_t before = p.version();
  Tensor loss = (p * p).sum();
  SGD sgd(TensorList{p}, {.lr = 0.1});
  p.set_grad(ones({2}));
  sgd.step();
  EXPECT_GT(p.version(), before);
  const std::string text = test::error_of([&] { loss.backward(); });
  EXPECT_NE(text.find("overwritten by an optimizer's step (sgd_update)"), std::string::npos) << text;
}

TEST(Optimizer, GroupsHaveTheirOwnSettings) {
  Tensor p = ones({1}).requires_grad_(), q = ones({1}).requires_grad_();
  SGD sgd(std::vector<ParamGroup>{{{p}, {}}, {{q}, {{"lr", 0.5}}}}, {.lr = 0.1});
  p.set_grad(ones({1}));
  q.set_grad(ones({1}));
  sgd.step();
  EXPECT_FLOAT_EQ(p.item<float>(), 0.9f);
  EXPECT_FLOAT_EQ(q.item<float>(), 0.5f);
  sgd.param_groups()[0]["lr"] = 0.2;
  sgd.step();
  EXPECT_FLOAT_EQ(p.item<float>(), 0.7f);
  EXPECT_THROW(sgd.param_groups()[0]["learning_rate"], Error);
  EXPECT_THROW(sgd.add_param_group({{p}, {}}), Error);
  EXPECT_THROW(sgd.add_param_group({{ones({1})}, {{"speed", 1}}}), Error);
  EXPECT_THROW(SGD(TensorList{}), Error);
  EXPECT_THROW(SGD(TensorList{p}, {.nesterov = true}), Error);
  EXPECT_THROW(Adam(TensorList{p}, {.betas = {0.9, 1}}), Error);
}

TEST(Optimizer, StateRoundTrip) {
  auto run = [](Adam& adam, const TensorList& params, int from, int to) {
    for (int t = from; t < to; ++t) {
      for (Tensor p : params) p.set_grad(full(p.shape(), 0.5 + t));
      adam.step();
    }
  };
  auto fresh = [] { return TensorList{ones({3}).requires_grad_(), full({2, 2}, 2.0).requires_grad_()}; };
  TensorList a = fresh(), b = fresh();
  Adam whole(a, {.lr = 0.1, .amsgrad = true});
  run(whole, a, 0, 6);

  Adam first(b, {.lr = 0.1, .amsgrad = true});
  run(first, b, 0, 3);
  Adam second(b, {.lr = 7});
  EXPECT_EQ(second.state_dict().size(), 8u);  // 7 settings, and how many parameters there are
  second.load_state_dict(first.state_dict());
  EXPECT_EQ(second.param_groups()[0]["lr"], 0.1);
  run(second, b, 3, 6);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].to_vector<float>(), b[i].to_vector<float>());

  TensorList c = {ones({4}).requires_grad_()};
  Adam other(c);
  EXPECT_THROW(other.load_state_dict(first.state_dict()), Error);
  SGD sgd(fresh());
  EXPECT_THROW(sgd.load_state_dict(first.state_dict()), Error);
}

TEST(Optimizer, AStateOfOtherParametersIsRefused) {
  auto p = [] { return ones({1}).requires_grad_(); };
  SGD one(TensorList{p()}), two(TensorList{p(), p()});
  EXPECT_THROW(two.load_state_dict(one.state_dict()), Error);
  EXPECT_THROW(one.load_state_dict(two.state_dict()), Error);
  EXPECT_THROW(one.load_state_dict(Adam(TensorList{p()}).state_dict()), Error);
}

TEST(SGD, MomentumTurnedOnLaterBeginsWithTheWholeGradient) {
  Tensor p = zeros({1}).requires_grad_();
  SGD sgd(TensorList{p}, {.lr = 1, .dampening = 0.5});
  auto step = [&](double g) {
    p.set_grad(full({1}, g).to(float32));
    sgd.step();
    return p.item<float>();
  };
  EXPECT_FLOAT_EQ(step(1), -1);
  sgd.param_groups()[0]["momentum"] = 0.5;
  EXPECT_FLOAT_EQ(step(4), -5);              // no buffer yet: it is the gradient
  EXPECT_FLOAT_EQ(step(2), -5 - (2 + 1));    // 0.5 * 4 + 0.5 * 2
  SGD again(TensorList{p}, {.lr = 1, .momentum = 0.5, .dampening = 0.5});
  again.load_state_dict(sgd.state_dict());
  p.set_grad(ones({1}));
  again.step();
  EXPECT_FLOAT_EQ(p.item<float>(), -8 - 2);  // 0.5 * 3 + 0.5 * 1: a buffer that is there is gone on with
}

TEST(Optimizer, TrainsALayer) {
  manual_seed(0);
  nn::Linear fc(3, 1);
  const Tensor x = randn({64, 3}), y = x.matmul(tensor(std::vector<float>{1, -2, 0.5f}, {3, 1})) + 0.25;
  AdamW opt(fc->parameters(), {.lr = 0.05, .weight_decay = 0});
  double loss = 0;
  for (int i = 0; i < 300; ++i) {
    opt.zero_grad();
    Tensor l = mse_loss(fc(x), y);
    l.backward();
    opt.step();
    loss = l.item();
  }
  EXPECT_LT(loss, 1e-5);
}

}  // namespace
}  // namespace thixo::optim
