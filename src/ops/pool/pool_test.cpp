// Pooling against plain loops, forward and backward.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "private_ops.h"
#include "thixo/tensor.h"

namespace thixo {
namespace {

std::mt19937 g_random(5);
int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(g_random); }

Tensor distinct(const Shape& shape) {
  Tensor t = empty(shape, {.dtype = DType::F64});
  std::vector<double> v;
  for (int64_t i = 0; i < t.numel().value(); ++i) v.push_back(static_cast<double>(i));
  std::shuffle(v.begin(), v.end(), g_random);
  std::copy(v.begin(), v.end(), t.data<double>());
  return t;
}

struct Case {
  Shape x;
  int64_t kernel[2], stride[2], pad[2], dilation[2];
  bool ceil;
  IntList list(const int64_t* v) const { return IntList{v[0], v[1]}; }
  std::string str() const {
    std::string s = shape_str(x);
    for (const int64_t* v : {kernel, stride, pad, dilation})
      s += " " + std::to_string(v[0]) + "x" + std::to_string(v[1]);
    return s + (ceil ? " ceil" : "");
  }
};
Case random_case(bool dilated) {
  Case c;
  c.ceil = pick(0, 1) == 1;
  c.x = {pick(1, 3), pick(1, 4), 0, 0};
  for (size_t d = 0; d < 2; ++d) {
    c.kernel[d] = pick(1, 4);
    c.stride[d] = pick(1, 4);
    c.pad[d] = pick(0, c.kernel[d] / 2);
    c.dilation[d] = dilated ? pick(1, 2) : 1;
    c.x[2 + d] = c.dilation[d] * (c.kernel[d] - 1) + 1 + pick(0, 20);
  }
  return c;
}

/// visit(result index, row, column) for every place in every window of one channel, padding included.
template <class F> void each_place(const Case& c, const Shape& y, F visit) {
  for (int64_t r = 0; r < y[2]; ++r) {
    for (int64_t q = 0; q < y[3]; ++q) {
      for (int64_t i = 0; i < c.kernel[0]; ++i) {
        for (int64_t j = 0; j < c.kernel[1]; ++j) {
          visit(r * y[3] + q, r * c.stride[0] - c.pad[0] + i * c.dilation[0],
                q * c.stride[1] - c.pad[1] + j * c.dilation[1]);
        }
      }
    }
  }
}

TEST(MaxPool2d, AgainstLoops) {
  for (int round = 0; round < 60; ++round) {
    const Case c = random_case(true);
    Tensor x = distinct(c.x);
    auto [y, at] =
        max_pool2d_with_indices(x, c.list(c.kernel), c.list(c.stride), c.list(c.pad), c.list(c.dilation), c.ceil);
    const int64_t h = c.x[2], w = c.x[3], plane = h * w, places = y.size(2) * y.size(3);
    const std::vector<double> vx = x.to_vector<double>();
    std::vector<double> want(static_cast<size_t>(y.numel().value()), -HUGE_VAL), dx(vx.size(), 0);
    std::vector<int64_t> index(want.size(), -1);
    for (int64_t n = 0; n < c.x[0] * c.x[1]; ++n) {
      each_place(c, y.shape(), [&](int64_t o, int64_t r, int64_t q) {
        if (r < 0 || q < 0 || r >= h || q >= w) return;
        const double v = vx[static_cast<size_t>(n * plane + r * w + q)];
        const auto k = static_cast<size_t>(n * places + o);
        if (v <= want[k]) return;
        want[k] = v;
        index[k] = r * w + q;
      });
    }
    EXPECT_EQ(y.to_vector<double>(), want) << c.str();
    EXPECT_EQ(at.to_vector<int64_t>(), index) << c.str();
    EXPECT_EQ(max_pool2d(x, c.list(c.kernel), c.list(c.stride), c.list(c.pad), c.list(c.dilation), c.ceil)
                  .to_vector<double>(),
              want)
        << c.str();
    Tensor g = distinct(y.shape());
    const std::vector<double> vg = g.to_vector<double>();
    for (size_t k = 0; k < index.size(); ++k)
      dx[k / static_cast<size_t>(places) * static_cast<size_t>(plane) + static_cast<size_t>(index[k])] += vg[k];
    const Shape window{c.kernel[0], c.kernel[1], c.stride[0],   c.stride[1],
                       c.pad[0],    c.pad[1],    c.dilation[0], c.dilation[1]};
    EXPECT_EQ(window_give(g, at, window, Shape{h, w}).to_vector<double>(), dx) << c.str();
    EXPECT_EQ(window_max_backward(g, x, window).to_vector<double>(), dx) << c.str();
    EXPECT_EQ(window_take(x, at, window).to_vector<double>(), want) << c.str();
  }
}

TEST(MaxPool2d, NanAndDtypes) {
  Tensor x = tensor(std::vector<float>{1, NAN, 3, 4}, {1, 2, 2});
  EXPECT_TRUE(std::isnan(max_pool2d(x, 2).item()));
  EXPECT_EQ(std::get<1>(max_pool2d_with_indices(x, 2)).item<int64_t>(), 1);
  for (DType t : {DType::F16, DType::BF16, DType::I64, DType::U8}) {
    Tensor v = tensor(std::vector<float>{1, 5, 3, 4}, {1, 2, 2}).to(t);
    EXPECT_EQ(max_pool2d(v, 2).item(), 5.0) << dtype_name(t);
    EXPECT_EQ(std::get<1>(max_pool2d_with_indices(v, 2)).item<int64_t>(), 1) << dtype_name(t);
  }
}

TEST(MaxPool2d, GradientGoesToTheFirstOfEqualOnes) {
  const Shape window{2, 2, 2, 2, 0, 0, 1, 1};
  for (DType t : {DType::F64, DType::F32, DType::F16, DType::BF16}) {
    // Every order of three values and a nan in a window, as one row of windows.
    std::vector<float> upper, lower, given;
    for (int code = 0; code < 256; ++code) {
      const float values[] = {1, 2, 3, NAN};
      for (int k = 0; k < 2; ++k) upper.push_back(values[code >> 2 * k & 3]);
      for (int k = 2; k < 4; ++k) lower.push_back(values[code >> 2 * k & 3]);
      given.push_back(static_cast<float>(code + 1));
    }
    upper.insert(upper.end(), lower.begin(), lower.end());
    const Tensor x = tensor(upper, {1, 2, 512}).to(t), g = tensor(given, {1, 1, 256}).to(t);
    const Tensor place = window_place(x, window_max(x, window, Shape{1, 256}), window);
    EXPECT_EQ(window_max_backward(g, x, window).to(DType::F32).to_vector<float>(),
              window_give(g, place, window, Shape{2, 512}).to(DType::F32).to_vector<float>())
        << dtype_name(t);
  }
}

TEST(MaxPool2d, GradientOfNanAndInfinity) {
  Tensor x = tensor(std::vector<float>{1, NAN, NAN, 4, -HUGE_VALF, -HUGE_VALF, -HUGE_VALF, -HUGE_VALF}, {2, 2, 2});
  const Tensor g = tensor(std::vector<float>{3, 5}, {2, 1, 1});
  EXPECT_EQ(window_max_backward(g, x, Shape{2, 2, 2, 2, 0, 0, 1, 1}).to_vector<float>(),
            (std::vector<float>{0, 3, 0, 0, 5, 0, 0, 0}));
}

TEST(AvgPool2d, AgainstLoops) {
  for (int round = 0; round < 60; ++round) {
    const Case c = random_case(false);
    const bool include = pick(0, 1) == 1;
    const std::optional<Dim> by = pick(0, 3) == 0 ? std::optional<Dim>(7) : std::nullopt;
    Tensor x = distinct(c.x);
    Tensor y = avg_pool2d(x, c.list(c.kernel), c.list(c.stride), c.list(c.pad), c.ceil, include, by);
    const int64_t h = c.x[2], w = c.x[3], plane = h * w, places = y.size(2) * y.size(3);
    const std::vector<double> vx = x.to_vector<double>();
    std::vector<double> count(static_cast<size_t>(places), 0);
    each_place(c, y.shape(), [&](int64_t o, int64_t r, int64_t q) {
      const bool inside = r >= 0 && q >= 0 && r < h && q < w, padded = r < h + c.pad[0] && q < w + c.pad[1];
      count[static_cast<size_t>(o)] += include ? padded : inside;
    });
    Tensor g = distinct(y.shape());
    const std::vector<double> vg = g.to_vector<double>();
    std::vector<double> want(vg.size(), 0), dx(vx.size(), 0);
    for (int64_t n = 0; n < c.x[0] * c.x[1]; ++n) {
      each_place(c, y.shape(), [&](int64_t o, int64_t r, int64_t q) {
        if (r < 0 || q < 0 || r >= h || q >= w) return;
        const double share = by ? 7 : count[static_cast<size_t>(o)];
        const auto i = static_cast<size_t>(n * plane + r * w + q), k = static_cast<size_t>(n * places + o);
        want[k] += vx[i] / share;
        dx[i] += vg[k] / share;
      });
    }
    const std::vector<double> vy = y.to_vector<double>();
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(vy[i], want[i], 1e-9 * (1 + std::abs(want[i]))) << c.str();
    const Shape window{c.kernel[0], c.kernel[1], c.stride[0], c.stride[1], c.pad[0], c.pad[1], 1, 1};
    const std::vector<double> got = window_share(g, window, Shape{h, w}, include, by).to_vector<double>();
    for (size_t i = 0; i < dx.size(); ++i) ASSERT_NEAR(got[i], dx[i], 1e-9 * (1 + std::abs(dx[i]))) << c.str();
  }
}

}  // namespace
}  // namespace thixo
