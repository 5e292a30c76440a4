#include "runtime/eager_tiles.h"

#include <algorithm>
#include <array>

#include "base/transpose.h"
#include "core/values.h"

namespace thixo::detail {
namespace {

constexpr size_t kMaxOperands = 8;
// A tile with a permuted operand reads whole lines of it, and long runs of the others: measured 1.5 times as fast as
// squares.
constexpr int64_t kLine = 64, kLeastRows = 16;  // bytes; elements
constexpr int64_t kShortRun = 16;       // inner axes below this are worth a strided walk along a longer one

// Kernels read the bits of u64 as i64 and the reverse.
bool same_bits(DType a, DType b) {
  return a == b || (is_int(a) && is_int(b) && item_size(a) == item_size(b) && item_size(a) >= 8);
}

// How an operand's tile is reached.
enum class Way : uint8_t {
  Direct,     // in place: the kernel's type, inner stride 1
  Constant,   // one element for the whole walk
  Strided,    // through scratch, run by run
  Transposed  // through scratch, run by run along the rows, where its stride is 1
};

class TileRun {
 public:
  TileRun(const PointwisePlan& plan, const double* params, Walk& walk) : plan_(plan), params_(params), walk_(walk) {}
  void run();

 private:
  using Pointers = std::array<char*, kMaxOperands>;
  struct Tile {
    int64_t row, rows, column, columns;
  };

  size_t inputs() const { return plan_.in.size(); }
  DType wanted(size_t k) const { return k < inputs() ? plan_.in[k] : plan_.out; }
  bool fits(size_t k) const { return same_bits(walk_.operands[k].dtype, wanted(k)); }
  bool is_constant(size_t k) const;
  bool strided_suits() const;
  void run_strided();
  void choose_ways();
  void choose_tile();
  void run_range(int64_t begin, int64_t end) const;
  void fill_constants() const;
  void run_tile(const Odometer& at, const Tile& t) const;
  void call_kernel(const Pointers& data, const Tile& t) const;
  void load(size_t k, const char* src, const Tile& t) const;
  void store(char* dst, const Tile& t) const;
  static char* scratch(size_t k) { return thread_scratch(k, kTile * 16); }
  static char* raw_scratch(size_t k) { return thread_scratch(k + kMaxOperands, kTile * 16); }

  const PointwisePlan& plan_;
  const double* params_;
  Walk& walk_;
  std::array<Way, kMaxOperands> way_{};
  alignas(16) std::array<std::array<char, 16>, kMaxOperands> constant_{};
  KernelFn kernel_ = nullptr;
  int constant_operand_ = -1;  // read as one element by the kernel; further constants fill a scratch tile
  bool two_axes_ = false;      // tiles have rows (axis 1) as well as columns (axis 0)
  int64_t line_ = 1;           // rows of such a tile: the permuted operand's elements in a line of the cache
  bool in_place_ = true;       // no operand needs scratch
  int64_t tile_rows_ = 1, tile_columns_ = 1, row_tiles_ = 1, column_tiles_ = 1;
};

bool TileRun::is_constant(size_t k) const {
  const Strided& s = walk_.operands[k];
  return k < inputs() && std::all_of(s.stride, s.stride + walk_.rank, [](int64_t v) { return v == 0; });
}

// Without conversions, and where no operand is contiguous along another axis, the strided kernel walks in place.
bool TileRun::strided_suits() const {
  bool needed = false;
  for (size_t k = 0; k <= inputs(); ++k) {
    if (is_constant(k)) continue;
    if (!fits(k)) return false;
    const int64_t inner = walk_.operands[k].stride[0];
    if (inner == 1) continue;
    needed = true;
    for (int a = 1; a < walk_.rank && inner != 0; ++a) {
      if (walk_.operands[k].stride[a] == 1 && walk_.extent[a] >= kShortRun) return false;
    }
  }
  return needed;
}

void TileRun::run_strided() {
  SmallVec<int64_t, 5> ints;
  for (size_t k = 0; k <= inputs(); ++k) {
    Strided& s = walk_.operands[k];
    ints.push_back(s.stride[0]);
    if (!is_constant(k) || fits(k)) continue;
    store_scalar(constant_[k].data(), wanted(k), load_scalar(s.data, s.dtype));
    s.data = constant_[k].data();
  }
  const int64_t columns = walk_.extent[0], pieces = (columns + kGrain - 1) / kGrain, elements = walk_.elements();
  run_units(elements / columns * pieces, elements, [&](int64_t begin, int64_t end) {
    Odometer at(walk_, 1, begin / pieces);
    for (int64_t u = begin; u < end; ++u) {
      std::array<void*, kMaxOperands> buffers;
      for (size_t k = 0; k <= inputs(); ++k) buffers[k] = walk_.operands[k].at(at.offset(k));
      const int64_t first = u % pieces * kGrain;
      run_kernel(plan_.strided, buffers.data(), ints.data(), params_, first, std::min(first + kGrain, columns));
      if (u % pieces == pieces - 1) at.next();
    }
  });
}

void TileRun::choose_ways() {
  for (size_t k = 0; k <= inputs(); ++k) {
    const Strided& s = walk_.operands[k];
    if (is_constant(k)) {
      way_[k] = Way::Constant;
      store_scalar(constant_[k].data(), wanted(k), load_scalar(s.data, s.dtype));
      if (constant_operand_ < 0 && plan_.constant[k] != nullptr) constant_operand_ = static_cast<int>(k);
      in_place_ &= constant_operand_ == static_cast<int>(k);
      continue;
    }
    way_[k] = fits(k) && s.stride[0] == 1 ? Way::Direct : Way::Strided;
    in_place_ &= way_[k] == Way::Direct;
    if (s.stride[0] <= 1 || two_axes_) continue;
    for (int a = 1; a < walk_.rank; ++a) {
      if (s.stride[a] != 1 || walk_.extent[a] < 4) continue;
      walk_.swap_axes(1, a);
      two_axes_ = true;
      line_ = std::max(kLeastRows, kLine / s.item());
      break;
    }
  }
  for (size_t k = 0; two_axes_ && k <= inputs(); ++k) {
    const Strided& s = walk_.operands[k];
    if (way_[k] == Way::Strided && s.stride[0] > 1 && s.stride[1] == 1) way_[k] = Way::Transposed;
  }
  kernel_ = constant_operand_ < 0 ? plan_.contiguous : plan_.constant[static_cast<size_t>(constant_operand_)];
}

void TileRun::choose_tile() {
  tile_columns_ = std::min(walk_.extent[0], in_place_ ? kGrain : kTile / line_);
  column_tiles_ = (walk_.extent[0] + tile_columns_ - 1) / tile_columns_;
  if (!two_axes_) return;
  tile_rows_ = std::min(walk_.extent[1], line_);
  row_tiles_ = (walk_.extent[1] + tile_rows_ - 1) / tile_rows_;
}

void TileRun::run() {
  walk_.collapse();
  // A short inner axis beside a long one: a strided walk along the long one has fewer calls.
  if (walk_.extent[0] < kShortRun) {
    const int longest = static_cast<int>(std::max_element(walk_.extent, walk_.extent + walk_.rank) - walk_.extent);
    if (walk_.extent[longest] >= 8 * walk_.extent[0]) walk_.swap_axes(0, longest);
  }
  if (strided_suits()) {
    run_strided();
    return;
  }
  choose_ways();
  choose_tile();
  const int64_t elements = walk_.elements();
  const int64_t outer = elements / walk_.extent[0] / (two_axes_ ? walk_.extent[1] : 1);
  run_units(outer * row_tiles_ * column_tiles_, elements, [&](int64_t b, int64_t e) { run_range(b, e); });
}

void TileRun::run_range(int64_t begin, int64_t end) const {
  fill_constants();
  const int64_t tiles = row_tiles_ * column_tiles_;
  Odometer at(walk_, two_axes_ ? 2 : 1, begin / tiles);
  for (int64_t u = begin; u < end; ++u) {
    Tile t;
    t.row = u % tiles / column_tiles_ * tile_rows_;
    t.column = u % column_tiles_ * tile_columns_;
    t.rows = two_axes_ ? std::min(tile_rows_, walk_.extent[1] - t.row) : 1;
    t.columns = std::min(tile_columns_, walk_.extent[0] - t.column);
    run_tile(at, t);
    if (u % tiles == tiles - 1) at.next();
  }
}

void TileRun::fill_constants() const {
  for (size_t k = 0; k < inputs(); ++k) {
    if (way_[k] != Way::Constant || constant_operand_ == static_cast<int>(k)) continue;
    convert_strided(wanted(k), constant_[k].data(), 0, wanted(k), scratch(k), 1, tile_rows_ * tile_columns_);
  }
}

void TileRun::run_tile(const Odometer& at, const Tile& t) const {
  Pointers data;
  for (size_t k = 0; k <= inputs(); ++k) {
    const Strided& s = walk_.operands[k];
    char* here = s.at(at.offset(k) + t.column * s.stride[0] + (two_axes_ ? t.row * s.stride[1] : 0));
    if (way_[k] == Way::Direct) {
      data[k] = here;
      continue;
    }
    data[k] = constant_operand_ == static_cast<int>(k) ? const_cast<char*>(constant_[k].data()) : scratch(k);
    if (way_[k] != Way::Constant && k < inputs()) load(k, here, t);
  }
  call_kernel(data, t);
  if (way_[inputs()] == Way::Direct) return;
  const Strided& out = walk_.operands[inputs()];
  store(out.at(at.offset(inputs()) + t.column * out.stride[0] + (two_axes_ ? t.row * out.stride[1] : 0)), t);
}

void TileRun::call_kernel(const Pointers& data, const Tile& t) const {
  std::array<void*, kMaxOperands> buffers;
  const bool flat = t.rows == 1 || std::none_of(way_.begin(), way_.begin() + static_cast<int64_t>(inputs()) + 1,
                                                [](Way w) { return w == Way::Direct; });
  for (int64_t r = 0; r < (flat ? 1 : t.rows); ++r) {
    for (size_t k = 0; k <= inputs(); ++k) {
      const auto item = static_cast<int64_t>(item_size(wanted(k)));
      const int64_t pitch = way_[k] == Way::Direct                     ? (two_axes_ ? walk_.operands[k].stride[1] : 0)
                            : constant_operand_ == static_cast<int>(k) ? 0
                                                                       : t.columns;
      buffers[k] = data[k] + r * pitch * item;
    }
    run_kernel(kernel_, buffers.data(), nullptr, params_, 0, flat ? t.rows * t.columns : t.columns);
  }
}

void TileRun::load(size_t k, const char* src, const Tile& t) const {
  const Strided& s = walk_.operands[k];
  if (way_[k] == Way::Transposed) {
    char* raw = fits(k) ? scratch(k) : raw_scratch(k);
    const int64_t next = std::min(t.columns, walk_.extent[0] - t.column - t.columns);
    prefetch_tile(item_size(s.dtype), src + t.columns * s.stride[0] * s.item(), s.stride[0], next, t.rows);
    transpose_tile(item_size(s.dtype), src, s.stride[0], raw, t.columns, t.columns, t.rows);
    if (!fits(k)) convert_run(s.dtype, raw, wanted(k), scratch(k), t.rows * t.columns);
    return;
  }
  const DType from = fits(k) ? wanted(k) : s.dtype;
  for (int64_t r = 0; r < t.rows; ++r) {
    convert_strided(from, src + (two_axes_ ? r * s.stride[1] * s.item() : 0), s.stride[0], wanted(k),
                    scratch(k) + r * t.columns * static_cast<int64_t>(item_size(wanted(k))), 1, t.columns);
  }
}

void TileRun::store(char* dst, const Tile& t) const {
  const size_t k = inputs();
  const Strided& s = walk_.operands[k];
  const char* tile = scratch(k);
  if (way_[k] == Way::Transposed) {
    if (!fits(k)) convert_run(plan_.out, tile, s.dtype, raw_scratch(k), t.rows * t.columns);
    transpose_tile(item_size(s.dtype), fits(k) ? tile : raw_scratch(k), t.columns, dst, s.stride[0], t.rows, t.columns);
    return;
  }
  const DType from = fits(k) ? s.dtype : plan_.out;
  for (int64_t r = 0; r < t.rows; ++r) {
    convert_strided(from, tile + r * t.columns * static_cast<int64_t>(item_size(plan_.out)), 1, s.dtype,
                    dst + (two_axes_ ? r * s.stride[1] * s.item() : 0), s.stride[0], t.columns);
  }
}

}  // namespace

void run_pointwise(const PointwisePlan& plan, const double* params, Walk& walk) { TileRun(plan, params, walk).run(); }

}  // namespace thixo::detail
