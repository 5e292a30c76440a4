#include "thixo/lr_scheduler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace thixo::optim {
namespace {

struct Schedule : testing::Test {
  Tensor p = ones({1}).requires_grad_();
  SGD sgd{TensorList{p}, {.lr = 2, .momentum = 0.9}};
  double lr() { return sgd.param_groups()[0]["lr"]; }
  std::vector<double> rates(LRScheduler& s, int n) {
    std::vector<double> out = {lr()};
    for (int i = 1; i < n; ++i) {
      s.step();
      out.push_back(lr());
    }
    return out;
  }
  static void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-12) << "step " << i;
  }
};

TEST_F(Schedule, Step) {
  StepLR s(sgd, 2, 0.5);
  expect_near(rates(s, 6), {2, 2, 1, 1, 0.5, 0.5});
  EXPECT_THROW(StepLR(sgd, 0), Error);
}

TEST_F(Schedule, Exponential) {
  ExponentialLR s(sgd, 0.1);
  expect_near(rates(s, 3), {2, 0.2, 0.02});
}

TEST_F(Schedule, Lambda) {
  LambdaLR s(sgd, [](int64_t t) { return 1.0 / static_cast<double>(t + 1); });
  expect_near(rates(s, 3), {2, 1, 2.0 / 3});
}

TEST_F(Schedule, Linear) {
  LinearLR s(sgd, 0.5, 1, 4);
  expect_near(rates(s, 6), {1, 1.25, 1.5, 1.75, 2, 2});
}

TEST_F(Schedule, Cosine) {
  CosineAnnealingLR s(sgd, 4, 0.2);
  const double h = 0.9 * std::sqrt(0.5);
  expect_near(rates(s, 5), {2, 1.1 + h, 1.1, 1.1 - h, 0.2});
  s.set_epoch(2);
  EXPECT_NEAR(lr(), 1.1, 1e-12);
  EXPECT_EQ(s.last_epoch(), 2);
}

// Values of torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10), by its formula: the first phase ends at
// step 0.3 * 10 - 1 = 2, the second at 9.
TEST_F(Schedule, OneCycle) {
  OneCycleLR s(sgd, 1, 10);
  const double low = 1.0 / 25, end = low / 1e4;
  std::vector<double> want, momentum;
  auto cosine = [](double from, double to, double part) {
    return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * part));
  };
  for (int t = 0; t < 10; ++t) {
    const bool up = t <= 2;
    want.push_back(up ? cosine(low, 1, t / 2.0) : cosine(1, end, (t - 2) / 7.0));
    momentum.push_back(up ? cosine(0.95, 0.85, t / 2.0) : cosine(0.85, 0.95, (t - 2) / 7.0));
  }
  std::vector<double> got_momentum = {sgd.param_groups()[0]["momentum"]};
  std::vector<double> got = {lr()};
  for (int t = 1; t < 10; ++t) {
    s.step();
    got.push_back(lr());
    got_momentum.push_back(sgd.param_groups()[0]["momentum"]);
  }
  expect_near(got, want);
  expect_near(got_momentum, momentum);
  s.step();  // one more is allowed, and goes on along the cosine
  EXPECT_NEAR(lr(), cosine(1, end, 8 / 7.0), 1e-12);
  EXPECT_THROW(s.step(), Error);
  EXPECT_EQ(s.last_epoch(), 10);
}

TEST_F(Schedule, OneCycleLinearThreePhase) {
  OneCycleLR s(sgd, 1, 11,
               {.pct_start = 3.0 / 11,
                .anneal_strategy = "linear",
                .cycle_momentum = false,
                .div_factor = 10,
                .final_div_factor = 10,
                .three_phase = true});
  expect_near(rates(s, 6), {0.1, 0.55, 1, 0.55, 0.1, 0.1 - 0.09 / 6});
}

// What PyTorch's recursions give, written out.
TEST_F(Schedule, TwoOfOneOptimizerMultiply) {
  ExponentialLR decay(sgd, 0.5);
  StepLR steps(sgd, 2, 0.1);
  std::vector<double> got;
  for (int i = 0; i < 4; ++i) {
    got.push_back(lr());
    decay.step();
    steps.step();
  }
  expect_near(got, {2, 1, 0.05, 0.025});
  EXPECT_NEAR(decay.get_last_lr()[0], 0.0125, 1e-12);  // before the other one
  EXPECT_NEAR(steps.get_last_lr()[0], 0.00125, 1e-12);
}

TEST_F(Schedule, WarmUpTimesDecay) {
  LinearLR warm(sgd, 0.25, 1, 3);
  ExponentialLR decay(sgd, 0.5);
  std::vector<double> got;
  for (int i = 0; i < 5; ++i) {
    got.push_back(lr());
    warm.step();
    decay.step();
  }
  expect_near(got, {0.5, 0.5, 0.375, 0.25, 0.125});
}

TEST_F(Schedule, ARateSetByHandStays) {
  ExponentialLR s(sgd, 0.5);
  s.step();
  sgd.param_groups()[0]["lr"] = 10;
  s.step();
  EXPECT_EQ(lr(), 5);
  CosineAnnealingLR c(sgd, 4, 1);
  sgd.param_groups()[0]["lr"] = 3;
  c.step();
  EXPECT_NEAR(lr(), 1 + 2 * (1 + std::cos(std::numbers::pi / 4)) / 2, 1e-12);
}

TEST_F(Schedule, CosineComesBack) {
  CosineAnnealingLR s(sgd, 2, 0.5);
  expect_near(rates(s, 9), {2, 1.25, 0.5, 1.25, 2, 1.25, 0.5, 1.25, 2});
}

TEST_F(Schedule, GroupsAddedLater) {
  StepLR steps(sgd, 1, 0.5);
  LambdaLR lambda(sgd, [](int64_t) { return 3.0; });
  OneCycleLR cycle(sgd, 1, 10);
  CosineAnnealingLR cosine(sgd, 1);
  sgd.add_param_group({{ones({1})}, {{"lr", 8}}});
  auto& late = sgd.param_groups()[1];
  steps.step();
  EXPECT_EQ(late["lr"], 4);  // goes from the present rate
  lambda.step();
  cycle.step();
  EXPECT_EQ(late["lr"], 4);  // go from the rates at the start
  EXPECT_EQ(late["momentum"], 0.9);
  cosine.step();
  cosine.step();
  EXPECT_EQ(steps.get_last_lr().size(), 2u);
}

TEST_F(Schedule, GoesOnAfterAnEpoch) {
  EXPECT_THROW(StepLR(sgd, 2, 0.5, 3), Error);  // no initial_lr
  EXPECT_THROW(StepLR(sgd, 2, 0.5, -2), Error);
  ExponentialLR first(sgd, 0.5);
  first.step();
  first.step();
  ExponentialLR second(sgd, 0.5, first.last_epoch());  // makes a step at once, like PyTorch
  EXPECT_EQ(second.last_epoch(), 3);
  EXPECT_EQ(lr(), 0.25);
  EXPECT_EQ(second.base_lrs(), std::vector<double>{2});
  CosineAnnealingLR cosine(sgd, 4, 0, 0);
  EXPECT_NEAR(lr(), 1 + std::cos(std::numbers::pi / 4), 1e-12);

  Tensor q = ones({1}).requires_grad_();
  SGD fresh(TensorList{q}, {.lr = 7});
  ExponentialLR third(fresh, 0.5);
  fresh.load_state_dict(SGD(TensorList{q}, {.lr = 0.25}).state_dict());
  third.set_state(second.state());
  EXPECT_EQ(third.get_last_lr(), std::vector<double>{0.25});
  third.step();
  EXPECT_EQ(fresh.param_groups()[0]["lr"], 0.125);
  EXPECT_EQ(third.last_epoch(), 4);
}

TEST_F(Schedule, ValuesOfEachGroup) {
  sgd.add_param_group({{ones({1})}, {{"lr", 8}}});
  OneCycleLR s(sgd, std::vector<double>{1, 2}, 10, {.base_momentum = {0.1, 0.2}, .max_momentum = {0.8}});
  EXPECT_NEAR(sgd.param_groups()[1]["lr"], 2 / 25.0, 1e-12);
  EXPECT_NEAR(sgd.param_groups()[1]["max_lr"], 2, 1e-12);
  s.step();
  s.step();
  EXPECT_NEAR(sgd.param_groups()[1]["momentum"], 0.2, 1e-12);
  EXPECT_THROW(OneCycleLR(sgd, std::vector<double>{1, 2, 3}, 10), Error);
  using Lambda = LambdaLR::Lambda;
  const Lambda twice = [](int64_t t) { return 2.0 * static_cast<double>(t); };
  const Lambda half = [](int64_t t) { return 0.5 * static_cast<double>(t); };
  sgd.param_groups()[0].set("initial_lr", 1);
  sgd.param_groups()[1].set("initial_lr", 1);
  LambdaLR l(sgd, std::vector<Lambda>{twice, half});
  l.step();
  EXPECT_EQ(l.get_last_lr(), (std::vector<double>{2, 0.5}));
  EXPECT_THROW(LambdaLR(sgd, std::vector<Lambda>{twice}), Error);
}

TEST_F(Schedule, OneCycleOfAdamMovesBeta1) {
  Adam adam(TensorList{p});
  OneCycleLR s(adam, 1, 10);
  EXPECT_NEAR(adam.param_groups()[0]["beta1"], 0.95, 1e-12);
  SGD plain(TensorList{p}, {.lr = 1});
  EXPECT_THROW(OneCycleLR(plain, 1, 0), Error);
}

}  // namespace
}  // namespace thixo::optim
