#include "backend/cpu/product.h"

#include <algorithm>

#include "backend/cpu/gemv.h"
#include "backend/cpu/onednn.h"
#include "base/deterministic.h"
#include "base/parallel.h"
#include "base/signals.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kSmallWork = int64_t{1} << 20;  // products that one thread does in some 20 us
constexpr int64_t kSkinny = 16;                   // rows or columns below which packing costs more than it gives

Gemm part_of(const Gemm& g, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  const auto item = static_cast<int64_t>(item_size(g.dtype));
  Gemm p = g;
  p.m = rows;
  p.n = columns;
  p.a.data = static_cast<char*>(g.a.data) + row * g.a.row_stride * item;
  p.b.data = static_cast<char*>(g.b.data) + column * g.b.column_stride * item;
  p.c.data = static_cast<char*>(g.c.data) + (row * g.c.row_stride + column * g.c.column_stride) * item;
  if (g.bias != nullptr) p.bias = static_cast<const char*>(g.bias) + column * g.bias_stride * item;
  return p;
}

/// Library calls on tiles of about `rows` x `columns`, each on one thread.
template <class F> void library_tiles(const Gemm& g, int64_t rows, int64_t columns, F call) {
  const int64_t down = ceil_div(g.m, rows), across = ceil_div(g.n, columns);
  parallel_for(down * across, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / across * rows, column = i % across * columns;
      call(part_of(g, row, std::min(rows, g.m - row), column, std::min(columns, g.n - column)));
    }
  });
}

/// The length of a tile along the longer side of a skinny product: so that each is worth a thread.
int64_t skinny_tile(int64_t other, int64_t k) {
  return std::max<int64_t>(64, round_up(kSmallWork / std::max<int64_t>(1, other * k), 64));
}

/// The size of the fewest equal parts of n that are no longer than `most`, rounded up.
int64_t part_at_most(int64_t n, int64_t most, int64_t multiple) {
  return round_up(ceil_div(n, ceil_div(n, most)), multiple);
}

/// Rows and columns of a tile. A library call packs what it reads anew, so tiles are as large as leaves enough of them.
std::pair<int64_t, int64_t> library_tile(const Gemm& g) {
  constexpr int64_t kEnough = 8, kLeastRows = 64, kLeastColumns = 128;
  if (g.m * g.n * g.k <= kSmallWork) return {g.m, g.n};
  int64_t rows = part_at_most(g.m, 512, 16), columns = part_at_most(g.n, 1024, 32);
  while (ceil_div(g.m, rows) * ceil_div(g.n, columns) < kEnough && rows * columns * g.k > kSmallWork) {
    if (columns > kLeastColumns && (columns >= rows || rows <= kLeastRows)) {
      columns = round_up(ceil_div(columns, 2), 32);
    } else if (rows > kLeastRows) {
      rows = round_up(ceil_div(rows, 2), 16);
    } else {
      break;
    }
  }
  return {rows, columns};
}

/// True when oneDNN took it.
bool library_f32(const Gemm& g) {
  if (!onednn_takes(g)) return false;
  const int64_t work = g.m * g.n * g.k;
  if (work <= kSmallWork) {
    onednn_sgemm(g);
  } else if (g.m <= kSkinny) {
    library_tiles(g, g.m, skinny_tile(g.m, g.k), onednn_sgemm);
  } else if (g.n <= kSkinny) {
    library_tiles(g, skinny_tile(g.n, g.k), g.n, onednn_sgemm);
  } else if (onednn_avx512()) {
    const auto [rows, columns] = library_tile(g);
    library_tiles(g, rows, columns, onednn_sgemm);
  } else {
    return false;  // below AVX-512 the generated tiles are as fast, and need no copy for a thread's tile
  }
  return true;
}

bool library_bf16(const Gemm& g) {
  if (!onednn_bf16() || !onednn_takes(g) || g.accumulate || g.k == 0) return false;
  const auto [rows, columns] = library_tile(g);
  library_tiles(g, rows, columns, onednn_matmul);
  return true;
}

bool library(const Gemm& g) {
  if (!onednn_present() || detail::deterministic() || g.wide) return false;
  return g.dtype == DType::F32 ? library_f32(g) : g.dtype == DType::BF16 && library_bf16(g);
}

}  // namespace

void product(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (gemv(g) || library(g)) return;
  gemm(g);
}

void product_batch(const Gemm& g, int64_t count, const BatchOffsets* offsets) {
  const auto item = static_cast<int64_t>(item_size(g.dtype));
  auto one = [&](int64_t i) {
    Gemm p = g;
    p.a.data = static_cast<char*>(g.a.data) + offsets[i].a * item;
    p.b.data = static_cast<char*>(g.b.data) + offsets[i].b * item;
    p.c.data = static_cast<char*>(g.c.data) + offsets[i].c * item;
    product(p);
  };
  const int64_t work = std::max<int64_t>(1, g.m * g.n * g.k);
  if (count == 1 || (count < 8 && work > 16 * kSmallWork)) {
    for (int64_t i = 0; i < count; ++i) one(i);
    return;
  }
  // Inside the loop each product runs on its thread alone; a task is at least kSmallWork.
  const int64_t some = std::max<int64_t>(1, kSmallWork / work);
  parallel_for(ceil_div(count, some), [&](int64_t begin, int64_t end) {
    const HoldSignals hold;  // once for all of them
    for (int64_t i = begin * some; i < std::min(count, end * some); ++i) one(i);
  });
}

}  // namespace thixo::cpu
