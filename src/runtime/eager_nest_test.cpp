// Loop nests, moves and new tensors against plain loops.
#include <gtest/gtest.h>

#include "runtime/test_values.h"
#include "thixo/generator.h"
#include "thixo/parallel.h"

namespace thixo {
namespace {

using test::random_tensor;
using test::values;

Tensor ints(const std::vector<int64_t>& v) { return tensor<int64_t>(v, {static_cast<int64_t>(v.size())}); }

/// index_select by loops over the values of x, a tensor of three dims.
std::vector<float> selected(const Tensor& x, int dim, const std::vector<int64_t>& index) {
  const std::vector<float> v = values(x);
  int64_t n[3] = {x.size(0).value(), x.size(1).value(), x.size(2).value()}, m[3] = {n[0], n[1], n[2]};
  m[dim] = static_cast<int64_t>(index.size());
  std::vector<float> out;
  for (int64_t i = 0; i < m[0]; ++i) {
    for (int64_t j = 0; j < m[1]; ++j) {
      for (int64_t k = 0; k < m[2]; ++k) {
        int64_t at[3] = {i, j, k};
        at[dim] = index[static_cast<size_t>(at[dim])];
        out.push_back(v[static_cast<size_t>((at[0] * n[1] + at[1]) * n[2] + at[2])]);
      }
    }
  }
  return out;
}

TEST(EagerNest, IndexSelectAlongEveryDim) {
  Tensor x = random_tensor({7, 5, 33});
  const std::vector<int64_t> index = {4, 0, 0, 2, 3};
  for (int d = 0; d < 3; ++d) EXPECT_EQ(values(x.index_select(d, ints(index))), selected(x, d, index)) << d;
  Tensor turned = random_tensor({33, 5, 7}).transpose(0, 2), part = random_tensor({7, 5, 50}).slice(2, 3, 36);
  for (int d = 0; d < 3; ++d) {
    EXPECT_EQ(values(turned.index_select(d, ints(index))), selected(turned, d, index)) << d;
    EXPECT_EQ(values(part.index_select(d, ints(index).to(DType::I32))), selected(part, d, index)) << d;
  }
  EXPECT_THROW(x.index_select(1, ints({5})), Error);
  EXPECT_EQ(x.index_select(1, ints({})).shape(), (Shape{7, 0, 33}));
}

TEST(EagerNest, MovedInEveryDtype) {
  Tensor x = arange(12).reshape({3, 4});
  for (DType t : {DType::F64, DType::F16, DType::BF16, DType::I8, DType::U64, DType::C64, DType::C128}) {
    Tensor y = x.to(t).index_select(0, ints({2, 0}));
    EXPECT_EQ(y.dtype(), t);
    EXPECT_EQ(y.to(DType::I64).to_vector<int64_t>(), (std::vector<int64_t>{8, 9, 10, 11, 0, 1, 2, 3}));
  }
}

TEST(EagerNest, AnIndexSmallerThanItsOperand) {
  Tensor x = arange(24).reshape({2, 3, 4});
  EXPECT_EQ(x.gather(0, zeros({1, 2, 2}, {.dtype = DType::I64})).to_vector<int64_t>(),
            (std::vector<int64_t>{0, 1, 4, 5}));
  EXPECT_EQ(x.gather(2, zeros({2, 2, 1}, {.dtype = DType::I64})).to_vector<int64_t>(),
            (std::vector<int64_t>{0, 4, 12, 16}));
}

TEST(EagerNest, GatherAndIndex) {
  Tensor x = arange(12).reshape({3, 4});
  Tensor i = tensor<int64_t>({0, 2, 1, 1}, {2, 2});
  EXPECT_EQ(x.gather(0, i).to_vector<int64_t>(), (std::vector<int64_t>{0, 9, 4, 5}));
  EXPECT_EQ(x.gather(1, i).to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 5, 5}));
  EXPECT_EQ(x.index({ints({2, 0}), ints({-1, 1})}).to_vector<int64_t>(), (std::vector<int64_t>{11, 1}));
  EXPECT_EQ(x.index({Slice(), ints({3, 0})}).to_vector<int64_t>(), (std::vector<int64_t>{3, 0, 7, 4, 11, 8}));
}

TEST(EagerNest, Triangles) {
  Tensor x = random_tensor({2, 5, 7});
  for (int64_t diagonal : {-2, 0, 3}) {
    std::vector<float> want = values(x);
    for (int64_t i = 0; i < 70; ++i) {
      if (i % 7 > i / 7 % 5 + diagonal) want[static_cast<size_t>(i)] = 0;
    }
    EXPECT_EQ(values(x.tril(diagonal)), want);
  }
}

TEST(EagerNest, NewTensors) {
  EXPECT_EQ(values<int64_t>(arange(5)), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(values(full({2, 2}, 2.5)), (std::vector<float>(4, 2.5f)));
  EXPECT_EQ(values(eye(2)), (std::vector<float>{1, 0, 0, 1}));
  EXPECT_EQ(values(zeros({})), (std::vector<float>{0}));
  Tensor turned = random_tensor({3, 4}).transpose(0, 1);
  EXPECT_EQ(zeros_like(turned).strides(), turned.strides());
  EXPECT_EQ(ones({2}, {.dtype = DType::Bool}).to_vector<bool>(), (std::vector<bool>{true, true}));
}

TEST(EagerNest, RandomNumbersArePhilox) {
  Generator g(42);
  g.take(5);
  Tensor r = rand({3, 70}, {.generator = &g});
  for (uint64_t i = 0; i < 210; ++i) {
    EXPECT_EQ(values(r)[i], static_cast<float>(philox4x32(42, 5 + i)[0] >> 8) * 0x1p-24f);
  }
  const int before = get_num_threads();
  std::vector<std::vector<float>> runs;
  for (int n = 1; n <= 3; ++n) {
    set_num_threads(n);
    manual_seed(7);
    runs.push_back(values(randn({300, 301})));
  }
  set_num_threads(before);
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0], runs[2]);
  double mean = 0, square = 0;
  for (float v : runs[0]) mean += v, square += static_cast<double>(v) * v;
  EXPECT_NEAR(mean / 90300, 0, 0.02);
  EXPECT_NEAR(square / 90300, 1, 0.02);
}

TEST(EagerMove, CatPadFlip) {
  Tensor a = random_tensor({2, 3}, 1), b = random_tensor({3, 2}, 2).transpose(0, 1);
  const std::vector<float> x = values(a), y = values(b);
  std::vector<float> rows = x;
  rows.insert(rows.end(), y.begin(), y.end());
  EXPECT_EQ(values(cat({a, b}, 0)), rows);
  EXPECT_EQ(values(cat({a, b}, 1)),
            (std::vector<float>{x[0], x[1], x[2], y[0], y[1], y[2], x[3], x[4], x[5], y[3], y[4], y[5]}));
  EXPECT_EQ(values(constant_pad_nd(a, {1, -1}, 9)), (std::vector<float>{9, x[0], x[1], 9, x[3], x[4]}));
  EXPECT_EQ(values(a.flip({0, 1})), (std::vector<float>{x[5], x[4], x[3], x[2], x[1], x[0]}));
  EXPECT_EQ(values(a.flip(1)), (std::vector<float>{x[2], x[1], x[0], x[5], x[4], x[3]}));
}

TEST(EagerMove, NonzeroAndRandperm) {
  Tensor x = tensor<float>({0, 1, 0, 2, 0, 0}, {2, 3});
  EXPECT_EQ(x.nonzero().to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 1, 0}));
  std::vector<int64_t> p = randperm(100).to_vector<int64_t>();
  std::sort(p.begin(), p.end());
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(p[static_cast<size_t>(i)], i);
}

}  // namespace
}  // namespace thixo
