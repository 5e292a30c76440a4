// Attention by blocks of query rows: the scores of a block live in working memory between two products, so memory
// grows with the length and not with its square. A block and its order follow from the shapes alone.
#include <algorithm>
#include <limits>
#include <string>

#include "backend/cpu/kernels.h"
#include "backend/cpu/product.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"
#include "codegen/pack.h"
#include "core/record.h"

namespace thixo::cpu {
namespace {

/// [..., rows, columns] as a batch of matrices; every leading dim has the same size in all operands, or is broadcast.
struct Batch {
  const TensorRecord* t;
  Shape lead;

  Batch(const Tensor& tensor, const Shape& lead_dims) : t(tensor.record()), lead(lead_dims) {}
  size_t rank() const { return t->shape.size(); }
  int64_t stride(int back) const { return t->strides[rank() - static_cast<size_t>(back)]; }
  /// Where matrix i lies, in elements; `tail` dims at the end are the matrix's own.
  int64_t offset(int64_t i, size_t tail) const {
    int64_t at = 0;
    for (size_t d = lead.size(); d-- > 0;) {
      const int64_t extent = lead[d], place = i % extent;
      i /= extent;
      const size_t own = rank() - tail;
      if (d + own < lead.size()) continue;  // a dim that this operand lacks
      const size_t k = d + own - lead.size();
      if (t->shape[k].value() != 1) at += place * t->strides[k].value();
    }
    return at;
  }
  Matrix matrix(int64_t i, int64_t row = 0) const {
    const int64_t item = static_cast<int64_t>(item_size(t->dtype));
    return {static_cast<char*>(t->data()) + (offset(i, 2) + row * stride(2)) * item, stride(2), stride(1)};
  }
  Matrix transposed(int64_t i) const {
    const Matrix m = matrix(i);
    return {m.data, m.column_stride, m.row_stride};
  }
};

struct Kernels {
  KernelFn softmax, again, scores, share;
  Kernels(DType t, bool masked) {
    const std::string type(dtype_short_name(t)), mask = masked ? ".mask" : "";
    softmax = codegen::find_kernel("attention.softmax." + type + mask);
    again = codegen::find_kernel("attention.again." + type + mask);
    scores = codegen::find_kernel("attention.scores." + type);
    share = codegen::find_kernel("attention.share." + type);
  }
};

struct Problem {
  DType t;
  Shape lead;
  int64_t count = 1, rows, columns, features, values, block;  // block: query rows at a time
  double scale;
  bool causal;
  size_t item;
  Tensor mask;  // of type t, or undefined
  Kernels kernels;

  Problem(const Call& call, int q, int v, const Tensor& given_mask)
      : t(call.dtype(q)),
        rows(0),
        columns(0),
        features(0),
        values(0),
        block(0),
        scale(call.number("scale")),
        causal(call.flag("is_causal")),
        item(item_size(t)),
        kernels(t, given_mask.defined()) {
    const Shape &qs = call.shape(q), &vs = call.shape(v);
    lead = Shape(std::span(qs.data(), qs.size() - 2));
    for (Dim d : lead) count *= d.value();
    rows = qs[qs.size() - 2];
    features = qs[qs.size() - 1];
    columns = vs[vs.size() - 2];
    values = vs[vs.size() - 1];
    // Fewer rows at a time when there would be few tasks.
    block = count * ceil_div(rows, 128) >= 16 ? 128 : 32;
    if (given_mask.defined()) mask = added_mask(given_mask, t);
  }
  int64_t blocks() const { return ceil_div(rows, block); }
  /// Columns that any row of the block sees.
  int64_t seen(int64_t row, int64_t n) const { return causal ? std::min(columns, row + n) : columns; }

  void run(KernelFn kernel, char* s, const Batch* m, int64_t i, int64_t row, int64_t n, int64_t width,
           void* lse) const {
    Matrix own_mask{nullptr, 0, 0};
    if (m != nullptr) own_mask = m->matrix(i, row);
    void* buffers[] = {s, m != nullptr ? own_mask.data : lse, lse};
    const int64_t ints[] = {width, width, causal ? row : columns, own_mask.row_stride};
    const double params[] = {scale, 0};
    const KernelArgs args{buffers, ints, params};
    codegen::in_mode(kernel)(&args, 0, n);
  }

 private:
  /// As what is added to the scores, with consecutive columns and its rows expanded.
  static Tensor added_mask(const Tensor& mask, DType t) {
    Tensor m = mask;
    if (mask.dtype() == DType::Bool) m = where(mask, Scalar(0.0), Scalar(-std::numeric_limits<double>::infinity()));
    return m.to(t);
  }
};

/// The mask with the scores' own rows and columns: its kernel reads neighbours.
Tensor mask_of(const Problem& p) {
  if (!p.mask.defined()) return {};
  Shape s = p.mask.shape();
  while (s.size() < 2) s.insert(0, 1);
  s[s.size() - 2] = p.rows;
  s[s.size() - 1] = p.columns;
  const Tensor wide = p.mask.expand(s);
  return wide.strides()[s.size() - 1] == 1 ? wide : wide.contiguous();
}

/// Rows that lie one element after the other, so that the products, and their bits, do not depend on the layout.
Tensor with_rows(const Tensor& t) { return t.strides()[t.shape().size() - 1] == 1 ? t : t.contiguous(); }

Gemm gemm_of(const Problem& p, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Matrix c) {
  return Gemm{p.t, m, n, k, a, b, c};
}

/// Fallback for the dtypes whose probabilities would be rounded between the products.
bool by_composition(const Call& call, std::span<const Tensor> out) {
  const DType t = call.dtype(0);
  if (t == DType::F32 || t == DType::F64) return false;
  const Values values = call.op->compose(call);
  for (size_t i = 0; i < out.size(); ++i) copy_elements(values[i], out[i]);
  return true;
}

}  // namespace

void attention_kernel(const Call& call, std::span<const Tensor> out) {
  if (by_composition(call, out)) return;
  const Problem p(call, 0, 2, call.in[3]);
  const Tensor mask = mask_of(p);
  const Tensor qs = with_rows(call.in[0]), ks = with_rows(call.in[1]), vs = with_rows(call.in[2]);
  const Batch q(qs, p.lead), k(ks, p.lead), v(vs, p.lead), y(out[0], p.lead), lse(out[1], p.lead);
  const Batch m(mask.defined() ? mask : call.in[0], p.lead);
  const auto item = static_cast<int64_t>(p.item);
  parallel_for(p.count * p.blocks(), [&](int64_t begin, int64_t end) {
    const Array<char> scores(p.block * p.columns * item), sums(p.block * item);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / p.blocks(), row = task % p.blocks() * p.block, n = std::min(p.block, p.rows - row),
                    width = p.seen(row, n);
      const Matrix s{scores.get(), width, 1};
      product(gemm_of(p, n, width, p.features, q.matrix(i, row), k.transposed(i), s));
      p.run(p.kernels.softmax, scores.get(), mask.defined() ? &m : nullptr, i, row, n, width, sums.get());
      product(gemm_of(p, n, p.values, width, s, v.matrix(i), y.matrix(i, row)));
      const int64_t step = lse.stride(1), at = lse.offset(i, 1) + row * step;
      for (int64_t r = 0; r < n; ++r) {
        std::memcpy(static_cast<char*>(lse.t->data()) + (at + r * step) * item, sums.get() + r * item, p.item);
      }
    }
  });
}

void attention_backward_kernel(const Call& call, std::span<const Tensor> out) {
  if (by_composition(call, out)) return;
  const Problem p(call, 1, 3, call.in[6]);
  const Tensor mask = mask_of(p);
  // The share kernel reads rows of neighbours, and lse rows one after the other.
  const Tensor gs = call.in[0].contiguous(), ys = call.in[4].contiguous(), sums = call.in[5].contiguous();
  const Tensor qs = with_rows(call.in[1]), ks = with_rows(call.in[2]), vs = with_rows(call.in[3]);
  const Batch g(gs, p.lead), q(qs, p.lead), k(ks, p.lead), v(vs, p.lead), y(ys, p.lead);
  const Batch m(mask.defined() ? mask : call.in[1], p.lead);
  const auto item = static_cast<int64_t>(p.item);
  // Gradients of key and value gather in dense memory; dq goes where it belongs.
  const bool dense = out[1].is_contiguous() && out[2].is_contiguous();
  const Tensor dk_own = dense ? out[1] : Tensor(new_record(out[1].shape(), p.t)),
               dv_own = dense ? out[2] : Tensor(new_record(out[2].shape(), p.t));
  const Batch dq(out[0], p.lead), dk(dk_own, p.lead), dv(dv_own, p.lead);
  parallel_for(p.count, [&](int64_t begin, int64_t end) {
    const Array<char> scores(p.block * p.columns * item), grads(p.block * p.columns * item), share(p.block * item);
    for (int64_t i = begin; i < end; ++i) {
      std::memset(dk.matrix(i).data, 0, static_cast<size_t>(p.columns * p.features * item));
      std::memset(dv.matrix(i).data, 0, static_cast<size_t>(p.columns * p.values * item));
      for (int64_t row = 0; row < p.rows; row += p.block) {
        const int64_t n = std::min(p.block, p.rows - row), width = p.seen(row, n);
        const Matrix s{scores.get(), width, 1}, d{grads.get(), width, 1}, s_t{scores.get(), 1, width},
            d_t{grads.get(), 1, width};
        product(gemm_of(p, n, width, p.features, q.matrix(i, row), k.transposed(i), s));
        p.run(p.kernels.again, scores.get(), mask.defined() ? &m : nullptr, i, row, n, width,
              static_cast<char*>(sums.record()->data()) + (i * p.rows + row) * item);
        Gemm to_v = gemm_of(p, width, p.values, n, s_t, g.matrix(i, row), dv.matrix(i));
        to_v.accumulate = true;
        product(to_v);
        product(gemm_of(p, n, width, p.values, g.matrix(i, row), v.transposed(i), d));
        void* share_buffers[] = {g.matrix(i, row).data, y.matrix(i, row).data, share.get()};
        const int64_t share_ints[] = {p.values, p.values, p.values};
        const KernelArgs share_args{share_buffers, share_ints, nullptr};
        codegen::in_mode(p.kernels.share)(&share_args, 0, n);
        void* score_buffers[] = {scores.get(), grads.get(), share.get()};
        const int64_t score_ints[] = {width, width};
        const double params[] = {p.scale, 0};
        const KernelArgs score_args{score_buffers, score_ints, params};
        codegen::in_mode(p.kernels.scores)(&score_args, 0, n);
        product(gemm_of(p, n, p.features, width, d, k.matrix(i), dq.matrix(i, row)));
        Gemm to_k = gemm_of(p, width, p.features, n, d_t, q.matrix(i, row), dk.matrix(i));
        to_k.accumulate = true;
        product(to_k);
      }
    }
  });
  if (dense) return;
  copy_elements(dk_own, out[1]);
  copy_elements(dv_own, out[2]);
}

}  // namespace thixo::cpu
