#include "backend/cpu/index.h"

#include <algorithm>
#include <complex>
#include <cstring>
#include <numeric>

#include "backend/cpu/gemm.h"
#include "backend/cpu/scratch.h"
#include "base/half.h"
#include "base/parallel.h"
#include "ir/backend.h"
#include "thixo/generator.h"

namespace thixo::cpu {
namespace {

/// The contents of src, broadcast, into dst.
void copy(const Tensor& src, const Tensor& dst) {
  static const OpDef* op = find_op("assign");
  const Tensor in[] = {dst, src};
  find_backend_entry(op->kernel)->run(Call{op, in, {}, {}}, std::span<const Tensor>(&dst, 1));
}

// ---- scatter_rows

/// A matrix in memory, strides in elements.
struct Rows {
  char* data;
  int64_t row, column;
  explicit Rows(const Tensor& t)
      : data(static_cast<char*>(t.record()->data())), row(t.strides()[0].value()), column(t.strides()[1].value()) {}
  template <class T> T* at(int64_t r, int64_t c) const { return reinterpret_cast<T*>(data) + r * row + c * column; }
};

struct Scatter {
  Rows to, from;
  const int64_t* index;
  int64_t rows, columns, count;  // rows of the table; columns; rows to write
};

template <class T, class Put>
void scatter_block(const Scatter& s, int64_t first_row, int64_t last_row, int64_t begin, int64_t end, Put put) {
  const int64_t to = s.to.column, from = s.from.column;
  for (int64_t m = 0; m < s.count; ++m) {
    const int64_t r = s.index[m];
    if (r < first_row || r >= last_row) continue;
    T* y = s.to.at<T>(r, begin);
    const T* x = s.from.at<T>(m, begin);
    if (to == 1 && from == 1) {
      for (int64_t c = 0; c < end - begin; ++c) put(y[c], x[c]);
    } else {
      for (int64_t c = 0; c < end - begin; ++c) put(y[c * to], x[c * from]);
    }
  }
}

/// Tiles never share an element, so the order of the index decides, for any number of threads. Wide rows are cut into
/// columns; narrow ones into ranges of the table, each of which reads the whole index.
template <class T, class Put> void scatter(const Scatter& s, Put put) {
  constexpr int64_t kWidth = 64, kRanges = 8, kSmall = 1 << 14;
  if (s.count * s.columns < kSmall) {
    scatter_block<T>(s, 0, s.rows, 0, s.columns, put);
  } else if (s.columns >= 2 * kWidth) {
    parallel_for((s.columns + kWidth - 1) / kWidth, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        scatter_block<T>(s, 0, s.rows, t * kWidth, std::min(s.columns, (t + 1) * kWidth), put);
      }
    });
  } else {
    const int64_t range = (s.rows + kRanges - 1) / kRanges;
    parallel_for(kRanges, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) scatter_block<T>(s, t * range, (t + 1) * range, 0, s.columns, put);
    });
  }
}

template <class T> void add_rows(const Scatter& s) {
  scatter<T>(s, [](T& y, const T& x) { y = static_cast<T>(y + x); });
}

template <class T> void put_rows(const Scatter& s) {
  scatter<T>(s, [](T& y, const T& x) { y = x; });
}

/// 16-bit floats add up in f32 and are rounded once, as the definition says.
void add_half_rows(const Scatter& s, bool brain) {
  auto widen = [brain](uint16_t v) { return brain ? bf16_to_f32(v) : f16_to_f32(v); };
  Array<float> sums(s.rows * s.columns), parts(s.count * s.columns);
  auto fill = [&](const Rows& m, float* out, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < s.columns; ++c) out[r * s.columns + c] = widen(*m.at<uint16_t>(r, c));
    }
  };
  fill(s.to, sums.get(), s.rows);
  fill(s.from, parts.get(), s.count);
  Scatter wide = s;
  wide.to.data = reinterpret_cast<char*>(sums.get());
  wide.from.data = reinterpret_cast<char*>(parts.get());
  wide.to.row = wide.from.row = s.columns;
  wide.to.column = wide.from.column = 1;
  add_rows<float>(wide);
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t c = 0; c < s.columns; ++c) {
      const float v = sums[r * s.columns + c];
      *s.to.at<uint16_t>(r, c) = brain ? f32_to_bf16(v) : f32_to_f16(v);
    }
  }
}

void add_any_rows(const Scatter& s, DType t) {
  switch (t) {
    case DType::F64: return add_rows<double>(s);
    case DType::F32: return add_rows<float>(s);
    case DType::F16: return add_half_rows(s, false);
    case DType::BF16: return add_half_rows(s, true);
    case DType::I64:
    case DType::U64: return add_rows<uint64_t>(s);
    case DType::I32:
    case DType::U32: return add_rows<uint32_t>(s);
    case DType::I16:
    case DType::U16: return add_rows<uint16_t>(s);
    case DType::I8:
    case DType::U8: return add_rows<uint8_t>(s);
    case DType::Bool: return scatter<uint8_t>(s, [](uint8_t& y, uint8_t x) { y = y | x; });
    case DType::C64: return add_rows<std::complex<float>>(s);
    case DType::C128: return add_rows<std::complex<double>>(s);
  }
}

void put_any_rows(const Scatter& s, size_t bytes) {
  switch (bytes) {
    case 1: return put_rows<uint8_t>(s);
    case 2: return put_rows<uint16_t>(s);
    case 4: return put_rows<uint32_t>(s);
    case 8: return put_rows<uint64_t>(s);
    default: return put_rows<std::complex<double>>(s);
  }
}

void scatter_rows_kernel(const Call& call, std::span<const Tensor> out) {
  const Tensor &x = call.in[0], &index = call.in[1], &src = call.in[2], &y = out[0];
  if (y.record()->data() != x.record()->data()) copy(x, y);
  const int64_t count = index.numel().value(), step = index.strides()[0].value();
  Array<int64_t> places(count);
  for (int64_t m = 0; m < count; ++m) {
    places[m] = index.dtype() == DType::I32 ? static_cast<const int32_t*>(index.record()->data())[m * step]
                                            : static_cast<const int64_t*>(index.record()->data())[m * step];
  }
  const Scatter s{Rows(y), Rows(src), places.get(), x.shape()[0].value(), x.shape()[1].value(), count};
  if (call.flag("accumulate")) {
    add_any_rows(s, y.dtype());
  } else {
    put_any_rows(s, item_size(y.dtype()));
  }
}

// ---- nonzero

constexpr int64_t kNonzeroBlock = 1 << 15;  // elements

/// Writes the places of the first `count` set bytes of mask[begin...], one row of indices each.
void write_places(const uint8_t* mask, int64_t begin, int64_t count, const Shape& shape, int64_t* to) {
  const size_t last = shape.size() - 1;
  SmallVec<int64_t, kMaxRank> at(shape.size(), 0);
  for (size_t d = shape.size(), rest = static_cast<size_t>(begin); d-- > 0;) {
    const auto n = static_cast<size_t>(shape[d].value());
    at[d] = static_cast<int64_t>(rest % n);
    rest /= n;
  }
  const int64_t* end = to + count * static_cast<int64_t>(shape.size());
  for (const uint8_t* m = mask + begin; to < end;) {
    // Without a branch: a place that is none is written over by the next.
    for (const int64_t n = shape[last].value(); at[last] < n && to < end; ++at[last], ++m) {
      for (size_t d = 0; d <= last; ++d) to[d] = at[d];
      to += *m != 0 ? shape.size() : 0;
    }
    for (size_t d = last; d > 0 && at[d] == shape[d].value(); --d) {
      at[d] = 0;
      ++at[d - 1];
    }
  }
}

void nonzero_kernel(const Call& call, std::span<const Tensor> out) {
  const Tensor mask = call.in[0].to(DType::Bool).contiguous();
  const auto* m = static_cast<const uint8_t*>(mask.record()->data());
  auto* to = static_cast<int64_t*>(out[0].record()->data());
  const int64_t n = mask.numel().value(), rank = mask.dim(), blocks = ceil_div(n, kNonzeroBlock);
  if (rank == 0) return;
  Array<int64_t> count(blocks);
  parallel_for(blocks, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const uint8_t *from = m + b * kNonzeroBlock, *until = m + std::min(n, (b + 1) * kNonzeroBlock);
      count[b] = until - from - std::count(from, until, 0);
    }
  });
  Array<int64_t> before(blocks);
  std::exclusive_scan(count.get(), count.get() + blocks, before.get(), int64_t{0});
  parallel_for(blocks, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      write_places(m, b * kNonzeroBlock, count[b], mask.shape(), to + before[b] * rank);
    }
  });
}

// ---- randperm, cat

void randperm_kernel(const Call& call, std::span<const Tensor> out) {
  const RngKey rng = std::get<RngKey>(call.attr("generator"));
  const int64_t n = call.integer("n").value();
  const bool direct = out[0].dtype() == DType::I64 && out[0].is_contiguous();
  const Tensor order = direct ? out[0] : empty({n}, {.dtype = DType::I64});
  auto* p = static_cast<int64_t*>(order.record()->data());
  std::iota(p, p + n, 0);
  // Partners are known ahead (random numbers are counted): a block of them is on its way from memory meanwhile.
  constexpr int64_t kBlock = 64;
  int64_t partner[kBlock];
  for (int64_t top = n - 1; top > 0; top -= kBlock) {
    const int64_t some = std::min(kBlock, top);
    for (int64_t k = 0; k < some; ++k) {
      const int64_t i = top - k;
      const auto words = philox4x32(rng.key, rng.counter + static_cast<uint64_t>(i));
      const uint64_t r = static_cast<uint64_t>(words[0]) << 32 | words[1];
      partner[k] = static_cast<int64_t>(r % static_cast<uint64_t>(i + 1));
      __builtin_prefetch(p + partner[k], 1);
    }
    for (int64_t k = 0; k < some; ++k) std::swap(p[top - k], p[partner[k]]);
  }
  if (!direct) copy(order, out[0]);
}

void cat_kernel(const Call& call, std::span<const Tensor> out) {
  const Tensor& y = out[0];
  const auto d = static_cast<size_t>(call.dim("dim", static_cast<int>(y.dim())));
  int64_t offset = y.storage_offset();
  for (const Tensor& x : call.in) {
    if (x.numel().value() == 0) continue;
    copy(x, Tensor(new_record_on(y.record()->storage, x.shape(), y.strides(), offset, y.dtype())));
    offset += x.shape()[d].value() * y.strides()[d].value();
  }
}

}  // namespace

void add_index_entries() {
  static constexpr BackendEntry kEntries[] = {{"scatter_rows", scatter_rows_kernel},
                                              {"nonzero", nonzero_kernel},
                                              {"randperm", randperm_kernel},
                                              {"cat", cat_kernel}};
  add_backend_entries(kEntries);
}

}  // namespace thixo::cpu
