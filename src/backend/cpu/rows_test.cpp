// Attention, running sums and channel sums against plain loops, and the same bits for any threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "ir/dispatch.h"
#include "private_ops.h"
#include "thixo/parallel.h"
#include "thixo/tensor.h"

namespace thixo {
namespace {

std::mt19937 g_random(3);

Tensor reals(const Shape& shape, DType t = DType::F32) {
  Tensor v = empty(shape, {.dtype = DType::F64});
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < v.numel().value(); ++i) v.data<double>()[i] = normal(g_random);
  return v.to(t);
}
std::vector<double> doubles(const Tensor& t) { return t.to(DType::F64).to_vector<double>(); }

void expect_near(const Tensor& got, const std::vector<double>& want, double tolerance, const std::string& what) {
  const std::vector<double> have = doubles(got);
  ASSERT_EQ(have.size(), want.size()) << what;
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(have[i], want[i], tolerance * (1 + std::abs(want[i]))) << what << " at " << i;
  }
}
void expect_near(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  expect_near(got, doubles(want), tolerance, what);
}
void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const Tensor x = a.contiguous(), y = b.contiguous();
  EXPECT_EQ(std::memcmp(x.raw_data(), y.raw_data(), x.nbytes()), 0) << what;
}

/// softmax(q k^T * scale + bias) v by loops over one batch of matrices; bias may be empty.
struct Attention {
  int64_t batch, rows, columns, features, values;
  std::vector<double> p, out;
  Attention(const Tensor& q, const Tensor& k, const Tensor& v, const std::vector<double>& bias, bool causal,
            double scale)
      : batch(q.size(0)), rows(q.size(1)), columns(k.size(1)), features(q.size(2)), values(v.size(2)) {
    const std::vector<double> a = doubles(q), b = doubles(k), c = doubles(v);
    p.assign(static_cast<size_t>(batch * rows * columns), 0);
    out.assign(static_cast<size_t>(batch * rows * values), 0);
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t i = 0; i < rows; ++i) {
        double* row = &p[static_cast<size_t>((n * rows + i) * columns)];
        double sum = 0;
        for (int64_t j = 0; j < columns; ++j) {
          double s = 0;
          for (int64_t f = 0; f < features; ++f) {
            s += a[static_cast<size_t>((n * rows + i) * features + f)] *
                 b[static_cast<size_t>((n * columns + j) * features + f)];
          }
          s *= scale;
          if (!bias.empty()) s += bias[static_cast<size_t>(i * columns + j)];
          row[j] = causal && j > i ? 0 : std::exp(s);
          sum += row[j];
        }
        for (int64_t j = 0; j < columns; ++j) {
          row[j] = sum == 0 ? 0 : row[j] / sum;
          for (int64_t f = 0; f < values; ++f) {
            out[static_cast<size_t>((n * rows + i) * values + f)] +=
                row[j] * c[static_cast<size_t>((n * columns + j) * values + f)];
          }
        }
      }
    }
  }
};

TEST(Attention, AgainstLoops) {
  struct Case {
    int64_t batch, rows, columns, features, values;
    bool causal;
  };
  for (const Case& c :
       {Case{1, 1, 1, 1, 1, false}, Case{3, 5, 7, 4, 6, false}, Case{2, 40, 40, 16, 16, true},
        Case{20, 130, 150, 8, 24, false}, Case{1, 300, 300, 32, 32, true}, Case{2, 33, 20, 8, 8, true}}) {
    for (DType t : {DType::F32, DType::F64, DType::BF16}) {
      Tensor q = reals({c.batch, c.rows, c.features}, t), k = reals({c.batch, c.columns, c.features}, t);
      Tensor v = reals({c.values, c.batch, c.columns}, t).movedim(0, -1);  // in an order of its own
      const double scale = 1 / std::sqrt(static_cast<double>(c.features));
      const Attention want(q, k, v, {}, c.causal, scale);
      Tensor y = scaled_dot_product_attention(q, k, v, Tensor(), 0, c.causal);
      expect_near(y, want.out, t == DType::F64 ? 1e-12 : t == DType::F32 ? 2e-5 : 3e-2, "attention");
    }
  }
}

TEST(Attention, Masks) {
  Tensor q = reals({2, 6, 4}), k = reals({2, 9, 4}), v = reals({2, 9, 5}), bias = reals({6, 9});
  expect_near(scaled_dot_product_attention(q, k, v, bias), Attention(q, k, v, doubles(bias), false, 0.5).out, 2e-5,
              "added");
  std::vector<double> minus;
  Tensor keep = empty({6, 9}, {.dtype = DType::Bool});
  for (int i = 0; i < 54; ++i) {
    const bool take = i % 3 != 0 && i / 9 != 4;  // nothing in row 4
    keep.data<bool>()[i] = take;
    minus.push_back(take ? 0 : -HUGE_VAL);
  }
  Tensor y = scaled_dot_product_attention(q, k, v, keep);
  expect_near(y, Attention(q, k, v, minus, false, 0.5).out, 2e-5, "bools");
  EXPECT_EQ(doubles(y.select(1, 4)), std::vector<double>(10, 0.0)) << "a row without anything to see";
}

/// Both results of attention: the log-sums are hidden from callers.
std::pair<Tensor, Tensor> attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, bool causal,
                                 double scale) {
  static const OpDef* op = find_op("attention");
  const Tensor in[] = {q, k, v, mask};
  const Attr attrs[] = {causal, scale};
  const Values results = dispatch(Call{op, in, attrs, {}});
  return {results[0], results[1]};
}

TEST(Attention, Backward) {
  for (bool causal : {false, true}) {
    for (bool masked : {false, true}) {
      Tensor q = reals({3, 70, 8}, DType::F64), k = reals({3, 70, 8}, DType::F64), v = reals({3, 70, 6}, DType::F64),
             g = reals({3, 70, 6}, DType::F64);
      Tensor mask = masked ? reals({70, 70}, DType::F64) : Tensor();
      auto [y, lse] = attend(q, k, v, mask, causal, 0.3);
      auto [dq, dk, dv] = attention_backward(g, q, k, v, y, lse, mask, causal, 0.3);
      const Attention ref(q, k, v, masked ? doubles(mask) : std::vector<double>(), causal, 0.3);
      Tensor p = tensor(ref.p, {3, 70, 70});
      Tensor dp = matmul(g, v.transpose(-2, -1)), ds = p * (dp - (dp * p).sum(-1, true)) * 0.3;
      expect_near(dq, matmul(ds, k), 1e-10, "query");
      expect_near(dk, matmul(ds.transpose(-2, -1), q), 1e-10, "key");
      expect_near(dv, matmul(p.transpose(-2, -1), g), 1e-10, "value");
    }
  }
}

TEST(Attention, SameBitsForAnyThreads) {
  const int before = get_num_threads();
  Tensor q = reals({3, 200, 16}), k = reals({3, 210, 16}), v = reals({3, 210, 16}), g = reals({3, 200, 16});
  std::vector<Tensor> want;
  for (int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    auto [y, lse] = attend(q, k, v, Tensor(), true, 0.25);
    auto [dq, dk, dv] = attention_backward(g, q, k, v, y, lse, Tensor(), true, 0.25);
    const std::vector<Tensor> got{y, lse, dq, dk, dv};
    if (want.empty()) want = got;
    for (size_t i = 0; i < got.size(); ++i) expect_same_bits(got[i], want[i], "result " + std::to_string(i));
  }
  set_num_threads(before);
}

/// Running sums along dim d of a row-major array.
std::vector<double> running(const Tensor& x, int64_t d) {
  std::vector<double> v = doubles(x);
  int64_t inner = 1;
  for (int64_t i = d + 1; i < x.dim(); ++i) inner *= x.size(i).value();
  const int64_t n = x.size(d), outer = x.numel().value() / (inner * n);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t k = 1; k < n; ++k) {
      for (int64_t i = 0; i < inner; ++i)
        v[static_cast<size_t>((o * n + k) * inner + i)] += v[static_cast<size_t>((o * n + k - 1) * inner + i)];
    }
  }
  return v;
}

TEST(Cumsum, AgainstLoops) {
  for (const Shape& s : {Shape{1}, Shape{5}, Shape{1000}, Shape{70000}, Shape{3, 200000}, Shape{30, 50},
                         Shape{7, 3, 40}, Shape{2, 3, 4, 5}}) {
    for (int64_t d = 0; d < static_cast<int64_t>(s.size()); ++d) {
      Tensor x = reals(s, DType::F64);
      expect_near(cumsum(x, d), running(x, d), 1e-9, shape_str(s));
      expect_near(cumsum_reverse(x, d), cumsum(x.flip({d}), d).flip({d}), 1e-9, shape_str(s) + " from the end");
      expect_near(cumsum(x.to(DType::F32), d), running(x, d), 2e-3, shape_str(s));
    }
  }
  Tensor x = reals({40, 30}, DType::F64).transpose(0, 1);
  expect_near(cumsum(x, 0), running(x, 0), 1e-12, "transposed");
  expect_near(cumsum(x.slice(1, 0, 40, 3), 1), running(x.slice(1, 0, 40, 3), 1), 1e-12, "every third");
}

TEST(Cumsum, Dtypes) {
  Tensor x = tensor(std::vector<int32_t>{1, 2, 3, -5}, {4});
  EXPECT_EQ(cumsum(x, 0).to_vector<int64_t>(), (std::vector<int64_t>{1, 3, 6, 1}));
  EXPECT_EQ(cumsum(x.to(DType::Bool), 0).to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(cumsum(x, 0, {.dtype = DType::I8}).to_vector<int8_t>(), (std::vector<int8_t>{1, 3, 6, 1}));
  EXPECT_EQ(doubles(cumsum(x, 0, {.dtype = DType::BF16})), (std::vector<double>{1, 3, 6, 1}));
}

TEST(Cumsum, SameBitsForAnyThreads) {
  const int before = get_num_threads();
  Tensor x = reals({500000}), y = reals({300, 400});
  set_num_threads(1);
  Tensor one = cumsum(x, 0), rows = cumsum(y, 1), columns = cumsum(y, 0);
  for (int threads : {2, 3, 4}) {
    set_num_threads(threads);
    expect_same_bits(cumsum(x, 0), one, "long");
    expect_same_bits(cumsum(y, 1), rows, "rows");
    expect_same_bits(cumsum(y, 0), columns, "columns");
  }
  set_num_threads(before);
}

TEST(ChannelSums, EveryLayout) {
  for (const Shape& s :
       {Shape{6, 3}, Shape{600, 5}, Shape{4, 3, 7}, Shape{3, 20, 6, 5}, Shape{1, 2, 30, 40}, Shape{2, 1, 4, 4}}) {
    for (bool centred : {false, true}) {
      Tensor x = reals(s, DType::F64), y = reals(s, DType::F64), mean = reals({s[1]}, DType::F64);
      Shape wide{1, s[1]};
      IntList dims{0};
      for (size_t d = 2; d < s.size(); ++d) {
        wide.push_back(1);
        dims.push_back(static_cast<int64_t>(d));
      }
      Tensor m = mean.reshape(wide), a = centred ? x - m : x;
      Tensor sum = a.sum(dims), dot = (a * (y - m)).sum(dims);
      std::vector<std::pair<Tensor, Tensor>> layouts{{x, y}, {x.transpose(0, 1).contiguous().transpose(0, 1), y}};
      if (s.size() == 4) {
        layouts.emplace_back(x.contiguous(channels_last), y.contiguous(channels_last));
        layouts.emplace_back(x.contiguous(channels_last), y);
      }
      for (const auto& [p, q] : layouts) {
        auto [got_sum, got_dot] = channel_sums(p, q, mean, centred);
        expect_near(got_sum, sum, 1e-10, shape_str(s));
        expect_near(got_dot, dot, 1e-10, shape_str(s));
      }
      auto [f_sum, f_dot] = channel_sums(x.to(DType::F32), y.to(DType::F32), mean.to(DType::F32), centred);
      expect_near(f_dot, dot, 1e-3, shape_str(s) + " f32");
    }
  }
}

}  // namespace
}  // namespace thixo
