#include <gtest/gtest.h>

#include <cmath>

#include "thixo/compile.h"
#include "thixo/nn.h"

namespace thixo::nn {
namespace {

using Floats = std::vector<float>;

Tensor values(std::vector<float> v, const Shape& shape) { return tensor(v, shape); }

/// 0.1, 0.2, ... in this shape, alternating in sign: plain numbers that differ.
Tensor ramp(const Shape& shape) {
  std::vector<float> v(static_cast<size_t>(numel_of(shape).value()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = (i % 2 == 0 ? 0.1f : -0.1f) * static_cast<float>(i % 17 + 1);
  return tensor(v, shape);
}

void expect_near(const Tensor& got, const Floats& want, double tolerance = 1e-5) {
  const Floats have = got.to_vector<float>();
  ASSERT_EQ(have.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have[i], want[i], tolerance) << "element " << i;
}

TEST(BatchNorm, CompiledCallsUpdateTheStatistics) {
  manual_seed(1);
  Tensor x = randn({8, 3, 4, 4}) * 2 + 1;
  BatchNorm2d eager(3), compiled(3);
  auto f = compile([&](const TensorList& a) -> TensorList { return {compiled(a[0])}; });
  for (int i = 0; i < 3; ++i) {
    eager(x);
    f({x});
  }
  EXPECT_EQ(compiled->num_batches_tracked.item<int64_t>(), 3);
  EXPECT_EQ(compiled->running_mean.to_vector<float>(), eager->running_mean.to_vector<float>());
  EXPECT_EQ(compiled->running_var.to_vector<float>(), eager->running_var.to_vector<float>());
}

TEST(Layers, Linear) {
  Linear fc(2, 3);
  fc->load_state_dict({{"weight", values({1, 2, 3, 4, 5, 6}, {3, 2})}, {"bias", values({0.5f, -0.5f, 0}, {3})}});
  expect_near(fc(values({1, 10}, {1, 2})), {21.5f, 42.5f, 65});
  EXPECT_THROW(fc(ones({1, 3})), Error);
  EXPECT_FALSE(Linear(2, 3, {.bias = false})->bias.defined());
  EXPECT_EQ(Linear(2, 3, {.dtype = float64})->weight.dtype(), float64);
}

/// Convolution by its definition.
Floats conv_by_hand(const Tensor& x, const Tensor& w, int64_t stride, int64_t pad, int64_t dilation, int64_t groups) {
  const int64_t n = x.size(0), h = x.size(2), wd = x.size(3), out = w.size(0), per = w.size(1), k = w.size(2);
  const int64_t oh = (h + 2 * pad - dilation * (k - 1) - 1) / stride + 1,
                ow = (wd + 2 * pad - dilation * (k - 1) - 1) / stride + 1;
  const Floats xs = x.to_vector<float>(), ws = w.to_vector<float>();
  Floats y;
  for (int64_t b = 0; b < n; ++b) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < oh * ow; ++i) {
        double sum = 0;
        for (int64_t c = 0; c < per; ++c) {
          const int64_t channel = o / (out / groups) * per + c;
          for (int64_t t = 0; t < k * k; ++t) {
            const int64_t r = i / ow * stride - pad + t / k * dilation, s = i % ow * stride - pad + t % k * dilation;
            if (r < 0 || r >= h || s < 0 || s >= wd) continue;
            sum += static_cast<double>(xs[static_cast<size_t>(((b * x.size(1) + channel) * h + r) * wd + s)]) *
                   static_cast<double>(ws[static_cast<size_t>((o * per + c) * k * k + t)]);
          }
        }
        y.push_back(static_cast<float>(sum));
      }
    }
  }
  return y;
}

TEST(Layers, Conv2d) {
  const Tensor x = ramp({2, 4, 7, 6});
  struct Case {
    int64_t kernel;
    Conv2dOptions o;
    int64_t stride, pad, dilation, groups;
  };
  const Case cases[] = {
      {3, {.bias = false}, 1, 0, 1, 1},
      {3, {.stride = 2, .padding = 1, .bias = false}, 2, 1, 1, 1},
      {3, {.padding = "same", .dilation = 2, .groups = 2, .bias = false}, 1, 2, 2, 2},
      {1, {.groups = 4, .bias = false}, 1, 0, 1, 4},
  };
  for (const Case& c : cases) {
    Conv2d conv(4, 8, c.kernel, c.o);
    expect_near(conv(x), conv_by_hand(x, conv->weight, c.stride, c.pad, c.dilation, c.groups));
  }
  EXPECT_EQ(Conv2d(4, 2, 2, {.padding = "same"})(x).shape(), (Shape{2, 2, 7, 6}));
  EXPECT_THROW(Conv2d(3, 8, 3, {.groups = 2}), Error);
  EXPECT_THROW(Conv2d(4, 8, 3, {.stride = 2, .padding = "same"}), Error);
  EXPECT_THROW(Conv2d(4, 8, 3, {.padding_mode = "reflect"}), Error);
}

TEST(Layers, BatchNorm2d) {
  BatchNorm2d bn(2);
  EXPECT_EQ(bn->running_var.to_vector<float>(), (Floats{1, 1}));
  // Channel 0: 1 2 3 4 (mean 2.5, variance 1.25, unbiased 5/3); channel 1: all 7.
  const Tensor x = values({1, 2, 7, 7, 3, 4, 7, 7}, {2, 2, 1, 2});
  const float s = static_cast<float>(1 / std::sqrt(1.25 + 1e-5));
  expect_near(bn(x), {-1.5f * s, -0.5f * s, 0, 0, 0.5f * s, 1.5f * s, 0, 0});
  expect_near(bn->running_mean, {0.25f, 0.7f});
  expect_near(bn->running_var, {0.9f + 0.1f * 5 / 3, 0.9f});
  EXPECT_EQ(bn->num_batches_tracked.item<int64_t>(), 1);
  bn->eval();
  const Tensor y = bn(x);
  expect_near(y.select(1, 0).contiguous(), [&] {
    Floats want;
    for (float v : {1.0f, 2.0f, 3.0f, 4.0f}) want.push_back((v - 0.25f) / std::sqrt(0.9f + 0.5f / 3 + 1e-5f));
    return want;
  }());
  EXPECT_EQ(bn->num_batches_tracked.item<int64_t>(), 1);
  EXPECT_THROW(bn(ones({2, 2})), Error);
  BatchNorm2d cumulative(1, {.momentum = std::nullopt});
  cumulative(values({1, 3}, {2, 1, 1, 1}));
  cumulative(values({5, 7}, {2, 1, 1, 1}));
  expect_near(cumulative->running_mean, {4});
}

TEST(Layers, FunctionalBatchNorm) {
  const Tensor x = values({1, 2, 3, 4}, {2, 2});  // channels [1, 3] and [2, 4]
  const Tensor mean = zeros({2}), var = ones({2}), weight = values({2, 1}, {2}), bias = values({0, 1}, {2});
  expect_near(functional::batch_norm(x, {}, {}, {}, {}, true), {-1, -1, 1, 1}, 1e-4);
  expect_near(functional::batch_norm(x, mean, var, weight, bias, true, 0.5, 0), {-2, 0, 2, 2});
  expect_near(mean, {1, 1.5});
  expect_near(var, {1.5, 1.5});  // the population's variance is 2
  expect_near(functional::batch_norm(x, mean, var, {}, {}, false, 0.5, 0.75), {0, 0.5F / 1.5F, 2 / 1.5F, 2.5F / 1.5F});
  expect_near(mean, {1, 1.5});
  EXPECT_THROW(functional::batch_norm(x, {}, {}), Error);
  EXPECT_THROW(functional::batch_norm(x, zeros({3}), ones({3})), Error);
}

TEST(Layers, BatchNorm1d) {
  BatchNorm1d bn(2, {.affine = false, .track_running_stats = false});
  expect_near(bn(values({1, 10, 3, 30}, {2, 2})), {-1, -1, 1, 1}, 1e-4);
  EXPECT_TRUE(bn->state_dict().empty());
}

TEST(Layers, LayerNorm) {
  LayerNorm ln(IntList{4});
  ln->load_state_dict({{"weight", values({1, 1, 2, 1}, {4})}, {"bias", values({0, 1, 0, 0}, {4})}});
  const float s = static_cast<float>(1 / std::sqrt(1.25 + 1e-5));
  expect_near(ln(values({1, 2, 3, 4}, {1, 4})), {-1.5f * s, 1 - 0.5f * s, 1 * s, 1.5f * s});
}

TEST(Layers, RMSNorm) {
  RMSNorm norm(2);
  expect_near(norm(values({3, 4}, {1, 2})), {3 / std::sqrt(12.5f), 4 / std::sqrt(12.5f)});
  EXPECT_EQ(norm->str(), "RMSNorm((2,), eps=None, elementwise_affine=True)");
}

TEST(Layers, Embedding) {
  Embedding table(3, 2, {.padding_idx = 0});
  EXPECT_EQ(table->weight.select(0, 0).to_vector<float>(), (Floats{0, 0}));
  const Tensor index = tensor(std::vector<int64_t>{2, 0, 2}, {3});
  const Floats rows = table->weight.to_vector<float>();
  expect_near(table(index), {rows[4], rows[5], 0, 0, rows[4], rows[5]});
  table(index).sum().backward();
  expect_near(table->weight.grad(), {0, 0, 0, 0, 2, 2});
  EXPECT_THROW(Embedding(3, 2, {.padding_idx = 3}), Error);
}

TEST(Layers, Dropout) {
  Dropout half;
  EXPECT_EQ(half->p, 0.5);
  manual_seed(3);
  const Floats y = half(ones({1000})).to_vector<float>();
  int64_t zeros = 0;
  for (float v : y) {
    ASSERT_TRUE(v == 0 || v == 2) << v;
    zeros += v == 0 ? 1 : 0;
  }
  EXPECT_GT(zeros, 430);
  EXPECT_LT(zeros, 570);
  half->eval();
  EXPECT_EQ(half(ones({4})).to_vector<float>(), (Floats{1, 1, 1, 1}));
  EXPECT_THROW(Dropout(1.5), Error);
}

TEST(Layers, Activations) {
  const Tensor x = values({-1, 0, 2}, {3});
  const double phi = 0.5 * (1 + std::erf(2 / std::sqrt(2.0))), phi_1 = 0.5 * (1 + std::erf(-1 / std::sqrt(2.0)));
  auto sigmoid_of = [](double v) { return static_cast<float>(1 / (1 + std::exp(-v))); };
  expect_near(ReLU()(x), {0, 0, 2});
  expect_near(GELU()(x), {static_cast<float>(-phi_1), 0, static_cast<float>(2 * phi)});
  expect_near(SiLU()(x), {-sigmoid_of(-1), 0, 2 * sigmoid_of(2)});
  expect_near(Sigmoid()(x), {sigmoid_of(-1), 0.5f, sigmoid_of(2)});
  expect_near(Tanh()(x), {std::tanh(-1.0f), 0, std::tanh(2.0f)});
  expect_near(Identity()(x), {-1, 0, 2});
  const float e = std::exp(1.0f);
  expect_near(Softmax(0)(values({1, 2}, {2})), {1 / (1 + e), e / (1 + e)});
}

TEST(Layers, Pooling) {
  const Tensor x = values({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3});
  expect_near(MaxPool2d(2, {.stride = IntList(1)})(x), {5, 6, 8, 9});
  expect_near(MaxPool2d(2)(x), {5});
  expect_near(AvgPool2d(2, {.stride = IntList(1)})(x), {3, 4, 6, 7});
  expect_near(AvgPool2d(2, {.padding = 1, .count_include_pad = false})(x), {1, 2.5f, 5.5f, 7});
}

TEST(Layers, FlattenKeepsTheBatch) { EXPECT_EQ(Flatten()(ones({2, 3, 4})).shape(), (Shape{2, 12})); }

TEST(Losses, CrossEntropy) {
  const Tensor logits = values({1, 2, 3, 1}, {2, 2}), target = tensor(std::vector<int64_t>{0, 0}, {2});
  const double first = std::log(1 + std::exp(1.0)), second = std::log(1 + std::exp(-2.0));
  EXPECT_NEAR(CrossEntropyLoss()(logits, target).item(), (first + second) / 2, 1e-6);
  EXPECT_NEAR(CrossEntropyLoss({.reduction = "sum"})(logits, target).item(), first + second, 1e-6);
  expect_near(CrossEntropyLoss({.reduction = "none"})(logits, target),
              {static_cast<float>(first), static_cast<float>(second)});
  const Tensor ignored = tensor(std::vector<int64_t>{0, 7}, {2});
  EXPECT_NEAR(CrossEntropyLoss({.ignore_index = 7})(logits, ignored).item(), first, 1e-6);
  const double smooth = 0.9 * first + 0.1 * (first + (first - 1)) / 2;
  EXPECT_NEAR(CrossEntropyLoss({.label_smoothing = 0.1})(logits[Slice(0, 1)], target[Slice(0, 1)]).item(), smooth,
              1e-6);
  EXPECT_THROW(CrossEntropyLoss({.reduction = "average"}), Error);
}

TEST(Losses, MSE) {
  const Tensor a = values({1, 2}, {2}), b = values({3, 2}, {2});
  EXPECT_NEAR(MSELoss()(a, b).item(), 2, 1e-6);
  EXPECT_NEAR(MSELoss({.reduction = "sum"})(a, b).item(), 4, 1e-6);
}

TEST(Layers, SettingsAreReadAtEachCall) {
  Dropout drop(0.5);
  drop->p = 0;
  EXPECT_EQ(drop(ones({4})).to_vector<float>(), Floats(4, 1));
  Conv2d conv(1, 1, 3, {.stride = 2});
  conv->options.stride = 1;
  EXPECT_EQ(conv(ones({1, 1, 9, 9})).shape(), (Shape{1, 1, 7, 7}));
  BatchNorm1d norm(2);
  norm->options.track_running_stats = false;
  norm(randn({4, 2}));
  EXPECT_EQ(norm->running_mean.to_vector<float>(), Floats(2, 0));
}

TEST(Layers, InPlaceOverwritesTheInput) {
  Tensor x = values({-1, 2}, {2});
  EXPECT_TRUE(ReLU({.inplace = true})(x).is_same(x));
  EXPECT_EQ(x.to_vector<float>(), (Floats{0, 2}));
  Tensor y = values({-1, 2}, {2}), want = SiLU()(y);
  EXPECT_TRUE(SiLU({.inplace = true})(y).is_same(y));
  EXPECT_EQ(y.to_vector<float>(), want.to_vector<float>());
  Dropout(DropoutOptions(1, true))(y);
  EXPECT_EQ(y.to_vector<float>(), Floats(2, 0));
}

TEST(Sequential, NamesOfAppendedModulesAreNew) {
  Sequential net(Sequential::NamedList{{"1", ReLU()}});
  net->append(Tanh()).append(SiLU());
  EXPECT_EQ(net->child_names(), (std::vector<std::string>{"1", "2", "3"}));
}

}  // namespace
}  // namespace thixo::nn
