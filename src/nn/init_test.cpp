#include <gtest/gtest.h>

#include <cmath>

#include "thixo/nn.h"
#include "thixo/nn_init.h"

namespace thixo::nn {
namespace {

struct Moments {
  double mean = 0, std = 0, low = 0, high = 0;
};
Moments moments(const Tensor& t) {
  Moments m;
  const std::vector<float> v = t.to_vector<float>();
  m.low = m.high = v[0];
  for (float x : v) {
    m.mean += x;
    m.low = std::min<double>(m.low, x);
    m.high = std::max<double>(m.high, x);
  }
  m.mean /= static_cast<double>(v.size());
  for (float x : v) m.std += (x - m.mean) * (x - m.mean);
  m.std = std::sqrt(m.std / static_cast<double>(v.size()));
  return m;
}

TEST(Init, Fans) {
  EXPECT_EQ(init::calculate_fans(empty({8, 4, 3, 5})), (std::pair<int64_t, int64_t>{60, 120}));
  EXPECT_THROW(init::calculate_fans(empty({8})), Error);
}

TEST(Init, Gains) {
  EXPECT_DOUBLE_EQ(init::calculate_gain("relu"), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(init::calculate_gain("leaky_relu", 2), std::sqrt(0.4));
  EXPECT_DOUBLE_EQ(init::calculate_gain("tanh"), 5.0 / 3);
  EXPECT_THROW(init::calculate_gain("swish"), Error);
}

TEST(Init, Distributions) {
  manual_seed(1);
  const Tensor w = empty({200, 300});
  Moments m = moments(init::uniform_(w, -2, 4));
  EXPECT_NEAR(m.mean, 1, 0.05);
  EXPECT_TRUE(m.low >= -2 && m.low < -1.99 && m.high <= 4 && m.high > 3.99);
  m = moments(init::normal_(w, 1, 3));
  EXPECT_NEAR(m.mean, 1, 0.06);
  EXPECT_NEAR(m.std, 3, 0.05);
  m = moments(init::trunc_normal_(w, 0, 1, -1, 1));
  EXPECT_TRUE(m.low >= -1 && m.high <= 1);
  EXPECT_NEAR(m.std, 0.5396, 0.01);
  m = moments(init::xavier_uniform_(w));
  EXPECT_NEAR(m.high, std::sqrt(6.0 / 500), 1e-4);
  m = moments(init::xavier_normal_(w, 2));
  EXPECT_NEAR(m.std, 2 * std::sqrt(2.0 / 500), 1e-3);
  m = moments(init::kaiming_uniform_(w, 0, init::fan_out, "relu"));
  EXPECT_NEAR(m.high, std::sqrt(6.0 / 200), 1e-4);
  m = moments(init::kaiming_normal_(w, 0, init::fan_in, "relu"));
  EXPECT_NEAR(m.std, std::sqrt(2.0 / 300), 1e-3);
}

TEST(Init, TruncatedNormalNumbersInvertTheDistribution) {
  auto cdf = [](double x) { return (1 + std::erf(x / std::sqrt(2.0))) / 2; };
  manual_seed(3);
  const std::vector<double> p = rand({10000}, {.dtype = float64}).to_vector<double>();
  manual_seed(3);
  const std::vector<double> x =
      init::trunc_normal_(empty({10000}, {.dtype = float64}), 0, 1, -9, 9).to_vector<double>();
  for (size_t i = 0; i < p.size(); ++i) ASSERT_NEAR(cdf(x[i]), p[i], 1e-15) << x[i];
  const Tensor tail = init::trunc_normal_(empty({1000}, {.dtype = float64}), 0, 1, -30, -7);
  for (double v : tail.to_vector<double>()) EXPECT_TRUE(v >= -30 && v <= -7) << v;
  EXPECT_NEAR(tail.mean().item(), -7.137, 0.02);  // phi(7) / Phi(-7)
}

TEST(Init, SkippedValuesDrawNoNumbers) {
  manual_seed(5);
  const double want = rand({1}).item();
  manual_seed(5);
  {
    init::Skip skip;
    Linear fc(4, 4);
    EXPECT_EQ(init::ones_(full({1}, 3.0)).item(), 3);
  }
  EXPECT_EQ(rand({1}).item(), want);
}

TEST(Init, LayersStartAsInPyTorch) {
  manual_seed(1);
  Linear fc(400, 100);
  EXPECT_NEAR(moments(fc->weight).high, 1 / std::sqrt(400.0), 1e-5);
  EXPECT_NEAR(moments(fc->bias).high, 1 / std::sqrt(400.0), 5e-3);
  Conv2d conv(16, 64, 3);
  EXPECT_NEAR(moments(conv->weight).high, 1 / std::sqrt(144.0), 1e-4);
  EXPECT_NEAR(moments(Embedding(300, 100)->weight).std, 1, 0.02);
  EXPECT_EQ(LayerNorm(IntList{3})->weight.to_vector<float>(), (std::vector<float>{1, 1, 1}));
}

TEST(Init, SameSeedSameBits) {
  manual_seed(7);
  const std::vector<float> a = Linear(5, 5)->weight.to_vector<float>();
  manual_seed(7);
  EXPECT_EQ(a, Linear(5, 5)->weight.to_vector<float>());
}

TEST(Init, Eye) { EXPECT_EQ(init::eye_(empty({2, 3})).to_vector<float>(), (std::vector<float>{1, 0, 0, 0, 1, 0})); }

TEST(Clip, Norm) {
  Tensor a = zeros({2}).requires_grad_(), b = zeros({1}).requires_grad_(), unused = zeros({1}).requires_grad_();
  a.set_grad(tensor(std::vector<float>{3, 0}, {2}));
  b.set_grad(tensor(std::vector<float>{4}, {1}));
  EXPECT_NEAR(utils::clip_grad_norm_({a, b, unused}, 10).item(), 5, 1e-6);
  EXPECT_NEAR(b.grad().item(), 4, 1e-5);
  EXPECT_NEAR(utils::clip_grad_norm_({a, b, unused}, 1).item(), 5, 1e-6);
  EXPECT_NEAR(b.grad().item(), 0.8, 1e-5);
  EXPECT_NEAR(utils::clip_grad_norm_({a, b}, 100, INFINITY).item(), 0.8, 1e-5);
  b.set_grad(tensor(std::vector<float>{NAN}, {1}));
  EXPECT_THROW(utils::clip_grad_norm_({b}, 1, 2, true), Error);
}

TEST(Clip, NormOfHalvesAndOfComplexNumbers) {
  for (DType t : {DType::F16, DType::BF16}) {
    for (double p : {1.0, 2.0, 3.0}) {
      Tensor a = zeros({3}, {.dtype = t}).requires_grad_();
      a.set_grad(tensor(std::vector<float>{300, 400, 0}, {3}).to(t));
      const double want = std::pow(std::pow(300, p) + std::pow(400, p), 1 / p);
      EXPECT_NEAR(utils::clip_grad_norm_({a}, 5, p).item(), want, 1e-3 * want);
      EXPECT_EQ(a.grad().dtype(), t);
      EXPECT_NEAR(a.grad().to(DType::F32).to_vector<float>()[1], 400 * 5 / want, 0.02);
    }
  }
  Tensor c = zeros({2}, {.dtype = DType::C64}).requires_grad_();
  c.set_grad(tensor(std::vector<std::complex<float>>{{0, 3}, {4, 0}}, {2}));
  EXPECT_NEAR(utils::clip_grad_norm_({c}, 1).item(), 5, 1e-5);
  EXPECT_NEAR(c.grad().abs().amax().item(), 0.8, 1e-5);
}

TEST(Clip, Value) {
  Tensor a = zeros({3}).requires_grad_();
  a.set_grad(tensor(std::vector<float>{-3, 0.5f, 9}, {3}));
  utils::clip_grad_value_({a}, 1);
  EXPECT_EQ(a.grad().to_vector<float>(), (std::vector<float>{-1, 0.5f, 1}));
}

}  // namespace
}  // namespace thixo::nn
