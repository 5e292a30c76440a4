// Scatters against plain loops in the order of the source, bit for bit, and the same bits for any threads.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "private_ops.h"
#include "thixo/parallel.h"
#include "thixo/tensor.h"

namespace thixo {
namespace {

std::mt19937 g_random(5);

Tensor reals(const Shape& shape, DType t) {
  Tensor v = empty(shape, {.dtype = DType::F32});
  std::normal_distribution<float> normal(0, 8);
  for (int64_t i = 0; i < v.numel().value(); ++i) v.data<float>()[i] = normal(g_random);
  return v.to(t);
}

Tensor places(const Shape& shape, int64_t below) {
  Tensor v = empty(shape, {.dtype = DType::I64});
  std::uniform_int_distribution<int64_t> any(0, below - 1);
  for (int64_t i = 0; i < v.numel().value(); ++i) v.data<int64_t>()[i] = any(g_random);
  return v;
}

/// Sums in f32, one after the other, rounded once.
Tensor plain_scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, bool add) {
  Tensor y = x.to(DType::F32).contiguous();
  y = y.clone();
  const Tensor from = src.to(DType::F32).contiguous(), at = index.contiguous();
  const int64_t rank = x.dim(), n = at.numel().value();
  std::vector<int64_t> place(static_cast<size_t>(rank), 0);
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i, offset = 0, step = 1;
    for (int64_t d = rank; d-- > 0; step *= x.size(d).value()) {
      const int64_t here = rest % at.size(d).value();
      rest /= at.size(d).value();
      offset += (d == dim ? at.data<int64_t>()[i] : here) * step;
    }
    float& to = y.data<float>()[offset];
    to = add ? to + from.data<float>()[i] : from.data<float>()[i];
  }
  return y.to(x.dtype());
}

void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const Tensor x = a.contiguous(), y = b.contiguous();
  EXPECT_EQ(std::memcmp(x.raw_data(), y.raw_data(), x.nbytes()), 0) << what;
}

struct Case {
  Shape table, index;
  int64_t dim;
};

// Lines along the last dim and others, few long lines, tables larger than what is written, columns cut into blocks.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{300, 200}, {300, 210}, 1},   {{300, 200}, {250, 200}, 0}, {{40, 1100}, {70, 1100}, 0},
      {{50, 1100}, {70, 1000}, 0},   {{5000}, {70000}, 0},        {{5}, {70000}, 0},
      {{2, 100000}, {2, 70000}, 1},  {{3, 9000}, {3, 50000}, 1},  {{6, 50, 40}, {6, 70, 40}, 1},
      {{6, 50, 40}, {5, 20, 30}, 1}, {{4000, 3}, {30000, 3}, 0},  {{2, 3, 4}, {2, 5, 4}, 1},
      {{20, 30, 70}, {9, 30, 70}, 0}};
  return all;
}

TEST(Scatter, AlongDimsInOrder) {
  for (const Case& c : cases()) {
    for (DType t : {DType::F32, DType::BF16, DType::F16}) {
      for (bool add : {true, false}) {
        const Tensor x = reals(c.table, t), index = places(c.index, c.table[static_cast<size_t>(c.dim)].value());
        const Tensor src = reals(c.index, t), want = plain_scatter(x, c.dim, index, src, add);
        const std::string what = shape_str(c.table) + " " + std::string(dtype_name(t)) + (add ? " add" : " put");
        for (int threads : {1, 2, 3}) {
          set_num_threads(threads);
          expect_same_bits(scatter_along(x, c.dim, index, src, add), want, what);
        }
        const Tensor turned = x.movedim(0, -1).contiguous().movedim(-1, 0), narrow = index.to(DType::I32);
        const Tensor wide = src.unsqueeze(-1).expand([&] {
          Shape s = src.shape();
          s.push_back(2);
          return s;
        }());
        expect_same_bits(scatter_along(turned, c.dim, narrow, wide.contiguous().select(-1, 1), add), want,
                         what + " strided");
      }
    }
  }
}

TEST(Scatter, OnNothing) {
  for (const Case& c : cases()) {
    const Tensor x = zeros({}).expand(c.table), index = places(c.index, c.table[static_cast<size_t>(c.dim)].value());
    const Tensor src = reals(c.index, DType::F32);
    expect_same_bits(scatter_along(x, c.dim, index, src, true), plain_scatter(x, c.dim, index, src, true),
                     shape_str(c.table));
  }
}

TEST(Scatter, TakesBackWhatWasPut) {
  for (const Case& c : cases()) {
    const Tensor x = reals(c.table, DType::F32), index = places(c.index, c.table[static_cast<size_t>(c.dim)].value());
    const Tensor nothing = zeros({}).expand(c.index);
    for (int threads : {1, 2}) {
      set_num_threads(threads);
      auto [kept, taken] = take_along(x, c.dim, index);
      expect_same_bits(kept, plain_scatter(x, c.dim, index, nothing, false), shape_str(c.table));
      // Each element is in one of both.
      expect_same_bits(scatter_along(kept, c.dim, index, taken, true), x, shape_str(c.table));
    }
  }
}

TEST(Scatter, RowsInOrder) {
  struct Rows {
    int64_t table, columns, count;
  };
  for (const Rows& r :
       {Rows{200, 300, 1000}, Rows{2000, 40, 90}, Rows{100000, 8, 5000}, Rows{30, 5000, 100}, Rows{9, 3, 40000}}) {
    for (DType t : {DType::F32, DType::BF16}) {
      for (bool add : {true, false}) {
        const Tensor x = reals({r.table, r.columns}, t), src = reals({r.count, r.columns}, t);
        const Tensor index = places({r.count}, r.table);
        const Tensor want = plain_scatter(x, 0, index.unsqueeze(1).expand(src.shape()), src, add);
        const std::string what = std::to_string(r.table) + " x " + std::to_string(r.columns);
        for (int threads : {1, 2, 3}) {
          set_num_threads(threads);
          expect_same_bits(scatter_rows(x, index, src, add), want, what);
        }
        expect_same_bits(scatter_rows(x.t().contiguous().t(), index, src.t().contiguous().t(), add), want, what);
      }
    }
  }
}

}  // namespace
}  // namespace thixo
