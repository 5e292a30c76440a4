// Contractions against plain loops: shapes, strides, dtypes, both engines, and the same bits for any threads.
#include <gtest/gtest.h>

#include <complex>
#include <cstring>
#include <random>

#include "backend/cpu/onednn.h"
#include "core/record.h"
#include "private_ops.h"
#include "thixo/autograd.h"
#include "thixo/backend.h"
#include "thixo/parallel.h"
#include "thixo/tensor.h"

namespace thixo {
namespace {

std::mt19937 g_random(7);
int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(g_random); }

/// Small integers: products and sums of a few hundred are exact in every dtype that is tested with them.
Tensor whole_numbers(const Shape& shape, DType t = DType::F32, int64_t most = 3) {
  Tensor v = empty(shape, {.dtype = DType::F64});
  for (int64_t i = 0; i < v.numel().value(); ++i) v.data<double>()[i] = static_cast<double>(pick(-most, most));
  return v.to(t);
}
Tensor reals(const Shape& shape) {
  Tensor v = empty(shape);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < v.numel().value(); ++i) v.data<float>()[i] = normal(g_random);
  return v;
}

std::vector<double> doubles(const Tensor& t) { return t.to(DType::F64).to_vector<double>(); }

void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  const Tensor x = a.contiguous(), y = b.contiguous();
  EXPECT_EQ(std::memcmp(x.raw_data(), y.raw_data(), x.nbytes()), 0) << what;
}

class Deterministic {
 public:
  explicit Deterministic(bool on) { use_deterministic_algorithms(on); }
  ~Deterministic() { use_deterministic_algorithms(false); }
};
class Threads {
 public:
  Threads() : before_(get_num_threads()) {}
  ~Threads() { set_num_threads(before_); }

 private:
  int before_;
};

/// [m, k] x [k, n] by loops.
std::vector<double> product(const Tensor& a, const Tensor& b) {
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  const std::vector<double> x = doubles(a), y = doubles(b);
  std::vector<double> out(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double s = 0;
      for (int64_t p = 0; p < k; ++p) s += x[static_cast<size_t>(i * k + p)] * y[static_cast<size_t>(p * n + j)];
      out[static_cast<size_t>(i * n + j)] = s;
    }
  }
  return out;
}

/// A matrix of this shape in a random layout: as it is, transposed, or every second column of a wider one.
Tensor layout(const Shape& shape, DType t) {
  switch (pick(0, 2)) {
    case 0: return whole_numbers(shape, t);
    case 1: return whole_numbers({shape[1], shape[0]}, t).transpose(0, 1);
    default: return whole_numbers({shape[0], shape[1] * 2}, t).slice(1, 0, std::nullopt, 2);
  }
}

TEST(Matmul, AllDtypesShapesAndLayouts) {
  for (bool deterministic : {false, true}) {
    Deterministic mode(deterministic);
    for (DType t :
         {DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::I32, DType::I16, DType::I8, DType::U8}) {
      for (int round = 0; round < 12; ++round) {
        const bool narrow = item_size(t) < 4;
        const int64_t m = pick(1, 70), n = pick(1, 70),  // sums of u8, products up to 81, must not wrap
            k = narrow ? pick(1, t == DType::U8 ? 3 : 12) : pick(0, round % 4 == 0 ? 600 : 60);
        Tensor a = layout({m, k}, t), b = layout({k, n}, t);
        if (t == DType::U8) a = a * a, b = b * b;
        EXPECT_EQ(doubles(matmul(a, b)), product(a, b)) << dtype_name(t) << " " << m << " " << n << " " << k;
      }
    }
  }
}

TEST(Matmul, Complex) {
  Tensor re = whole_numbers({9, 20}), im = whole_numbers({9, 20}), re2 = whole_numbers({20, 7}),
         im2 = whole_numbers({20, 7});
  auto complex = [](const Tensor& r, const Tensor& i) {
    return r.to(DType::C64) + i.to(DType::C64) * Scalar(std::complex<double>(0, 1));
  };
  Tensor out = matmul(complex(re, im), complex(re2, im2));
  Tensor want = complex(matmul(re, re2) - matmul(im, im2), matmul(re, im2) + matmul(im, re2));
  expect_same_bits(out, want, "complex");
}

TEST(Matmul, Ranks) {
  Tensor v = whole_numbers({4}), w = whole_numbers({4}), a = whole_numbers({3, 4}), b = whole_numbers({4, 5}),
         c = whole_numbers({2, 4, 5}), d = whole_numbers({6, 1, 3, 4});
  EXPECT_EQ(matmul(v, w).shape(), Shape());
  EXPECT_EQ(doubles(matmul(v, w))[0], doubles((v * w).sum())[0]);
  expect_same_bits(matmul(a, v), matmul(a, v.unsqueeze(1)).squeeze(1), "matrix and vector");
  expect_same_bits(matmul(v, b), matmul(v.unsqueeze(0), b).squeeze(0), "vector and matrix");
  Tensor out = matmul(d, c);
  EXPECT_EQ(out.shape(), (Shape{6, 2, 3, 5}));
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 2; ++j)
      expect_same_bits(out.select(0, i).select(0, j), matmul(d.select(0, i).select(0, 0), c.select(0, j)), "batch");
  }
  Tensor folded = matmul(whole_numbers({2, 3, 4}).transpose(0, 1), b);
  EXPECT_EQ(folded.shape(), (Shape{3, 2, 5}));
  EXPECT_EQ(matmul(whole_numbers({0, 4}), b).shape(), (Shape{0, 5}));
  EXPECT_EQ(doubles(matmul(whole_numbers({2, 0}), whole_numbers({0, 2}))), std::vector<double>(4, 0.0));
}

TEST(Matmul, IntoAnOperand) {
  Tensor a = whole_numbers({20, 20}), b = whole_numbers({20, 20});
  Tensor want = matmul(a, b);
  matmul_out(a, a, b);
  expect_same_bits(a, want, "out is the first operand");
}

TEST(Linear, BiasAndLayouts) {
  for (bool deterministic : {false, true}) {
    Deterministic mode(deterministic);
    for (const Shape& lead : {Shape{}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{300}}) {
      Shape s = lead;
      s.push_back(24);
      Tensor x = whole_numbers(s), w = whole_numbers({10, 24}), b = whole_numbers({10});
      Tensor want = matmul(x, w.transpose(0, 1)) + b;
      expect_same_bits(linear(x, w, b), want, "linear");
      expect_same_bits(linear(x, w), want - b, "without bias");
    }
  }
}

// The same tests run under settings of their own (cmake/ThixoTests.cmake): what these leave of oneDNN is used.
TEST(Linear, BiasThatIsNoRowOfMemory) {
  for (DType t : {DType::F32, DType::BF16, DType::F64}) {
    const Tensor x = whole_numbers({130, 90}, t), w = whole_numbers({200, 90}, t);
    const Tensor wide = whole_numbers({200, 3}, t), one = whole_numbers({1}, t);
    for (const Tensor& bias : {wide.select(1, 1), one.expand({200})}) {
      expect_same_bits(linear(x, w, bias), linear(x, w, bias.clone(MemoryFormat::Contiguous)),
                       std::string(dtype_name(t)));
    }
  }
}

TEST(Settings, AreHeeded) {
  const auto is = [](const char* name, const char* value) {
    const char* text = std::getenv(name);
    return text != nullptr && std::string(text) == value;
  };
  if (is("DNNL_MAX_CPU_ISA", "AVX2")) {
    EXPECT_FALSE(cpu::onednn_avx512());
  }
  if (is("THIXO_ONEDNN", "0")) {
    EXPECT_FALSE(cpu::onednn_present());
  }
}

TEST(WarmUp, MayEndAtOnceAndComeAgain) {
  const Tensor a = randn({64, 48}), b = randn({48, 80});
  const Tensor before = matmul(a, b);
  for (int i = 0; i < 3; ++i) const WarmUp warm;
  const WarmUp warm;
  EXPECT_TRUE(eq(matmul(a, b), before).all().item<bool>());
}

/// Values and gradients of f with a cotangent that is not constant.
template <class F> std::vector<Tensor> with_gradients(F f, std::vector<Tensor> in) {
  for (Tensor& t : in) t = t.detach().requires_grad_();
  const Tensor y = f(in);
  std::vector<Tensor> all = autograd::grad({y}, in, {.grad_outputs = {y.detach() * 0.5}});
  all.push_back(y.detach());
  return all;
}

TEST(Matmul, SameBitsForAnyThreads) {
  Threads restore;
  for (bool deterministic : {false, true}) {
    Deterministic mode(deterministic);
    for (int round = 0; round < 25; ++round) {
      const int64_t m = pick(1, 300), n = pick(1, 300), k = pick(1, round % 5 == 0 ? 3000 : 400);
      Tensor a = pick(0, 1) == 0 ? reals({m, k}) : reals({k, m}).transpose(0, 1),
             b = pick(0, 1) == 0 ? reals({k, n}) : reals({n, k}).transpose(0, 1);
      Tensor c = reals({4, 30, 50}), d = reals({4, 50, 20}), bias = reals({m});
      set_num_threads(1);
      const auto all = [&] {
        std::vector<Tensor> results = with_gradients([](auto& v) { return matmul(v[0], v[1]); }, {a, b});
        for (const Tensor& t : with_gradients([](auto& v) { return matmul(v[0], v[1]); }, {c, d})) results.push_back(t);
        for (const Tensor& t :
             with_gradients([](auto& v) { return linear(v[0], v[1], v[2]); }, {b.transpose(0, 1), a, bias}))
          results.push_back(t);
        return results;
      };
      const std::vector<Tensor> want = all();
      for (int threads : {2, 3, 4}) {
        set_num_threads(threads);
        const std::vector<Tensor> got = all();
        for (size_t i = 0; i < got.size(); ++i) {
          expect_same_bits(got[i], want[i],
                           std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " result " +
                               std::to_string(i) + " on " + std::to_string(threads));
        }
      }
    }
  }
}

TEST(Matmul, ARowDoesNotDependOnItsPlace) {
  Deterministic mode(true);
  Tensor a = reals({100, 70}), b = reals({70, 90});
  Tensor want = matmul(a, b);
  Tensor turned = matmul(a.flip({0}), b).flip({0});
  expect_same_bits(turned, want, "rows in another order");
}

struct ConvCase {
  Shape x, w;
  IntList stride, pad, dilation;
  int64_t groups;
  std::string str() const {
    return shape_str(x) + " " + shape_str(w) + " stride " + std::to_string(stride[0]) + " " +
           std::to_string(stride[1]) + " pad " + std::to_string(pad[0]) + " " + std::to_string(pad[1]) + " dilation " +
           std::to_string(dilation[0]) + " " + std::to_string(dilation[1]) + " groups " + std::to_string(groups);
  }
};
ConvCase random_conv(int64_t most_channels) {
  ConvCase c;
  c.groups = pick(1, 3);
  const int64_t kh = pick(1, 4), kw = pick(1, 4);
  c.stride = IntList{pick(1, 3), pick(1, 3)};
  c.pad = IntList{pick(0, 2), pick(0, 2)};
  c.dilation = IntList{pick(1, 2), pick(1, 2)};
  const int64_t h = (kh - 1) * c.dilation[0] + 1 + pick(0, 12), w = (kw - 1) * c.dilation[1] + 1 + pick(0, 20);
  const int64_t in = pick(1, most_channels), out = pick(1, most_channels);
  c.x = {pick(1, 3), in * c.groups, h, w};
  c.w = {out * c.groups, in, kh, kw};
  return c;
}

/// Every product of a convolution: visit(result, input, weight) with flat indices.
template <class F> void each_product(const ConvCase& c, const Shape& y, F visit) {
  const int64_t per_c = c.w[1], per_o = c.w[0] / c.groups;
  for (int64_t n = 0; n < c.x[0]; ++n) {
    for (int64_t o = 0; o < c.w[0]; ++o) {
      for (int64_t p = 0; p < y[2]; ++p) {
        for (int64_t q = 0; q < y[3]; ++q) {
          for (int64_t i = 0; i < per_c; ++i) {
            for (int64_t a = 0; a < c.w[2]; ++a) {
              for (int64_t b = 0; b < c.w[3]; ++b) {
                const int64_t iy = p * c.stride[0] - c.pad[0] + a * c.dilation[0],
                              ix = q * c.stride[1] - c.pad[1] + b * c.dilation[1];
                if (iy < 0 || ix < 0 || iy >= c.x[2] || ix >= c.x[3]) continue;
                const int64_t ch = o / per_o * per_c + i;
                visit(static_cast<size_t>(((n * c.w[0] + o) * y[2] + p) * y[3] + q),
                      static_cast<size_t>(((n * c.x[1] + ch) * c.x[2] + iy) * c.x[3] + ix),
                      static_cast<size_t>(((o * per_c + i) * c.w[2] + a) * c.w[3] + b));
              }
            }
          }
        }
      }
    }
  }
}

TEST(Conv2d, ForwardAndGradientsAgainstLoops) {
  for (int round = 0; round < 80; ++round) {
    Deterministic mode(round % 2 == 1);
    const ConvCase c = random_conv(round % 8 < 2 ? 40 : 6);
    const DType t = round % 5 == 4 ? DType::F64 : DType::F32;
    Tensor x = whole_numbers(c.x, t), w = whole_numbers(c.w, t), bias = whole_numbers({c.w[0]}, t);
    if (round % 3 == 0) x = x.contiguous(channels_last);
    Tensor y = conv2d(x, w, bias, c.stride, c.pad, c.dilation, c.groups);
    Tensor g = whole_numbers(y.shape(), t);
    if (round % 3 == 0) g = g.contiguous(channels_last);
    const std::vector<double> vx = doubles(x), vw = doubles(w), vg = doubles(g), vb = doubles(bias);
    std::vector<double> want(static_cast<size_t>(y.numel().value())), dx(vx.size()), dw(vw.size());
    const size_t plane = static_cast<size_t>((y.shape()[2] * y.shape()[3]).value());
    for (size_t i = 0; i < want.size(); ++i) want[i] = vb[i / plane % vb.size()];
    each_product(c, y.shape(), [&](size_t r, size_t i, size_t k) {
      want[r] += vx[i] * vw[k];
      dx[i] += vg[r] * vw[k];
      dw[k] += vg[r] * vx[i];
    });
    EXPECT_EQ(doubles(y), want) << c.str();
    EXPECT_EQ(doubles(conv2d_input_grad(g, w, c.x, c.stride, c.pad, c.dilation, c.groups)), dx) << c.str();
    EXPECT_EQ(doubles(conv2d_weight_grad(g, x, IntList{c.w[2], c.w[3]}, c.stride, c.pad, c.dilation, c.groups)), dw)
        << c.str();
  }
}

TEST(Conv2d, SixteenBitsAndNoBatch) {
  Tensor x = whole_numbers({3, 8, 9}), w = whole_numbers({4, 3, 3, 3});
  Tensor y = conv2d(x, w, Tensor(), 1, 1);
  expect_same_bits(y, conv2d(x.unsqueeze(0), w, Tensor(), 1, 1).squeeze(0), "no batch");
  for (DType t : {DType::F16, DType::BF16})
    expect_same_bits(conv2d(x.to(t), w.to(t), Tensor(), 1, 1), y.to(t), "16 bits");
}

/// Views whose elements share places: windows over a row, expanded images and weights.
TEST(Conv2d, OverlappingViews) {
  const Tensor row = reals({400});
  const Tensor x = row.as_strided({2, 3, 8, 8}, {5, 64, 4, 1}), w = row.as_strided({4, 3, 3, 3}, {7, 9, 2, 1});
  const Tensor wide = reals({1, 1, 8, 8}).expand({2, 3, 8, 8}), same = reals({4, 1, 1, 1}).expand({4, 3, 3, 3});
  for (const Tensor& image : {x, wide}) {
    for (const Tensor& weight : {w, same}) {
      const Tensor plain = image.contiguous(), plain_weight = weight.contiguous();
      auto close = [](const Tensor& a, const Tensor& b) {
        EXPECT_LE((a - b).abs().amax().item(), 1e-4 * b.abs().amax().item());
      };
      const Tensor y = conv2d(plain, plain_weight, Tensor(), 1, 1);
      close(conv2d(image, weight, Tensor(), 1, 1), y);
      close(conv2d_input_grad(y, weight, x.shape(), 1, 1, 1, 1),
            conv2d_input_grad(y, plain_weight, x.shape(), 1, 1, 1, 1));
      close(conv2d_weight_grad(y, image, IntList{3, 3}, 1, 1, 1, 1),
            conv2d_weight_grad(y, plain, IntList{3, 3}, 1, 1, 1, 1));
    }
  }
}

TEST(Conv2d, SameBitsForAnyThreads) {
  Threads restore;
  for (int round = 0; round < 24; ++round) {
    Deterministic mode(round % 2 == 1);
    ConvCase c = random_conv(round % 3 == 0 ? 64 : 24);
    c.x[0] = pick(1, 20);
    Tensor x = reals(c.x), w = reals(c.w), bias = reals({c.w[0]});
    if (round % 4 == 0) x = x.contiguous(channels_last);
    std::vector<Tensor> want;
    for (int threads : {1, 2, 3, 4}) {
      set_num_threads(threads);
      Tensor y = conv2d(x, w, bias, c.stride, c.pad, c.dilation, c.groups);
      Tensor g = y.detach();
      std::vector<Tensor> got{y, conv2d_input_grad(g, w, c.x, c.stride, c.pad, c.dilation, c.groups),
                              conv2d_weight_grad(g, x, IntList{c.w[2], c.w[3]}, c.stride, c.pad, c.dilation, c.groups)};
      if (threads == 1) {
        want = got;
        continue;
      }
      for (size_t i = 0; i < 3; ++i)
        expect_same_bits(got[i], want[i], c.str() + " result " + std::to_string(i) + " on " + std::to_string(threads));
    }
  }
}

TEST(Conv2d, WhatTheLibraryCannotDoIsAnErrorOfOurs) {
  const Tensor x = ones({1, 1, 4, 4}), w = ones({1, 1, 2, 2});
  for (const int64_t huge : {int64_t{1} << 30, int64_t{1} << 40}) {
    EXPECT_THROW(conv2d(x, w, Tensor(), huge, huge), Error) << huge;
  }
}

TEST(Conv2d, LayoutFollowsTheInput) {
  Tensor x = reals({2, 8, 6, 6}), w = reals({8, 8, 3, 3});
  EXPECT_TRUE(conv2d(x, w).is_contiguous());
  EXPECT_TRUE(conv2d(x.contiguous(channels_last), w).is_contiguous(channels_last));
}

}  // namespace
}  // namespace thixo
