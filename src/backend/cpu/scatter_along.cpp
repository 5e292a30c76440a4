// Scatter along a dim: y[.., index[.., m, ..], ..] meets src[.., m, ..]. Elements of one line along the dim meet in the
// order of m and lines are independent, so tiles of lines run on any thread and the bits are the same.
#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "backend/cpu/index.h"
#include "backend/cpu/scatter.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kSerial = 1 << 15;  // elements that are not worth a second thread
constexpr int64_t kBlockBytes = 512 << 10;  // of the table, so that a tile's part stays in the second cache
constexpr int64_t kBuckets = 16;  // pieces of the table that long single lines are sorted into
constexpr int64_t kSorted = 1 << 15;  // elements of the index that are sorted together
constexpr int64_t kRanges = 8;  // pieces of the table where lines are few

/// A dim, or several joined, with the strides of all operands.
struct Axis {
  int64_t extent = 1, y = 0, x = 0, index = 0, src = 0;
};

struct Plan {
  SmallVec<Axis, kMaxRank> outer;
  Axis inner;  // neighbours in memory that a tile takes together; extent 1 where the dim itself is innermost
  Axis along;  // extent: of the index
  int64_t rows = 0;  // of the table along the dim
  int64_t width = 1;  // of a tile
  int64_t blocks = 1, ranges = 1, lines = 1;
  int64_t range = 0;  // rows of the table that a tile takes
  Start start = Start::There;

  int64_t tiles() const { return lines * blocks * ranges; }
};

int64_t stride_of(const Tensor& t, size_t d) { return t.strides()[d].value(); }

Plan make_plan(const AlongCall& c, Start start, int64_t item) {
  Plan p;
  p.start = start;
  auto axis = [&](size_t d) {
    return Axis{c.index.shape()[d].value(), stride_of(c.y, d), start == Start::Copy ? stride_of(c.x, d) : 0,
                stride_of(c.index, d), stride_of(c.src, d)};
  };
  p.along = axis(c.dim);
  p.rows = c.y.shape()[c.dim].value();
  for (size_t d = 0; d < c.y.shape().size(); ++d) {
    if (d == c.dim || c.index.shape()[d] == 1) continue;
    const Axis a = axis(d);
    Axis* last = p.outer.empty() ? nullptr : &p.outer.back();
    if (last != nullptr && last->y == a.y * a.extent && last->x == a.x * a.extent &&
        last->index == a.index * a.extent && last->src == a.src * a.extent) {
      *last = Axis{last->extent * a.extent, a.y, a.x, a.index, a.src};
    } else {
      p.outer.push_back(a);
    }
  }
  auto nearest =
      std::min_element(p.outer.begin(), p.outer.end(), [](const Axis& a, const Axis& b) { return a.y < b.y; });
  if (nearest != p.outer.end() && nearest->y < p.along.y) {
    p.inner = *nearest;
    std::rotate(nearest, nearest + 1, p.outer.end());
    p.outer.pop_back();
    p.width = std::clamp<int64_t>(kBlockBytes / std::max<int64_t>(1, p.rows * item), 16, 1024);
    p.width = std::min(p.width, p.inner.extent);
  }
  for (const Axis& a : p.outer) p.lines *= a.extent;
  p.blocks = p.inner.extent == 0 ? 0 : (p.inner.extent + p.width - 1) / p.width;
  if (p.lines * p.blocks < kRanges && p.along.extent * p.inner.extent >= kSerial) p.ranges = kRanges;
  p.range = (p.rows + p.ranges - 1) / p.ranges;
  return p;
}

/// Element m of a line of the index, and where it points.
struct Entry {
  uint32_t row, m;
};

/// The lines of one tile: pointers to its first elements.
template <class Rule> struct Block {
  typename Rule::Item *y, *src;
  const typename Rule::Item* x;
  const int64_t* index;
  int64_t width, first, last;  // first, last: rows of the table that are this tile's
  std::span<const Entry> entries;  // what comes to them, where that was sorted out before
  bool sorted = false;
};

template <class Item> void copy_line(Item* to, int64_t to_step, const Item* from, int64_t from_step, int64_t n) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(static_cast<void*>(to), from, static_cast<size_t>(n) * sizeof(Item));
  } else if (from_step == 0) {
    for (const Item number = *from; n > 0; --n, to += to_step) *to = number;
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
  }
}

template <class Rule> void start_block(const Plan& p, const Block<Rule>& b) {
  if (p.start == Start::There) return;
  if (b.width == 1) {
    copy_line(b.y + b.first * p.along.y, p.along.y, b.x + b.first * p.along.x, p.along.x, b.last - b.first);
    return;
  }
  for (int64_t r = b.first; r < b.last; ++r) {
    copy_line(b.y + r * p.along.y, p.inner.y, b.x + r * p.along.x, p.inner.x, b.width);
  }
}

/// f(row of the table, column of the block, element of src) in the order that the rule walks. `unit`: columns are
/// neighbours in index and src.
template <class Rule, bool unit, bool all, class F> void walk_block(const Plan& p, const Block<Rule>& b, F f) {
  const int64_t count = p.along.extent, index_step = unit ? 1 : p.inner.index, src_step = unit ? 1 : p.inner.src;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t m = Rule::kBackwards ? count - 1 - k : k;
    const int64_t* at = b.index + m * p.along.index;
    typename Rule::Item* src = b.src + m * p.along.src;
    for (int64_t i = 0; i < b.width; ++i) {
      const int64_t r = at[i * index_step];
      if (all || (r >= b.first && r < b.last)) f(r, i, src[i * src_step]);
    }
  }
}

/// The same for one line.
template <class Rule, bool all, class F> void walk_line(const Plan& p, const Block<Rule>& b, F f) {
  const int64_t count = p.along.extent;
  auto walk = [&](auto index_step, auto src_step) {
    for (int64_t k = 0; k < count; ++k) {
      const int64_t m = Rule::kBackwards ? count - 1 - k : k, r = b.index[m * index_step];
      if (all || (r >= b.first && r < b.last)) f(r, int64_t{0}, b.src[m * src_step]);
    }
  };
  using Unit = std::integral_constant<int64_t, 1>;
  if (p.along.index == 1 && p.along.src == 1) {
    walk(Unit(), Unit());
  } else {
    walk(p.along.index, p.along.src);
  }
}

template <class Rule, bool all, class F> void walk(const Plan& p, const Block<Rule>& b, F f) {
  if (b.width == 1) {
    walk_line<Rule, all>(p, b, f);
  } else if (p.inner.index == 1 && p.inner.src == 1) {
    walk_block<Rule, true, all>(p, b, f);
  } else {
    walk_block<Rule, false, all>(p, b, f);
  }
}

template <class Rule, class F> void walk(const Plan& p, const Block<Rule>& b, F f) {
  if (b.sorted) {
    for (size_t k = 0; k < b.entries.size(); ++k) {
      const Entry e = b.entries[Rule::kBackwards ? b.entries.size() - 1 - k : k];
      f(int64_t{e.row}, int64_t{0}, b.src[e.m * p.along.src]);
    }
    return;
  }
  if (b.first == 0 && b.last == p.rows) {  // the tile takes all that comes
    walk<Rule, true>(p, b, f);
  } else {
    walk<Rule, false>(p, b, f);
  }
}

/// Whether a tile's part of the table is brought together first: sums that are wider than the elements, and columns
/// whose rows lie so far apart that they would drive each other out of the caches.
template <class Rule> bool is_packed(const Plan& p) {
  if (!std::is_same_v<typename Rule::Item, typename Rule::Sum>) return true;
  return p.width > 1 && (p.start != Start::There || 2 * p.along.extent >= p.rows);
}

template <class Rule>
void load_line(typename Rule::Sum* __restrict to, const typename Rule::Item* __restrict from, int64_t step, int64_t n) {
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = Rule::load(from[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = Rule::load(from[i * step]);
  }
}

template <class Rule>
void store_line(typename Rule::Item* __restrict to, int64_t step, const typename Rule::Sum* __restrict from,
                int64_t n) {
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = Rule::store(from[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * step] = Rule::store(from[i]);
  }
}

template <class Rule> void run_packed(const Plan& p, const Block<Rule>& b, typename Rule::Sum* sums) {
  const bool there = p.start == Start::There;
  const typename Rule::Item* from = there ? b.y : b.x;
  const int64_t down = there ? p.along.y : p.along.x, across = there ? p.inner.y : p.inner.x;
  const int64_t rows = b.last - b.first;
  if (b.width == 1) {
    load_line<Rule>(sums, from + b.first * down, down, rows);
  } else {
    for (int64_t r = 0; r < rows; ++r)
      load_line<Rule>(sums + r * b.width, from + (b.first + r) * down, across, b.width);
  }
  walk<Rule>(p, b, [&](int64_t r, int64_t i, auto& src) { Rule::meet(sums[(r - b.first) * b.width + i], src); });
  if (b.width == 1) {
    store_line<Rule>(b.y + b.first * p.along.y, p.along.y, sums, rows);
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      store_line<Rule>(b.y + (b.first + r) * p.along.y, p.inner.y, sums + r * b.width, b.width);
    }
  }
}

template <class Rule> void run_block(const Plan& p, const Block<Rule>& b, typename Rule::Sum* sums) {
  if (is_packed<Rule>(p)) return run_packed(p, b, sums);
  if constexpr (std::is_same_v<typename Rule::Item, typename Rule::Sum>) {
    start_block<Rule>(p, b);
    auto run = [&](auto row, auto column) {
      walk<Rule>(p, b, [&](int64_t r, int64_t i, auto& src) { Rule::meet(b.y[r * row + i * column], src); });
    };
    using Unit = std::integral_constant<int64_t, 1>;
    if (b.width == 1 && p.along.y == 1) return run(Unit(), Unit());
    if (b.width > 1 && p.inner.y == 1) return run(p.along.y, Unit());
    run(p.along.y, p.inner.y);
  }
}

/// Where a line starts in each operand.
struct Offsets {
  int64_t y = 0, x = 0, index = 0, src = 0;
};

Offsets line_at(const Plan& p, int64_t line) {
  Offsets o;
  for (size_t k = p.outer.size(); k-- > 0;) {
    const Axis& a = p.outer[k];
    const int64_t i = line % a.extent;
    line /= a.extent;
    o.y += i * a.y;
    o.x += i * a.x;
    o.index += i * a.index;
    o.src += i * a.src;
  }
  return o;
}

/// The index of few long lines sorted by ranges of the table, in its order within each: else every range would read
/// all of it.
class Buckets {
 public:
  static bool pay(const Plan& p) {
    constexpr int64_t kMost = int64_t{1} << 32;
    return p.ranges > 1 && p.inner.extent == 1 && p.rows >= kBuckets && p.rows < kMost && p.along.extent < kMost &&
           p.along.extent >= 2 * kSorted;
  }
  Buckets(Plan& p, const int64_t* index)
      : count_(p.along.extent), entries_(p.lines * count_), end_(p.lines * kBuckets) {
    const auto shift = static_cast<int>(std::bit_width(static_cast<uint64_t>((p.rows - 1) / kBuckets)));
    p.ranges = kBuckets;
    p.range = int64_t{1} << shift;
    for (int64_t line = 0; line < p.lines; ++line) {
      sort(index + line_at(p, line).index, p.along.index, shift, entries_.get() + line * count_,
           end_.get() + line * kBuckets);
    }
  }
  std::span<const Entry> of(int64_t line, int64_t range) const {
    const int64_t *end = end_.get() + line * kBuckets, begin = range == 0 ? 0 : end[range - 1];
    return {entries_.get() + line * count_ + begin, static_cast<size_t>(end[range] - begin)};
  }

 private:
  void sort(const int64_t* index, int64_t step, int shift, Entry* to, int64_t* end) const {
    const int64_t pieces = (count_ + kSorted - 1) / kSorted;
    Array<int64_t> next(pieces * kBuckets);  // how many first, then where the next one goes
    auto each = [&](int64_t piece, auto f) {
      for (int64_t m = piece * kSorted; m < std::min(count_, (piece + 1) * kSorted); ++m) f(m, index[m * step]);
    };
    parallel_for(pieces, [&](int64_t first, int64_t last) {
      std::fill_n(next.get() + first * kBuckets, (last - first) * kBuckets, 0);
      for (int64_t p = first; p < last; ++p) {
        each(p, [n = next.get() + p * kBuckets, shift](int64_t, int64_t row) { ++n[row >> shift]; });
      }
    });
    int64_t at = 0;
    for (int64_t b = 0; b < kBuckets; ++b) {
      for (int64_t p = 0; p < pieces; ++p) at += std::exchange(next[p * kBuckets + b], at);
      end[b] = at;
    }
    parallel_for(pieces, [&](int64_t first, int64_t last) {
      for (int64_t p = first; p < last; ++p) {
        each(p, [n = next.get() + p * kBuckets, shift, to](int64_t m, int64_t row) {
          to[n[row >> shift]++] = {static_cast<uint32_t>(row), static_cast<uint32_t>(m)};
        });
      }
    });
  }

  int64_t count_;
  Array<Entry> entries_;
  Array<int64_t> end_;  // of each range of each line
};

template <class Rule>
void run_tiles(const Plan& p, const AlongCall& c, const Buckets* buckets, int64_t begin, int64_t end) {
  using Item = typename Rule::Item;
  auto* y = static_cast<Item*>(c.y.record()->data());
  auto* src = static_cast<Item*>(c.src.record()->data());
  const auto* x = static_cast<const Item*>(c.x.record()->data());
  const auto* index = static_cast<const int64_t*>(c.index.record()->data());
  Array<typename Rule::Sum> sums(is_packed<Rule>(p) ? p.range * p.width : 0);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t block = t / p.ranges % p.blocks, column = block * p.width;
    const Offsets o = line_at(p, t / p.ranges / p.blocks);
    Block<Rule> b;
    b.y = y + o.y + column * p.inner.y;
    b.x = x + o.x + column * p.inner.x;
    b.index = index + o.index + column * p.inner.index;
    b.src = src + o.src + column * p.inner.src;
    b.width = std::min(p.width, p.inner.extent - column);
    b.first = std::min(p.rows, t % p.ranges * p.range);
    b.last = std::min(p.rows, b.first + p.range);
    if (buckets != nullptr) {
      b.sorted = true;
      b.entries = buckets->of(t / p.ranges, t % p.ranges);
    }
    run_block<Rule>(p, b, sums.get());
  }
}

template <class Rule> void run(const AlongCall& c) {
  bool even = true;  // every line of the table is met by one of the index
  for (size_t d = 0; d < c.y.shape().size(); ++d) even &= d == c.dim || c.index.shape()[d] == c.y.shape()[d];
  const Start start = start_as(c.x, c.y, even);
  Plan p = make_plan(c, start, sizeof(typename Rule::Sum));
  std::optional<Buckets> buckets;
  if (Buckets::pay(p)) buckets.emplace(p, static_cast<const int64_t*>(c.index.record()->data()));
  auto tiles = [&](int64_t begin, int64_t end) { run_tiles<Rule>(p, c, buckets ? &*buckets : nullptr, begin, end); };
  const int64_t work = p.lines * p.inner.extent * (p.along.extent + p.rows);
  if (work < kSerial) return tiles(0, p.tiles());
  parallel_for(p.tiles(), tiles);
}

}  // namespace

void scatter_along(const AlongCall& call, bool accumulate) {
  with_scatter_rule(call.y.dtype(), accumulate, [&](auto rule) { run<decltype(rule)>(call); });
}

Start start_as(const Tensor& x, const Tensor& y, bool tiles) {
  if (x.record()->data() == y.record()->data()) return Start::There;
  const bool number = std::all_of(x.strides().begin(), x.strides().end(), [](Dim s) { return s == 0; });
  if (tiles && number) return Start::Number;
  // A transposing copy is better done in squares than line by line.
  if (tiles && x.strides() == y.strides()) return Start::Copy;
  copy(x, y);
  return Start::There;
}

Tensor apart(const Tensor& t, std::span<const Tensor> out) {
  for (const Tensor& y : out) {
    if (t.record()->data() == y.record()->data()) return t.clone();
  }
  const auto last = static_cast<size_t>(t.dim()) - 1;
  const bool walks = t.dim() == 0 || t.shape()[last] <= 1 || stride_of(t, last) <= 1;
  return walks ? t : t.contiguous();
}

Tensor wide_index(const Tensor& index, std::span<const Tensor> out) { return apart(index.to(DType::I64), out); }

void scatter_along_kernel(const Call& call, std::span<const Tensor> out) {
  const AlongCall c{call.in[0], out[0], wide_index(call.in[1], out), apart(call.in[2], out),
                    static_cast<size_t>(call.dim("dim", call.rank(0)))};
  scatter_along(c, call.flag("accumulate"));
}

void take_along_kernel(const Call& call, std::span<const Tensor> out) {
  const AlongCall c{apart(call.in[0], out.subspan(1)), out[0], wide_index(call.in[1], out), out[1],
                    static_cast<size_t>(call.dim("dim", call.rank(0)))};
  with_rule_of_size<TakeRule>(item_size(out[0].dtype()), [&](auto rule) { run<decltype(rule)>(c); });
}

}  // namespace thixo::cpu
