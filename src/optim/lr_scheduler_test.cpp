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
  s.step();
  EXPECT_NEAR(lr(), end, 1e-12);
  EXPECT_THROW(s.step(), Error);
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

TEST_F(Schedule, OneCycleOfAdamMovesBeta1) {
  Adam adam(TensorList{p});
  OneCycleLR s(adam, 1, 10);
  EXPECT_NEAR(adam.param_groups()[0]["beta1"], 0.95, 1e-12);
  SGD plain(TensorList{p}, {.lr = 1});
  EXPECT_THROW(OneCycleLR(plain, 1, 0), Error);
}

}  // namespace
}  // namespace thixo::optim
