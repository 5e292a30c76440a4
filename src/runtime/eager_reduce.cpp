// Reductions: over contiguous rows, over columns, and any mix of dims in between. Work is cut by the sizes alone and
// partial results are combined in a fixed order, so the bits do not depend on the number of threads.
#include <algorithm>

#include "core/values.h"
#include "runtime/eager.h"
#include "runtime/eager_nest.h"
#include "runtime/eager_tiles.h"
#include "runtime/strided.h"

namespace thixo::detail {
namespace {

constexpr int64_t kPiece = 32768;       // elements that one piece of a long reduction adds up
constexpr int64_t kRowsInPiece = 256;   // rows that are added into the same columns one after the other
constexpr int64_t kColumns = 4096;      // columns whose accumulators stay in the first cache
constexpr int64_t kShort = 16;          // rows below this are better taken as columns

/// Axes of the operand with their strides, innermost first.
struct Axes {
  SmallVec<int64_t, kMaxRank> extent, stride;
  size_t size() const { return extent.size(); }
  int64_t count() const {
    int64_t n = 1;
    for (int64_t e : extent) n *= e;
    return n;
  }
  void add(int64_t n, int64_t s) {
    extent.push_back(n);
    stride.push_back(s);
  }
};

/// Where each of the axes from `first` on stands, as one offset.
int64_t offset_of(const Axes& axes, size_t first, int64_t index) {
  int64_t at = 0;
  for (size_t a = first; a < axes.size(); ++a) {
    at += index % axes.extent[a] * axes.stride[a];
    index /= axes.extent[a];
  }
  return at;
}

struct Job {
  const ReducePlan::Kernels* kernels;
  DType in, acc;
  const char* x;
  Axes kept, reduced;
  char* result;  // kept.count() accumulators

  int64_t inner_kept() const { return kept.size() == 0 ? 1 : kept.extent[0]; }
  int64_t kept_stride() const { return kept.size() == 0 ? 0 : kept.stride[0]; }
  int64_t inner_reduced() const { return reduced.size() == 0 ? 1 : reduced.extent[0]; }
  int64_t reduced_stride() const { return reduced.size() == 0 ? 0 : reduced.stride[0]; }
  const char* at(int64_t elements) const { return x + elements * static_cast<int64_t>(item_size(in)); }
};

void fill_neutral(Combine combine, DType type, char* to, int64_t n) {
  const Expr e = neutral(combine, type);
  alignas(16) char value[16] = {};
  const bool number = is_differentiable(type);
  store_scalar(value, type, number ? Scalar(std::complex<double>(e->f, e->f2)) : Scalar(e->ivalue));
  convert_strided(type, value, 0, type, to, 1, n);
}

/// A reduction cut into `pieces` along the reduced axes, `lines` runs of at most `line` elements each.
struct Cut {
  bool rows;            // runs along the reduced axis, else whole columns at a time
  int64_t line;         // reduced elements of a run
  int64_t lines;        // runs in all
  int64_t per_piece;    // runs of a piece
  int64_t pieces;
  int64_t block;        // kept elements of a unit, along the inner kept axis
};

bool takes_rows(const Job& j) {
  if (j.reduced.size() == 0 || j.kept.size() == 0) return true;
  if (j.reduced_stride() == 1) return !(j.inner_reduced() < kShort && j.inner_kept() >= kShort);
  return j.kept_stride() != 1 && j.inner_kept() < kShort;
}

Cut cut(const Job& j) {
  Cut c;
  c.rows = takes_rows(j);
  const int64_t outer = j.reduced.count() / j.inner_reduced(), kept = j.kept.count();
  c.line = std::min(j.inner_reduced(), c.rows ? kPiece : kRowsInPiece);
  c.lines = outer * ((j.inner_reduced() + c.line - 1) / c.line);
  c.per_piece = std::max<int64_t>(1, (c.rows ? kPiece : kRowsInPiece) / c.line);
  // Enough results keep every thread busy; then rows are not cut (their sums are blocked inside the kernel).
  if (c.rows && kept * c.line >= 64 * kPiece / 16) c.per_piece = c.lines;
  c.pieces = (c.lines + c.per_piece - 1) / c.per_piece;
  const int64_t work = c.line * std::min(c.per_piece, c.lines);
  c.block = c.rows ? std::max<int64_t>(1, kPiece / work) : kColumns;
  return c;
}

void run_line(const Job& j, const Cut& c, int64_t line, int64_t kept_outer, int64_t first, int64_t count, char* acc) {
  const int64_t runs = (j.inner_reduced() + c.line - 1) / c.line, begin = line % runs * c.line;
  const int64_t length = std::min(c.line, j.inner_reduced() - begin);
  const int64_t base = offset_of(j.kept, 1, kept_outer) + offset_of(j.reduced, 1, line / runs) +
                       begin * j.reduced_stride() + first * j.kept_stride();
  void* buffers[] = {const_cast<char*>(j.at(base)), acc};
  if (c.rows) {
    const bool contiguous = j.reduced_stride() == 1;
    const int64_t ints[] = {length, j.kept_stride(), j.reduced_stride()};
    run_kernel(j.kernels->rows[contiguous], buffers, ints, nullptr, 0, count);
  } else {
    const bool contiguous = j.kept_stride() == 1;
    const int64_t ints[] = {count, j.reduced_stride(), j.kept_stride()};
    run_kernel(j.kernels->columns[contiguous], buffers, ints, nullptr, 0, length);
  }
}

void run_pieces(const Job& j, const Cut& c, char* partial) {
  const int64_t inner = j.inner_kept(), total = j.kept.count(), outer = total / inner;
  const int64_t blocks = (inner + c.block - 1) / c.block, item = static_cast<int64_t>(item_size(j.acc));
  run_units(c.pieces * outer * blocks, total * j.reduced.count(), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t block = u % blocks, o = u / blocks % outer, piece = u / blocks / outer;
      const int64_t first = block * c.block, count = std::min(c.block, inner - first);
      char* acc = partial + (piece * total + o * inner + first) * item;
      const int64_t last = std::min(c.lines, (piece + 1) * c.per_piece);
      for (int64_t line = piece * c.per_piece; line < last; ++line) run_line(j, c, line, o, first, count, acc);
    }
  });
}

void reduce(const ReducePlan& plan, Job j);

constexpr int64_t kNarrow = 64, kFolded = 512;  // columns

// Few columns in dense rows: several rows side by side are one row of more columns, added up as such first.
bool reduce_folded(const ReducePlan& plan, const Job& j) {
  const int64_t columns = j.inner_kept(), rows = j.inner_reduced();
  const bool dense =
      j.kept.size() == 1 && j.reduced.size() == 1 && j.kept_stride() == 1 && j.reduced_stride() == columns;
  if (!dense || columns > kNarrow) return false;
  const int64_t fold = kFolded / columns, whole = rows / fold;
  if (whole < 16) return false;
  const Tensor partial(new_record({Dim((fold + 1) * columns)}, j.acc));
  char* p = static_cast<char*>(partial.record()->data());
  const int64_t item = static_cast<int64_t>(item_size(j.acc));
  Job wide = j, rest = j, last{&plan.combine, j.acc, j.acc, p, {}, {}, j.result};
  wide.kept.extent[0] = wide.reduced.stride[0] = fold * columns;
  wide.reduced.extent[0] = whole;
  wide.result = p;
  reduce(plan, std::move(wide));
  rest.x = j.at(whole * fold * columns);
  rest.reduced.extent[0] = rows - whole * fold;
  rest.result = p + fold * columns * item;
  reduce(plan, std::move(rest));
  last.kept.add(columns, 1);
  last.reduced.add(fold + 1, columns);
  reduce(plan, std::move(last));
  return true;
}

void reduce(const ReducePlan& plan, Job j) {
  if (!takes_rows(j) && reduce_folded(plan, j)) return;
  const int64_t total = j.kept.count();
  fill_neutral(plan.form.combine, j.acc, j.result, total);
  if (j.reduced.count() == 0) return;
  const Cut c = cut(j);
  if (c.pieces == 1) {
    run_pieces(j, c, j.result);
    return;
  }
  const Tensor partial(new_record({Dim(c.pieces * total)}, j.acc));
  char* p = static_cast<char*>(partial.record()->data());
  fill_neutral(plan.form.combine, j.acc, p, c.pieces * total);
  run_pieces(j, c, p);
  Job rest{&plan.combine, j.acc, j.acc, p, {}, {}, j.result};
  if (total > 1) rest.kept.add(total, 1);
  rest.reduced.add(c.pieces, total);
  reduce(plan, std::move(rest));
}

// ---- the axes of a call ----

struct Dims {
  SmallVec<int, kMaxRank> kept, reduced;  // dims of the operand
  SmallVec<int, kMaxRank> result;         // of the result, for each of `kept`
};

Dims dims_of(const codegen::NestForm& f) {
  Dims d;
  const Expr at = f.reads[0].at;
  for (size_t k = 0; k < at->args.size(); ++k) {
    const int axis = at->args[k]->i;
    const bool reduced = std::any_of(f.reduce.begin(), f.reduce.end(), [&](const auto& r) { return r.axis == axis; });
    (reduced ? d.reduced : d.kept).push_back(static_cast<int>(k));
    if (!reduced) d.result.push_back(axis);
  }
  return d;
}

/// Dims of the operand by their place in memory, innermost first; broadcast ones last.
void sort_by_stride(const Tensor& x, SmallVec<int, kMaxRank>& dims, SmallVec<int, kMaxRank>* along) {
  auto before = [&](int a, int b) {
    const int64_t s = x.strides()[static_cast<size_t>(a)].value(), t = x.strides()[static_cast<size_t>(b)].value();
    if ((s == 0) != (t == 0)) return t == 0;
    return s != t ? s < t : a > b;
  };
  for (size_t i = 1; i < dims.size(); ++i) {
    for (size_t k = i; k > 0 && before(dims[k], dims[k - 1]); --k) {
      std::swap(dims[k], dims[k - 1]);
      if (along != nullptr) std::swap((*along)[k], (*along)[k - 1]);
    }
  }
}

Axes axes_of(const Tensor& x, const SmallVec<int, kMaxRank>& dims) {
  Axes a;
  for (int d : dims) {
    const int64_t n = x.shape()[static_cast<size_t>(d)].value(), s = x.strides()[static_cast<size_t>(d)].value();
    if (n == 1) continue;
    if (a.size() > 0 && s == a.stride.back() * a.extent.back()) {
      a.extent.back() *= n;
    } else {
      a.add(n, s);
    }
  }
  return a;
}

/// Dense strides of the result in the order in which the kept dims lie in the operand.
Strides result_layout(const Tensor& x, const Dims& d, const Spec& spec) {
  Strides out(spec.shape.size(), Dim(1));
  int64_t stride = 1;
  for (size_t i = 0; i < d.kept.size(); ++i) {
    if (spec.shape.empty()) break;
    out[static_cast<size_t>(d.result[i])] = stride;
    stride *= std::max<int64_t>(x.shape()[static_cast<size_t>(d.kept[i])].value(), 1);
  }
  return out;
}

void finish(const Call& call, const ReducePlan& plan, const Spec& spec, const Tensor& acc, const Tensor& out) {
  SmallVec<int64_t, 8> ints;
  for (Dim d : plan.finish_sizes) ints.push_back(codegen::nest_size_value(d, call, std::span(&spec, 1)));
  void* buffers[] = {acc.record()->data(), out.record()->data()};
  const int64_t n = numel_of(spec.shape).value();
  run_units((n + kGrain - 1) / kGrain, n, [&](int64_t begin, int64_t end) {
    run_kernel(plan.finish, buffers, ints.data(), nullptr, begin * kGrain, std::min(end * kGrain, n));
  });
}

}  // namespace

Tensor eager_reduce(const Call& call, const NestPlan& nest, const Spec& spec) {
  const ReducePlan& plan = *nest.reduce;
  const Tensor& x = call.in[static_cast<size_t>(nest.form.reads[0].operand)];
  Dims dims = dims_of(nest.form);
  if (x.shape().empty()) dims = {};
  sort_by_stride(x, dims.kept, &dims.result);
  sort_by_stride(x, dims.reduced, nullptr);
  Tensor out(new_record(spec.shape, spec.dtype, spec.device));
  out.record()->strides = result_layout(x, dims, spec);
  if (numel_of(spec.shape).value() == 0) return out;
  const Tensor acc = plan.finish == nullptr ? out : Tensor(new_record(spec.shape, plan.form.acc(), spec.device));
  reduce(plan, {&plan.map, x.dtype(), plan.form.acc(), static_cast<const char*>(x.record()->data()),
                axes_of(x, dims.kept), axes_of(x, dims.reduced), static_cast<char*>(acc.record()->data())});
  if (plan.finish != nullptr) finish(call, plan, spec, acc, out);
  return out;
}

}  // namespace thixo::detail
