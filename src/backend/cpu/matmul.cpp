// The kernels of matmul and linear: shapes and strides of tensors as matrix products.
#include "backend/cpu/kernels.h"
#include "backend/cpu/product.h"
#include "core/record.h"

namespace thixo::cpu {
namespace {

/// A tensor as a batch of matrices, missing dims filled up.
struct Stack {
  const TensorRecord* t;
  int lead = 0;  // leading dims
  int64_t rows = 1, columns = 1, row_stride = 0, column_stride = 0;

  Stack(const Tensor& tensor, bool has_rows, bool has_columns) : t(tensor.record()) {
    int last = static_cast<int>(t->shape.size()) - 1;
    if (has_columns) {
      columns = t->shape[static_cast<size_t>(last)];
      column_stride = t->strides[static_cast<size_t>(last)];
      --last;
    }
    if (has_rows) {
      rows = t->shape[static_cast<size_t>(last)];
      row_stride = t->strides[static_cast<size_t>(last)];
      --last;
    }
    lead = last + 1;
    // The stride of a single column or row means nothing; these let it pass for a dense matrix.
    if (columns == 1) column_stride = 1;
    if (rows == 1) row_stride = columns;
  }
  Matrix matrix() const { return {t->data(), row_stride, column_stride}; }
  /// Stride along leading dim d of a result that has `of`; 0 where the tensor is broadcast.
  int64_t stride(int d, int of) const {
    const int own = d - (of - lead);
    if (own < 0 || t->shape[static_cast<size_t>(own)] == 1) return 0;
    return t->strides[static_cast<size_t>(own)];
  }
};

/// Leading dims of a batch with the strides of the three tensors along them.
struct Lead {
  int64_t extent, a, b, c;
};

/// Dims of size 1 dropped, neighbours joined that all tensors walk through as one.
SmallVec<Lead, kMaxRank> lead_dims(const Stack& a, const Stack& b, const Stack& c) {
  SmallVec<Lead, kMaxRank> out;
  for (int d = 0; d < c.lead; ++d) {
    const Lead v{c.t->shape[static_cast<size_t>(d)], a.stride(d, c.lead), b.stride(d, c.lead), c.stride(d, c.lead)};
    if (v.extent == 1) continue;
    if (!out.empty()) {
      Lead& p = out.back();
      if (p.a == v.a * v.extent && p.b == v.b * v.extent && p.c == v.c * v.extent) {
        p = {p.extent * v.extent, v.a, v.b, v.c};
        continue;
      }
    }
    out.push_back(v);
  }
  return out;
}

void run_batch(const Gemm& g, const SmallVec<Lead, kMaxRank>& lead) {
  int64_t count = 1;
  for (const Lead& l : lead) count *= l.extent;
  if (count == 1) return product(g);
  std::vector<BatchOffsets> offsets(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    BatchOffsets& o = offsets[static_cast<size_t>(i)];
    for (size_t d = lead.size(); d-- > 0; rest /= lead[d].extent) {
      const int64_t at = rest % lead[d].extent;
      o.a += at * lead[d].a;
      o.b += at * lead[d].b;
      o.c += at * lead[d].c;
    }
  }
  product_batch(g, count, offsets.data());
}

/// The whole batch times one matrix is one product when the rows of all its matrices follow each other evenly.
void fold_lead(Gemm& g, SmallVec<Lead, kMaxRank>& lead) {
  while (!lead.empty()) {
    const Lead& l = lead.back();
    const bool rows_follow = g.m == 1 || (l.a == g.a.row_stride * g.m && l.c == g.c.row_stride * g.m);
    if (l.b != 0 || !rows_follow) return;
    if (g.m == 1) {
      g.a.row_stride = l.a;
      g.c.row_stride = l.c;
    }
    g.m *= l.extent;
    lead.pop_back();
  }
}

void run_matmul(const Call& call, const Tensor& out) {
  const bool rows = call.rank(0) > 1, columns = call.rank(1) > 1;
  const Stack a(call.in[0], rows, true), b(call.in[1], true, columns), c(out, rows, columns);
  Gemm g{call.dtype(0), a.rows, b.columns, a.columns, a.matrix(), b.matrix(), c.matrix()};
  SmallVec<Lead, kMaxRank> lead = lead_dims(a, b, c);
  fold_lead(g, lead);
  run_batch(g, lead);
}

void run_linear(const Call& call, const Tensor& out) {
  const bool rows = call.rank(0) > 1;
  const Stack a(call.in[0], rows, true), w(call.in[1], true, true), c(out, rows, true);
  Gemm g{call.dtype(0), a.rows, w.rows, a.columns, a.matrix(), {w.t->data(), w.column_stride, w.row_stride},
         c.matrix()};
  if (call.has(2)) {
    g.bias = call.in[2].record()->data();
    g.bias_stride = call.in[2].record()->strides[0];
  }
  SmallVec<Lead, kMaxRank> lead = lead_dims(a, w, c);
  fold_lead(g, lead);
  run_batch(g, lead);
}

}  // namespace

void matmul_kernel(const Call& call, std::span<const Tensor> out) { without_alias(call, out[0], run_matmul); }
void linear_kernel(const Call& call, std::span<const Tensor> out) { without_alias(call, out[0], run_linear); }

}  // namespace thixo::cpu
