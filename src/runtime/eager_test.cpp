// Eager ops against plain loops: layouts, dtypes, broadcasting, in-place forms and threads.
#include <gtest/gtest.h>

#include "base/streaming.h"
#include "runtime/test_values.h"
#include "thixo/parallel.h"

namespace thixo {
namespace {

using test::random_tensor;
using test::values;

template <class F> void expect_binary(const Tensor& r, const Tensor& a, const Tensor& b, F f) {
  const std::vector<float> x = values(a), y = values(b), z = values(r);
  ASSERT_EQ(z.size(), x.size());
  ASSERT_EQ(z.size(), y.size());
  for (size_t i = 0; i < z.size(); ++i) ASSERT_EQ(z[i], f(x[i], y[i])) << "element " << i;
}

float add_f(float a, float b) { return a + b; }

TEST(EagerPointwise, ContiguousOfManySizes) {
  for (int64_t n : {1, 2, 15, 16, 17, 100, 4096, 40000, 100003}) {
    Tensor a = random_tensor({n}, 1), b = random_tensor({n}, 2);
    for (int repeat = 0; repeat < 2; ++repeat) expect_binary(a + b, a, b, add_f);  // planned, then the fast path
  }
}

TEST(EagerPointwise, ResultsLargerThanTheCaches) {
  const int64_t n = static_cast<int64_t>(kStreamFrom / 4) + 12345;
  const Tensor a = random_tensor({n}, 1), b = random_tensor({n}, 2);
  for (const Tensor& r : {a + b, add(a, b)}) {
    const float *x = a.data<float>(), *y = b.data<float>(), *z = r.data<float>();
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(z[i], x[i] + y[i]) << "element " << i;
  }
  const Tensor scaled = clamp(a, -0.5, 0.5) * 2.0;
  const float *x = a.data<float>(), *z = scaled.data<float>();
  for (int64_t i = 0; i < n; ++i) ASSERT_EQ(z[i], std::clamp(x[i], -0.5F, 0.5F) * 2.0F) << "element " << i;
}

TEST(EagerPointwise, Layouts) {
  Tensor a = random_tensor({37, 130}, 1), b = random_tensor({130, 37}, 2), c = random_tensor({37, 260}, 3);
  expect_binary(a + b.transpose(0, 1), a, b.transpose(0, 1), add_f);
  Tensor both = b.transpose(0, 1) + b.transpose(0, 1);
  expect_binary(both, b.transpose(0, 1), b.transpose(0, 1), add_f);
  EXPECT_EQ(both.strides(), b.transpose(0, 1).strides()) << "the layout follows the operands'";
  Tensor sliced = c.slice(1, 0, 260, 2);
  expect_binary(a + sliced, a, sliced, add_f);
  expect_binary(sliced + sliced, sliced, sliced, add_f);
}

TEST(EagerPointwise, PermutedOfThreeDims) {
  Tensor a = random_tensor({20, 30, 40}, 1), b = random_tensor({40, 20, 30}, 2);
  Tensor moved = b.transpose(0, 1).transpose(1, 2);  // [20, 30, 40]
  expect_binary(a + moved, a, moved, add_f);
  expect_binary(moved + a, moved, a, add_f);
}

TEST(EagerPointwise, Broadcast) {
  Tensor a = random_tensor({8, 1, 50}, 1), b = random_tensor({6, 1}, 2);
  Tensor r = a + b;
  EXPECT_EQ(r.shape(), (Shape{8, 6, 50}));
  expect_binary(r, a.expand({8, 6, 50}), b.expand({8, 6, 50}), add_f);
  Tensor row = random_tensor({50}, 3), column = random_tensor({1000, 1}, 4), thin = random_tensor({1000, 3}, 5);
  expect_binary(a + row, a, row.expand({8, 1, 50}), add_f);
  expect_binary(thin + column, thin, column.expand({1000, 3}), add_f);
  expect_binary(column + row, column.expand({1000, 50}), row.expand({1000, 50}), add_f);
}

TEST(EagerPointwise, NumbersKeepTheirDigits) {
  const Tensor x = tensor(std::vector<double>{0.5, -1}, {2});
  EXPECT_EQ((x * 0.1).to_vector<double>(), (std::vector<double>{0.5 * 0.1, -0.1}));
  EXPECT_EQ((x.reshape({2, 1}) + 0.1).to_vector<double>(), (std::vector<double>{0.5 + 0.1, -1 + 0.1}));
  EXPECT_EQ((x.to(float32) * 0.1).dtype(), float32);
  EXPECT_EQ((tensor(std::vector<int64_t>{1}, {1}) * 0.1).dtype(), float32) << "a number takes the default dtype";
}

TEST(EagerPointwise, NumbersAndTensorsWithoutDims) {
  Tensor a = random_tensor({100});
  for (int repeat = 0; repeat < 2; ++repeat) {
    expect_binary(a + 2, a, a, [](float x, float) { return x + 2; });
    expect_binary(2.5 - a, a, a, [](float x, float) { return 2.5f - x; });
  }
  Tensor s = random_tensor({});
  EXPECT_EQ((s + s).item(), s.item() + s.item());
  expect_binary(a * s, a, s.expand({100}), [](float x, float y) { return x * y; });
  EXPECT_EQ((a + 2).dtype(), DType::F32);
  EXPECT_EQ((tensor<int64_t>({1, 2}, {2}) + 2.5).dtype(), DType::F32);
}

TEST(EagerPointwise, Empty) {
  Tensor a = empty({0, 3}), b = empty({3});
  EXPECT_EQ((a + b).shape(), (Shape{0, 3}));
  EXPECT_EQ((a + a).shape(), (Shape{0, 3}));
}

TEST(EagerPointwise, MixedDtypes) {
  Tensor i = tensor<int32_t>({1, -2, 3}, {3}), f = tensor<float>({0.5f, 1, 2}, {3});
  EXPECT_EQ((i + f).to_vector<float>(), (std::vector<float>{1.5f, -1, 5}));
  Tensor u = tensor<uint8_t>({200, 100}, {2});
  EXPECT_EQ((u + u).dtype(), DType::U8);
  EXPECT_EQ((u + u).to_vector<uint8_t>(), (std::vector<uint8_t>{144, 200}));
  Tensor big = tensor<uint64_t>({~uint64_t{0}, 1}, {2});
  EXPECT_EQ((big < 2).to_vector<bool>(), (std::vector<bool>{false, true}));
  Tensor h = f.to(DType::F16);
  EXPECT_EQ((h + h).dtype(), DType::F16);
  EXPECT_EQ((h + h).to(DType::F32).to_vector<float>(), (std::vector<float>{1, 2, 4}));
  EXPECT_EQ((i < f).to_vector<bool>(), (std::vector<bool>{false, true, false}));
}

TEST(EagerPointwise, HalfAcrossLayouts) {
  Tensor a = random_tensor({70, 90}, 1).to(DType::BF16), b = random_tensor({90, 70}, 2).to(DType::BF16);
  Tensor r = a + b.transpose(0, 1);
  Tensor want = (a.to(DType::F32) + b.transpose(0, 1).to(DType::F32)).to(DType::BF16).to(DType::F32);
  expect_binary(r.to(DType::F32), want, want, [](float x, float) { return x; });
}

TEST(EagerPointwise, Where) {
  Tensor a = random_tensor({3000}, 1), b = random_tensor({3000}, 2);
  expect_binary(where(a < b, a, b), a, b, [](float x, float y) { return x < y ? x : y; });
  expect_binary(where(a < b, 1.0, 0.0), a, b, [](float x, float y) { return x < y ? 1.0f : 0.0f; });
}

TEST(EagerPointwise, Attributes) {
  Tensor a = random_tensor({100}, 1), b = random_tensor({100}, 2);
  expect_binary(add(a, b, {.alpha = 2}), a, b, [](float x, float y) { return x + 2 * y; });
  expect_binary(clamp(a, -1, 1), a, a, [](float x, float) { return x < -1 ? -1 : x > 1 ? 1 : x; });
  expect_binary(clamp(a, std::nullopt, 0.5), a, a, [](float x, float) { return x > 0.5f ? 0.5f : x; });
}

TEST(EagerPointwise, InPlace) {
  Tensor a = random_tensor({5, 40}, 1), b = random_tensor({40}, 2), before = a.clone(MemoryFormat::Preserve);
  const uint32_t version = a.version();
  a.add_(b);
  EXPECT_EQ(a.version(), version + 1);
  expect_binary(a, before, b.expand({5, 40}), add_f);
  Tensor strided = a.slice(1, 0, 40, 2), kept = strided.clone(MemoryFormat::Preserve);
  strided.mul_(2);
  expect_binary(strided, kept, kept, [](float x, float) { return 2 * x; });
  EXPECT_THROW(b.add_(a), Error);
  EXPECT_THROW(tensor<int64_t>({1}, {1}).add_(1.5), Error);
}

TEST(EagerPointwise, OverlapsAreRefused) {
  Tensor a = random_tensor({10});
  EXPECT_THROW(a.slice(0, 1, 10).add_(a.slice(0, 0, 9)), Error);
  EXPECT_NO_THROW(a.slice(0, 0, 10, 2).add_(a.slice(0, 1, 10, 2)));
  EXPECT_THROW(a.slice(0, 0, 1).expand({4}).add_(1), Error);
  Tensor m = random_tensor({4, 4});
  EXPECT_NO_THROW(m.slice(1, 0, 2).add_(m.slice(1, 2, 4)));
  EXPECT_THROW(m.slice(1, 0, 2).add_(m.slice(1, 1, 3)), Error);
}

TEST(EagerCopy, TypesAndLayouts) {
  Tensor a = random_tensor({65, 130});
  expect_binary(a.transpose(0, 1).contiguous(), a.transpose(0, 1), a.transpose(0, 1), [](float x, float) { return x; });
  Tensor d = a.transpose(0, 1).to(DType::F64);
  EXPECT_EQ(d.strides(), a.transpose(0, 1).strides());
  expect_binary(d.to(DType::F32), a.transpose(0, 1), a.transpose(0, 1), [](float x, float) { return x; });
  Tensor z = empty({7, 9});
  z.fill_(3.5);
  expect_binary(z, z, z, [](float, float) { return 3.5f; });
  z.copy_(a.slice(0, 0, 7).slice(1, 0, 9));
  expect_binary(z, a.slice(0, 0, 7).slice(1, 0, 9), z, [](float x, float) { return x; });
}

TEST(EagerPointwise, MetaOnlyInfers) {
  Tensor m = empty({3, 4}, {.device = Device("meta")});
  Tensor r = m + 1;
  EXPECT_EQ(r.device().type, DeviceType::Meta);
  EXPECT_EQ(r.shape(), (Shape{3, 4}));
}

TEST(EagerPointwise, SameBitsForAnyNumberOfThreads) {
  Tensor a = random_tensor({300, 1000}, 1), b = random_tensor({1000, 300}, 2);
  const int before = get_num_threads();
  std::vector<std::vector<float>> results;
  for (int n = 1; n <= 4; ++n) {
    set_num_threads(n);
    results.push_back(values(a * b.transpose(0, 1) + a));
  }
  set_num_threads(before);
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
}

TEST(Eager, AnEnumIsOneOfItsChoices) {
  const Tensor x = ones({2});
  try {
    gelu(x, {.approximate = "x"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.headline(), "gelu: approximate must be one of 'none' 'tanh', not 'x'");
  }
  EXPECT_THROW(mse_loss(x, x, {.reduction = "men"}), Error);
}

}  // namespace
}  // namespace thixo
