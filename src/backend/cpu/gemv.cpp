#include "backend/cpu/gemv.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "backend/cpu/conv.h"
#include "backend/cpu/scratch.h"
#include "base/deterministic.h"
#include "base/parallel.h"
#include "codegen/gemm_kernels.h"
#include "codegen/pack.h"

namespace thixo::cpu {
namespace {

using codegen::kGemvColumns;

constexpr int64_t kWork = 1 << 16;     // products of a task
constexpr int64_t kDepth = 1 << 14;    // products of one sum before it is cut

struct GemvKernels {
  KernelFn rows = nullptr, columns = nullptr, last = nullptr;
};

constexpr DType kTypes[] = {DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32, DType::I64};
/// Unsigned integers have the bits of signed ones. -1: no kernel.
int index_of(DType t) {
  const DType like = t == DType::U32 ? DType::I32 : t == DType::U64 ? DType::I64 : t;
  const auto* at = std::find(std::begin(kTypes), std::end(kTypes), like);
  return at == std::end(kTypes) ? -1 : static_cast<int>(at - std::begin(kTypes));
}

const GemvKernels& kernels_of(int type) {
  static const std::array<GemvKernels, 12> all = [] {
    std::array<GemvKernels, 12> k;
    for (size_t i = 0; i < 12; ++i) {
      const DType t = kTypes[i % 6];
      const std::string key = "gemv." + std::string(dtype_short_name(t)) + (i >= 6 && is_float(t) ? ".det" : "");
      k[i] = {codegen::find_kernel(key + ".rows"), codegen::find_kernel(key + ".columns"),
              codegen::find_kernel(key + ".last")};
    }
    return k;
  }();
  return all[static_cast<size_t>(type) + (detail::deterministic() ? 6 : 0)];
}

/// y = A x: `rows` results, sums of `depth` products. A's results lie `row` apart, its products `column` apart.
struct Problem {
  DType dtype, type;
  const char* a;
  int64_t rows, depth, row, column;
  int64_t item, wide;  // sizes of the elements of A, and of x and y
};

void call(KernelFn f, const char* a, const char* x, char* y, int64_t depth, int64_t lda, int64_t begin, int64_t end) {
  void* buffers[] = {const_cast<char*>(a), const_cast<char*>(x), y};
  const int64_t ints[] = {depth, lda};
  const KernelArgs args{buffers, ints, nullptr};
  if (begin < end) f(&args, begin, end);
}

/// Results begin..end of one cut of the sums.
void run(const GemvKernels& k, const Problem& p, const char* x, char* y, int64_t from, int64_t depth, int64_t begin,
         int64_t end) {
  const char* a = p.a + from * p.column * p.item;
  x += from * p.wide;
  if (p.column == 1) return call(k.rows, a, x, y, depth, p.row, begin, end);
  const int64_t whole = end / kGemvColumns;  // begin is a multiple of kGemvColumns
  call(k.columns, a, x, y, depth, p.column, begin / kGemvColumns, whole);
  call(k.last, a, x, y, depth, p.column, std::max(begin, whole * kGemvColumns), end);
}

/// Sums of many products are cut into pieces of kDepth, which are added in a fixed tree.
void solve(const GemvKernels& k, const Problem& p, const char* x, char* y) {
  const int64_t pieces = std::max<int64_t>(1, ceil_div(p.depth, kDepth));
  const int64_t depth = std::min(p.depth, kDepth),
                some = round_up(std::max<int64_t>(1, kWork / std::max<int64_t>(1, depth)), kGemvColumns);
  const int64_t tasks = ceil_div(p.rows, some);
  const Array<char> parts(pieces > 1 ? pieces * p.rows * p.wide : 0);
  parallel_for(tasks * pieces, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t piece = i / tasks, from = piece * kDepth, begin = i % tasks * some;
      char* to = pieces > 1 ? parts.get() + piece * p.rows * p.wide : y;
      run(k, p, x, to, from, std::min(depth, p.depth - from), begin, std::min(p.rows, begin + some));
    }
  });
  if (pieces == 1) return;
  add_in_tree(p.type, parts.get(), pieces, p.rows);
  std::memcpy(y, parts.get(), static_cast<size_t>(p.rows * p.wide));
}

template <class T> void add_bias(T* y, const T* bias, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += bias[i];
}

}  // namespace

bool gemv(const Gemm& g) {
  const int type = index_of(g.dtype);
  if ((g.m != 1 && g.n != 1) || g.k == 0 || g.accumulate || g.wide || type < 0) return false;
  const GemvKernels& k = kernels_of(type);
  if (k.rows == nullptr) return false;
  // With one column A is the matrix; with one row it is B, read the other way around.
  const bool column = g.n == 1;
  const Matrix& matrix = column ? g.a : g.b;
  Problem p{g.dtype,
            gemm_type(g.dtype),
            static_cast<const char*>(matrix.data),
            column ? g.m : g.n,
            g.k,
            column ? matrix.row_stride : matrix.column_stride,
            column ? matrix.column_stride : matrix.row_stride,
            static_cast<int64_t>(item_size(g.dtype)),
            static_cast<int64_t>(item_size(gemm_type(g.dtype)))};
  if (p.rows == 1) p.row = 1;
  if (p.depth == 1) p.column = p.row == 1 ? p.rows : 1;
  if (p.column != 1 && p.row != 1) return false;
  const Array<char> x(round_up(p.depth, 16) * p.wide), y(p.rows * p.wide);
  const Array<int64_t> at(std::max(p.depth, p.rows));
  const int64_t x_stride = column ? g.b.row_stride : g.a.column_stride, zero = 0;
  for (int64_t i = 0; i < p.depth; ++i) at[i] = i * x_stride;
  pack_panels({column ? g.b.data : g.a.data, g.dtype, at.get(), p.depth, &zero, 1, 16}, x.get());
  solve(k, p, x.get(), y.get());
  if (g.bias != nullptr) {
    // One row: a bias for each result; one column: the same for all.
    const Array<char> bias(round_up(p.rows, 16) * p.wide);
    for (int64_t i = 0; i < p.rows; ++i) at[i] = column ? 0 : i * g.bias_stride;
    pack_panels({g.bias, g.dtype, at.get(), p.rows, &zero, 1, 16}, bias.get());
    switch (p.type) {
      case DType::F32: add_bias(y.as<float>(), bias.as<float>(), p.rows); break;
      case DType::F64: add_bias(y.as<double>(), bias.as<double>(), p.rows); break;
      case DType::I32: add_bias(y.as<uint32_t>(), bias.as<uint32_t>(), p.rows); break;
      default: add_bias(y.as<uint64_t>(), bias.as<uint64_t>(), p.rows);
    }
  }
  const int64_t y_stride = column ? g.c.row_stride : g.c.column_stride;
  for (int64_t i = 0; i < p.rows; ++i) at[i] = i * y_stride;
  store_block(g.dtype, y.get(), p.rows, 1, p.rows, g.c.data, 0, at.get());
  return true;
}

}  // namespace thixo::cpu
