#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/scratch.h"
#include "base/parallel.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kSerialWork = int64_t{1} << 20;     // products below which threads cost more than they give
constexpr int64_t kPackedBytes = int64_t{32} << 20;   // of both operands at a time
constexpr int64_t kBlockRows = 96, kBlockColumns = 256;  // of a tile of C

template <class F> void run_tiles(bool parallel, int64_t tiles, F&& f) {
  if (parallel) {
    parallel_for(tiles, f);
  } else {
    f(int64_t{0}, tiles);
  }
}

/// How C is cut into tiles: by its size alone, into enough of them for many threads while each has enough to do.
struct Cut {
  int64_t rows, columns, down, across;
  Cut(int64_t m, int64_t n, int64_t k, const RegisterTile& t) {
    rows = round_up(std::min(m, kBlockRows), t.mr);
    columns = round_up(std::min(n, kBlockColumns), t.nr);
    while (ceil_div(m, rows) * ceil_div(n, columns) < 32 && rows * columns * k > kSerialWork) {
      if (columns > rows && columns > t.nr) {
        columns = round_up(columns / 2, t.nr);
      } else if (rows > t.mr) {
        rows = round_up(rows / 2, t.mr);
      } else {
        break;
      }
    }
    down = ceil_div(m, rows);
    across = ceil_div(n, columns);
  }
};

/// One product, its operands as tables of offsets in real elements.
class Product {
 public:
  explicit Product(const Gemm& g);
  void run(bool parallel);

 private:
  void pack(bool parallel, int64_t k0, int64_t k1);
  void tile(int64_t index, int64_t k0, int64_t k1);
  void start_block(void* to, int64_t ld, int64_t rows, int64_t column, int64_t columns);

  const Gemm& g_;
  bool complex_;
  DType type_;
  size_t item_;
  int64_t block_;
  const RegisterTile& reg_;
  int64_t m_, n_, k_;  // of the real product
  bool direct_;        // C is of the tile's type, its columns consecutive
  int64_t depth_;      // how much of k is packed at a time
  Cut cut_;
  Array<int64_t> a_rows_, a_columns_, b_rows_, b_columns_;
  Array<char> a_, b_;
};

int64_t packed_depth(const RegisterTile& t, int64_t m, int64_t n, int64_t k, int64_t block, size_t item, bool direct) {
  if (!direct) return k;  // C's sums live in a tile's own memory until they are complete
  const int64_t a_step = (round_up(m, t.mr) + round_up(n, t.nr)) * static_cast<int64_t>(item);
  return std::min(k, std::max(block, kPackedBytes / a_step / block * block));
}

Product::Product(const Gemm& g)
    : g_(g),
      complex_(is_complex(g.dtype)),
      type_(gemm_type(g.dtype)),
      item_(item_size(type_)),
      block_(gemm_block(type_)),
      reg_(register_tile(type_)),
      m_(g.m),
      n_(complex_ ? 2 * g.n : g.n),
      k_(complex_ ? 2 * g.k : g.k),
      direct_(g.c.column_stride == 1 && (complex_ || g.wide || item_size(g.dtype) == item_)),
      depth_(packed_depth(reg_, m_, n_, k_, block_, item_, direct_)),
      cut_(m_, n_, k_, reg_),
      a_rows_(m_),
      a_columns_(k_),
      b_rows_(g.k),
      b_columns_(g.n),
      a_(round_up(m_, reg_.mr) * depth_ * static_cast<int64_t>(item_)),
      b_(round_up(n_, reg_.nr) * depth_ * static_cast<int64_t>(item_)) {
  const int64_t parts = complex_ ? 2 : 1;
  for (int64_t i = 0; i < m_; ++i) a_rows_[i] = i * g.a.row_stride * parts;
  for (int64_t i = 0; i < k_; ++i) a_columns_[i] = (i / parts) * g.a.column_stride * parts + i % parts;
  for (int64_t i = 0; i < g.k; ++i) b_rows_[i] = i * g.b.row_stride;
  for (int64_t i = 0; i < g.n; ++i) b_columns_[i] = i * g.b.column_stride;
}

/// Packs k0..k1 of both operands, block after block, each block panel after panel.
void Product::pack(bool parallel, int64_t k0, int64_t k1) {
  const int64_t blocks = ceil_div(k1 - k0, block_);
  const int64_t a_panels = ceil_div(m_, reg_.mr), b_panels = ceil_div(n_, reg_.nr);
  // A task packs a few panels of one operand in one block.
  const int64_t a_some = std::max<int64_t>(1, 96 / reg_.mr), b_some = std::max<int64_t>(1, 96 / reg_.nr);
  const int64_t a_tasks = ceil_div(a_panels, a_some), b_tasks = ceil_div(b_panels, b_some);
  run_tiles(parallel, blocks * (a_tasks + b_tasks), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t at = task / (a_tasks + b_tasks), rest = task % (a_tasks + b_tasks);
      const int64_t k = k0 + at * block_, depth = std::min(block_, k1 - k);
      if (rest < a_tasks) {
        const int64_t first = rest * a_some * reg_.mr;
        PackJob job{
            g_.a.data, g_.dtype, a_rows_.get() + first, std::min(a_some * reg_.mr, m_ - first), a_columns_.get() + k,
            depth,     reg_.mr};
        pack_panels(job, a_.get() + ((k - k0) * a_panels * reg_.mr + first * depth) * static_cast<int64_t>(item_));
        continue;
      }
      const int64_t first = (rest - a_tasks) * b_some * reg_.nr, parts = complex_ ? 2 : 1;
      PackJob job{g_.b.data,
                  g_.dtype,
                  b_columns_.get() + first / parts,
                  std::min(b_some * reg_.nr, n_ - first) / parts,
                  b_rows_.get() + k / parts,
                  depth / parts,
                  reg_.nr};
      void* to = b_.get() + ((k - k0) * b_panels * reg_.nr + first * depth) * static_cast<int64_t>(item_);
      if (complex_) {
        pack_complex_panels(job, to);
      } else {
        pack_panels(job, to);
      }
    }
  });
}

/// Zeros, or the bias, before the first block is added.
void Product::start_block(void* to, int64_t ld, int64_t rows, int64_t column, int64_t columns) {
  if (g_.bias == nullptr) {
    for (int64_t i = 0; i < rows; ++i) {
      std::memset(static_cast<char*>(to) + static_cast<size_t>(i * ld) * item_, 0,
                  static_cast<size_t>(columns) * item_);
    }
    return;
  }
  // One row of bias in the tile's type, then copies of it.
  const int64_t parts = complex_ ? 2 : 1;
  Array<int64_t> offsets(columns);
  for (int64_t j = 0; j < columns; ++j)
    offsets[j] = (column + j) / parts * g_.bias_stride * parts + (column + j) % parts;
  const int64_t zero = 0;
  Array<char> packed(round_up(columns, 16) * static_cast<int64_t>(item_));
  pack_panels({g_.bias, g_.dtype, offsets.get(), columns, &zero, 1, 16}, packed.get());
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(static_cast<char*>(to) + static_cast<size_t>(i * ld) * item_, packed.get(),
                static_cast<size_t>(columns) * item_);
  }
}

void Product::tile(int64_t index, int64_t k0, int64_t k1) {
  const int64_t row = index / cut_.across * cut_.rows, column = index % cut_.across * cut_.columns;
  const int64_t rows = std::min(cut_.rows, m_ - row), columns = std::min(cut_.columns, n_ - column);
  const int64_t a_panels = ceil_div(m_, reg_.mr), b_panels = ceil_div(n_, reg_.nr);
  const auto item = static_cast<int64_t>(item_);
  Array<char> own(direct_ ? 0 : rows * round_up(columns, reg_.nr) * item);
  char* c = own.get();
  int64_t ldc = round_up(columns, reg_.nr);
  if (direct_) {
    ldc = g_.c.row_stride * (complex_ ? 2 : 1);
    c = static_cast<char*>(g_.c.data) + (row * ldc + column) * item;
  }
  bool add = k0 > 0 || g_.accumulate;
  if (!add && (g_.bias != nullptr || k_ == 0)) {
    start_block(c, ldc, rows, column, columns);
    add = true;
  }
  for (int64_t k = k0; k < k1; k += block_, add = true) {
    const int64_t depth = std::min(block_, k1 - k);
    const char* a = a_.get() + ((k - k0) * a_panels * reg_.mr + row * depth) * item;
    const char* b = b_.get() + ((k - k0) * b_panels * reg_.nr + column * depth) * item;
    multiply_panels(type_, a, b, rows, columns, depth, add, c, ldc);
  }
  if (direct_) return;
  const int64_t parts = complex_ ? 2 : 1;
  const DType to = g_.wide ? type_ : g_.dtype;
  Array<int64_t> columns_at(columns / parts);
  for (int64_t j = 0; j < columns / parts; ++j) columns_at[j] = (column / parts + j) * g_.c.column_stride;
  store_block(to, c, ldc / parts, rows, columns / parts,
              static_cast<char*>(g_.c.data) + row * g_.c.row_stride * static_cast<int64_t>(item_size(to)),
              g_.c.row_stride, columns_at.get());
}

void Product::run(bool parallel) {
  int64_t k0 = 0;
  do {
    const int64_t k1 = std::min(k_, k0 + depth_);
    pack(parallel, k0, k1);
    run_tiles(parallel, cut_.down * cut_.across, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) tile(i, k0, k1);
    });
    k0 = k1;
  } while (k0 < k_);
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  Product(g).run(g.m * g.n * g.k > kSerialWork);
}

}  // namespace thixo::cpu
