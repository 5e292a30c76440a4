// Reductions against sums in double: every mix of dims and layouts, short and long, and the same bits on any number of
// threads.
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/test_values.h"
#include "thixo/parallel.h"

namespace thixo {
namespace {

using test::random_tensor;
using test::values;

/// The sum over dims by a loop over the elements; the result in row-major order.
std::vector<double> sums(const Tensor& x, const std::vector<int64_t>& dims) {
  const std::vector<float> v = values(x);
  std::vector<int64_t> step(x.shape().size(), 0);  // of the result, per dim of x
  int64_t size = 1;
  for (size_t d = step.size(); d-- > 0;) {
    if (std::find(dims.begin(), dims.end(), static_cast<int64_t>(d)) != dims.end()) continue;
    step[d] = size;
    size *= x.shape()[d].value();
  }
  std::vector<double> out(static_cast<size_t>(size), 0);
  for (size_t i = 0; i < v.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0;
    for (size_t d = step.size(); d-- > 0;) {
      at += rest % x.shape()[d].value() * step[d];
      rest /= x.shape()[d].value();
    }
    out[static_cast<size_t>(at)] += v[i];
  }
  return out;
}

void expect_sums(const Tensor& x, const std::vector<int64_t>& dims) {
  IntList list;
  for (int64_t d : dims) list.push_back(d);
  const std::vector<float> got = values(x.sum(list));
  const std::vector<double> want = sums(x, dims);
  ASSERT_EQ(got.size(), want.size());
  const double count = static_cast<double>(x.numel().value()) / static_cast<double>(want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-6 * count) << i;
}

TEST(EagerReduce, EveryChoiceOfDims) {
  const Tensor x = random_tensor({6, 37, 20});
  const Tensor turned = random_tensor({20, 6, 37}).transpose(0, 2).transpose(0, 1);  // [6, 37, 20]
  const Tensor part = random_tensor({6, 37, 45}).slice(2, 2, 42, 2);
  for (const Tensor& t : {x, turned, part}) {
    for (std::vector<int64_t> dims : {std::vector<int64_t>{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}) {
      expect_sums(t, dims);
    }
  }
  expect_sums(random_tensor({50}).reshape({1, 50}).expand({40, 50}), {0});
  expect_sums(random_tensor({50}).reshape({50, 1}).expand({50, 40}), {1});
}

TEST(EagerReduce, LongAndThin) {
  expect_sums(random_tensor({1000003}), {0});
  expect_sums(random_tensor({3, 200000}), {1});
  expect_sums(random_tensor({200000, 3}), {0});
  expect_sums(random_tensor({200000, 3}), {1});
  expect_sums(random_tensor({5000, 300}), {0});
  expect_sums(random_tensor({40, 3, 50, 50}), {0, 2, 3});
}

TEST(EagerReduce, Others) {
  Tensor x = random_tensor({9, 50});
  const std::vector<float> v = values(x), high = values(x.amax(1)), mean = values(x.mean(0, true));
  for (size_t i = 0; i < 9; ++i) {
    float m = v[i * 50];
    for (size_t j = 0; j < 50; ++j) m = std::max(m, v[i * 50 + j]);
    EXPECT_EQ(high[i], m);
  }
  for (size_t j = 0; j < 50; ++j) {
    double s = 0;
    for (size_t i = 0; i < 9; ++i) s += v[i * 50 + j];
    EXPECT_NEAR(mean[j], s / 9, 1e-6);
  }
  EXPECT_EQ((x > 2.9).any().item<int64_t>() != 0, std::any_of(v.begin(), v.end(), [](float f) { return f > 2.9f; }));
  EXPECT_EQ(tensor<int32_t>({2, 3, 4}, {3}).prod().item<int64_t>(), 24);
  EXPECT_EQ(tensor<int32_t>({2, 3, 4}, {3}).sum().dtype(), DType::I64);
  EXPECT_TRUE(std::isnan(tensor<float>({1, NAN, 2}, {3}).amax().item()));
  EXPECT_EQ(empty({0, 3}).sum(0).to_vector<float>(), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(tensor<float>({5}, {}).sum().item(), 5);
}

TEST(EagerReduce, HalfIsAddedInFloat) {
  Tensor ones16 = ones({5000}, {.dtype = DType::BF16});
  EXPECT_EQ(ones16.sum().dtype(), DType::BF16);
  EXPECT_EQ(ones16.sum().to(DType::F32).item(), 4992);  // 5000 rounded to 8 bits
  EXPECT_EQ(ones16.sum(IntList{}, false, {.dtype = DType::F32}).item(), 5000);
}

TEST(EagerReduce, LongSumsStayExact) {
  const int64_t n = 16 * 1000 * 1000;
  EXPECT_EQ(full({n}, 1.0).sum().item(), static_cast<double>(n));
  EXPECT_NEAR(full({n}, 0.1).sum().item() / (0.1 * static_cast<double>(n)), 1, 5e-6);
  EXPECT_NEAR(full({n / 8, 8}, 0.1).sum(0).amax().item() / (0.1 * static_cast<double>(n / 8)), 1, 1e-5);
}

TEST(EagerReduce, ArgmaxGivesTheFirst) {
  EXPECT_EQ(tensor<float>({1, 5, 5, 2, 7, 7}, {2, 3}).argmax(1).to_vector<int64_t>(), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(tensor<float>({1, NAN, 9}, {3}).argmax().item<int64_t>(), 1);
  Tensor x = random_tensor({40, 60});
  const std::vector<float> v = values(x);
  const std::vector<int64_t> rows = x.argmax(1).to_vector<int64_t>(), columns = x.argmax(0).to_vector<int64_t>();
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(rows[i], std::max_element(&v[i * 60], &v[i * 60] + 60) - &v[i * 60]);
  EXPECT_EQ(columns.size(), 60u);
}

TEST(EagerReduce, SameBitsForAnyNumberOfThreads) {
  const int before = get_num_threads();
  Tensor x = random_tensor({700, 901});
  std::vector<std::vector<float>> runs;
  for (int n = 1; n <= 4; ++n) {
    set_num_threads(n);
    std::vector<float> all;
    for (const Tensor& r : {x.sum(), x.sum(0), x.sum(1), x.transpose(0, 1).sum(0), x.mean(), x.softmax(0)}) {
      const std::vector<float> v = values(r);
      all.insert(all.end(), v.begin(), v.end());
    }
    runs.push_back(all);
  }
  set_num_threads(before);
  for (const auto& r : runs) EXPECT_EQ(r, runs[0]);
}

}  // namespace
}  // namespace thixo
