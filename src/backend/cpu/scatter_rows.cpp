// Rows added to a table, or put there. The index is brought into the order of the table's rows first, equal ones in
// their order; then each row of the table is read and written once, and rows are independent.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "backend/cpu/index.h"
#include "backend/cpu/scatter.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kNarrow = 32;          // bytes: below it elements go one by one
constexpr int64_t kSerial = 1 << 15;     // elements that are not worth a second thread
constexpr int64_t kTile = 1 << 14;       // elements of the table that a tile takes
constexpr int64_t kChunk = 2048;         // columns of a tile at most, for rows that many are added to

struct Rows {
  char* data;
  int64_t step;  // from row to row, in elements
  template <class T> T* at(int64_t row, int64_t column) const {
    return reinterpret_cast<T*>(data) + row * step + column;
  }
};

Rows rows_of(const Tensor& t) { return {static_cast<char*>(t.record()->data()), t.strides()[0].value()}; }

/// The rows of src in the order of their places in the table; equal places in the order of src.
void order_by_place(const int64_t* place, int64_t count, int64_t rows, int64_t* order) {
  if (rows > 4 * count + 1024) {
    std::iota(order, order + count, 0);
    std::stable_sort(order, order + count, [&](int64_t a, int64_t b) { return place[a] < place[b]; });
    return;
  }
  Array<int64_t> next(rows + 1);
  std::fill_n(next.get(), rows + 1, 0);
  for (int64_t m = 0; m < count; ++m) ++next[place[m] + 1];
  for (int64_t r = 0; r < rows; ++r) next[r + 1] += next[r];
  for (int64_t m = 0; m < count; ++m) order[next[place[m]]++] = m;
}

struct Scatter {
  Rows x, y, src;
  const int64_t *place, *order;
  int64_t rows, columns, count;
  Start start;
};

template <class Item> void start_row(const Scatter& s, Item* y, int64_t row, int64_t column, int64_t n) {
  if (s.start == Start::Copy) std::memcpy(static_cast<void*>(y), s.x.at<Item>(row, column), n * sizeof(Item));
  if (s.start == Start::Number) std::fill_n(y, n, *s.x.at<Item>(0, 0));
}

/// In blocks of a known length, which the compiler makes vectors of.
template <class Rule> void meet_all(typename Rule::Sum* __restrict y, typename Rule::Item* __restrict src, int64_t n) {
  constexpr int64_t kBlock = 16;
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    for (int64_t k = 0; k < kBlock; ++k) Rule::meet(y[i + k], src[i + k]);
  }
  for (; i < n; ++i) Rule::meet(y[i], src[i]);
}

/// All that comes to columns [column, column + n) of one row: src rows order[from, to).
template <class Rule>
void run_row(const Scatter& s, int64_t row, int64_t column, int64_t n, int64_t from, int64_t to,
             typename Rule::Sum* sums) {
  using Item = typename Rule::Item;
  Item* y = s.y.at<Item>(row, column);
  start_row(s, y, row, column, n);
  if (from == to) return;
  if constexpr (Rule::kLast) {
    std::memcpy(static_cast<void*>(y), s.src.at<Item>(s.order[to - 1], column), n * sizeof(Item));
  } else if constexpr (std::is_same_v<Item, typename Rule::Sum>) {
    for (int64_t k = from; k < to; ++k) meet_all<Rule>(y, s.src.at<Item>(s.order[k], column), n);
  } else {
    for (int64_t i = 0; i < n; ++i) sums[i] = Rule::load(y[i]);
    for (int64_t k = from; k < to; ++k) meet_all<Rule>(sums, s.src.at<Item>(s.order[k], column), n);
    for (int64_t i = 0; i < n; ++i) y[i] = Rule::store(sums[i]);
  }
}

template <class Rule> void run(const Scatter& s) {
  const int64_t chunk = std::min(kChunk, s.columns), chunks = (s.columns + chunk - 1) / chunk;
  const int64_t height = std::max<int64_t>(1, kTile / chunk), bands = (s.rows + height - 1) / height;
  auto place_of = [&](int64_t k) { return s.place[s.order[k]]; };
  auto tiles = [&](int64_t begin, int64_t end) {
    typename Rule::Sum sums[kChunk];
    for (int64_t t = begin; t < end; ++t) {
      const int64_t column = t % chunks * chunk, n = std::min(chunk, s.columns - column);
      const int64_t first = t / chunks * height, last = std::min(s.rows, first + height);
      int64_t k =
          std::partition_point(s.order, s.order + s.count, [&](int64_t m) { return s.place[m] < first; }) - s.order;
      for (int64_t r = first; r < last; ++r) {
        if (s.start == Start::There) {  // rows without any are what they should be
          if (k == s.count) break;
          r = place_of(k);
          if (r >= last) break;
        }
        const int64_t from = k;
        while (k < s.count && place_of(k) == r) ++k;
        run_row<Rule>(s, r, column, n, from, k, sums);
      }
    }
  };
  if ((s.rows + s.count) * s.columns < kSerial) return tiles(0, bands * chunks);
  parallel_for(bands * chunks, tiles);
}

}  // namespace

void scatter_rows_kernel(const Call& call, std::span<const Tensor> out) {
  const Tensor &x = call.in[0], &y = out[0];
  const Tensor index = wide_index(call.in[1], out), src = apart(call.in[2], out);
  const int64_t rows = x.shape()[0], columns = x.shape()[1], count = index.numel();
  const bool accumulate = call.flag("accumulate");
  const bool lies = (y.strides()[1] == 1 || columns == 1) && (src.strides()[1] == 1 || columns == 1);
  if (!lies || columns * static_cast<int64_t>(item_size(y.dtype())) < kNarrow) {
    scatter_along({x, y, index.unsqueeze(1).expand(src.shape()), src, 0}, accumulate);
    return;
  }
  const Tensor places = index.contiguous();
  const auto* place = static_cast<const int64_t*>(places.record()->data());
  Array<int64_t> order(count);
  order_by_place(place, count, rows, order.get());
  const Start start = start_as(x, y, true);
  const Scatter s{rows_of(x), rows_of(y), rows_of(src), place, order.get(), rows, columns, count, start};
  with_scatter_rule(y.dtype(), accumulate, [&](auto rule) { run<decltype(rule)>(s); });
}

}  // namespace thixo::cpu
