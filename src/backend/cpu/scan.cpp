// Running sums. Rows run side by side where there are many; a few long rows are cut into pieces that are summed
// locally and then raised by what came before them. All cuts follow from the shape.
#include <algorithm>
#include <complex>
#include <string>

#include "backend/cpu/kernels.h"
#include "backend/cpu/panels.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"
#include "codegen/pack.h"
#include "core/record.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kGroup = 8;           // rows of the kernel that takes several
constexpr int64_t kPiece = 1024;        // elements of a piece of a long row
constexpr int64_t kBlock = 64 * kPiece; // of a task
constexpr int64_t kElements = 1 << 14;  // elements that a task should at least have

struct ScanKernels {
  KernelFn one, eight, columns;
  explicit ScanKernels(DType t) {
    const std::string key = "cumsum." + std::string(dtype_short_name(t));
    one = codegen::find_kernel(key + ".one");
    eight = codegen::find_kernel(key + ".eight");
    columns = codegen::find_kernel(key + ".columns");
  }
};

/// n elements of rows that lie x_row and y_row apart; a step of -1 element runs backwards.
struct Rows {
  const char* x;
  char* y;
  int64_t n, x_row, x_step, y_row, y_step;
};

void run(KernelFn kernel, const Rows& r, int64_t begin, int64_t end) {
  void* buffers[] = {const_cast<char*>(r.x), r.y};
  const int64_t ints[] = {r.n, r.x_row, r.x_step, r.y_row, r.y_step};
  const KernelArgs args{buffers, ints, nullptr};
  codegen::in_mode(kernel)(&args, begin, end);
}

void run_columns(KernelFn kernel, const Rows& r, int64_t begin, int64_t end) {
  void* buffers[] = {const_cast<char*>(r.x), r.y};
  const int64_t ints[] = {r.n, r.x_step, r.y_step};
  const KernelArgs args{buffers, ints, nullptr};
  codegen::in_mode(kernel)(&args, begin, end);
}

/// `rows` rows, groups of eight where they fill one.
void run_rows(const ScanKernels& k, Rows r, int64_t rows, int64_t item) {
  const int64_t groups = rows / kGroup;
  if (groups > 0) run(k.eight, r, 0, groups);
  r.x += groups * kGroup * r.x_row * item;
  r.y += groups * kGroup * r.y_row * item;
  if (rows % kGroup != 0) run(k.one, r, 0, rows % kGroup);
}

template <class T> class LongRow {
 public:
  LongRow(const ScanKernels& k, const Rows& r) : k_(k), r_(r), blocks_(ceil_div(r.n, kBlock)) {}

  void run() {
    // First every block's own running sums, then their ends as what the blocks after them begin with.
    parallel_for(blocks_, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) block(b * kBlock, std::min(kBlock, r_.n - b * kBlock));
    });
    const Array<T> before(blocks_);
    T sum = 0;
    for (int64_t b = 0; b < blocks_; ++b) {
      before[b] = sum;
      sum += y(std::min(r_.n, (b + 1) * kBlock) - 1);
    }
    parallel_for(blocks_, [&](int64_t begin, int64_t end) {
      for (int64_t b = std::max<int64_t>(begin, 1); b < end; ++b)
        raise(b * kBlock, std::min(kBlock, r_.n - b * kBlock), before[b]);
    });
  }

 private:
  T& y(int64_t i) const { return reinterpret_cast<T*>(r_.y)[i * r_.y_step]; }
  void raise(int64_t first, int64_t n, T by) const {
    T* to = &y(first);
    if (r_.y_step == 1) {
      for (int64_t i = 0; i < n; ++i) to[i] += by;
    } else {
      for (int64_t i = 0; i < n; ++i) to[i * r_.y_step] += by;
    }
  }
  void block(int64_t first, int64_t n) const {
    const auto item = static_cast<int64_t>(sizeof(T));
    const int64_t pieces = ceil_div(n, kPiece), whole = n / kPiece;
    Rows rows{r_.x + first * r_.x_step * item,
              r_.y + first * r_.y_step * item,
              kPiece,
              kPiece * r_.x_step,
              r_.x_step,
              kPiece * r_.y_step,
              r_.y_step};
    run_rows(k_, rows, whole, item);
    if (pieces > whole) {
      rows.x += whole * rows.x_row * item;
      rows.y += whole * rows.y_row * item;
      rows.n = n - whole * kPiece;
      run_rows(k_, rows, 1, item);
    }
    T sum = y(first + std::min(n, kPiece) - 1);
    for (int64_t p = 1; p < pieces; ++p) {
      const int64_t from = p * kPiece, length = std::min(kPiece, n - from);
      raise(first + from, length, sum);
      sum = y(first + from + length - 1);
    }
  }

  const ScanKernels& k_;
  Rows r_;
  int64_t blocks_;
};

/// True when the row was long enough to be cut, and its type is one whose sums can be raised without rounding twice.
bool run_long(DType t, const ScanKernels& k, const Rows& r) {
  if (r.n < 4 * kPiece) return false;
  switch (t) {
    case DType::F32: LongRow<float>(k, r).run(); return true;
    case DType::F64: LongRow<double>(k, r).run(); return true;
    case DType::I64: LongRow<uint64_t>(k, r).run(); return true;
    case DType::C64: LongRow<std::complex<float>>(k, r).run(); return true;
    case DType::C128: LongRow<std::complex<double>>(k, r).run(); return true;
    default: return false;
  }
}

/// The dims other than the one that is summed along, with both strides; the innermost first.
struct Outer {
  int64_t extent, x, y;
};
SmallVec<Outer, kMaxRank> outer_dims(const TensorRecord& x, const TensorRecord& y, size_t dim) {
  SmallVec<Outer, kMaxRank> out;
  for (size_t d = x.shape.size(); d-- > 0;) {
    const Outer o{x.shape[d], x.strides[d], y.strides[d]};
    if (d == dim || o.extent == 1) continue;
    if (!out.empty() && o.x == out.back().x * out.back().extent && o.y == out.back().y * out.back().extent) {
      out.back().extent *= o.extent;
    } else {
      out.push_back(o);
    }
  }
  return out;
}

void scan(const Tensor& from, const Tensor& to, int dim, bool reverse) {
  const TensorRecord &x = *from.record(), &y = *to.record();
  const DType t = y.dtype;
  const auto item = static_cast<int64_t>(item_size(t));
  const ScanKernels kernels(t);
  if (kernels.one == nullptr) throw NotImplementedError("cumsum: this build has no kernels for this processor");
  Rows base{static_cast<const char*>(x.data()), static_cast<char*>(y.data()), 1, 0, 0, 0, 0};
  const auto d = static_cast<size_t>(dim);
  if (!x.shape.empty()) {
    base.n = x.shape[d];
    base.x_step = x.strides[d];
    base.y_step = y.strides[d];
  }
  if (reverse) {
    base.x += (base.n - 1) * base.x_step * item;
    base.y += (base.n - 1) * base.y_step * item;
    base.x_step = -base.x_step;
    base.y_step = -base.y_step;
  }
  SmallVec<Outer, kMaxRank> outer = outer_dims(x, y, d);
  if (outer.empty()) outer.push_back({1, 0, 0});
  const Outer inner = outer[0];
  base.x_row = inner.x;
  base.y_row = inner.y;
  int64_t others = 1;
  for (size_t i = 1; i < outer.size(); ++i) others *= outer[i].extent;
  const bool columns = inner.x == 1 && inner.y == 1 && inner.extent >= 16;
  const bool few = inner.extent * others < kGroup;
  // A task is some of the rows of one setting of the other dims.
  const int64_t some = round_up(std::max<int64_t>(1, kElements / std::max<int64_t>(1, base.n)), 16),
                tasks = ceil_div(inner.extent, some);
  auto task = [&](int64_t i) {
    int64_t rest = i / tasks;
    Rows r = base;
    for (size_t k = 1; k < outer.size(); ++k) {
      r.x += rest % outer[k].extent * outer[k].x * item;
      r.y += rest % outer[k].extent * outer[k].y * item;
      rest /= outer[k].extent;
    }
    const int64_t first = i % tasks * some, rows = std::min(some, inner.extent - first);
    r.x += first * r.x_row * item;
    r.y += first * r.y_row * item;
    if (columns) return run_columns(kernels.columns, r, 0, rows);
    if (!few) return run_rows(kernels, r, rows, item);
    for (int64_t row = 0; row < rows; ++row) {
      Rows one = r;
      one.x += row * r.x_row * item;
      one.y += row * r.y_row * item;
      if (!run_long(t, kernels, one)) run_rows(kernels, one, 1, item);
    }
  };
  if (few) {  // the threads work on one row together
    for (int64_t i = 0; i < tasks * others; ++i) task(i);
    return;
  }
  parallel_for(tasks * others, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) task(i);
  });
}

/// The type that running sums of t are made in where there is no kernel for t itself.
DType scan_type(DType t) { return is_int(t) || t == DType::Bool ? DType::I64 : t; }

void cumsum(const Call& call, const Tensor& out, bool reverse) {
  const int dim = call.dim("dim", call.rank(0));
  const DType t = scan_type(out.dtype());
  const Tensor x = call.in[0].to(out.dtype()).to(t);
  if (t == out.dtype()) return scan(x, out, dim, reverse);
  const Tensor wide(new_record(out.shape(), t, out.device()));
  scan(x, wide, dim, reverse);
  copy_elements(wide.to(out.dtype()), out);
}

}  // namespace

void cumsum_kernel(const Call& call, std::span<const Tensor> out) { cumsum(call, out[0], false); }
void cumsum_reverse_kernel(const Call& call, std::span<const Tensor> out) { cumsum(call, out[0], true); }

}  // namespace thixo::cpu
