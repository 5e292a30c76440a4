#include "ops/contract/contract.h"

#include <string>

namespace thixo::ops {

Tensor adjoint(const Tensor& t) {
  Tensor m = t.transpose(-2, -1);
  return is_complex(t.dtype()) ? m.conj() : m;
}

Tensor sum_to(const Tensor& t, const Shape& shape) {
  const Shape& from = t.shape();
  if (from == shape) return t;
  const size_t extra = from.size() - shape.size();
  IntList dims;
  for (size_t d = 0; d < from.size(); ++d) {
    if (d < extra || !(from[d] == shape[d - extra])) dims.push_back(static_cast<int64_t>(d));
  }
  Tensor s = dims.empty() ? t : t.sum(dims, true);
  return extra == 0 ? s : s.reshape(shape);
}

Tensor fold_rows(const Tensor& t) {
  if (t.dim() == 2) return t;
  Dim rows = 1;
  for (size_t d = 0; d + 1 < t.shape().size(); ++d) rows *= t.shape()[d];
  return t.reshape(Shape{rows, t.shape()[t.shape().size() - 1]});
}

void require_same_dtype(const Infer& c, int a, int b) {
  if (c.dtype(a) == c.dtype(b)) return;
  const std::string &na = c.op->schema.operands[static_cast<size_t>(a)].name,
                    &nb = c.op->schema.operands[static_cast<size_t>(b)].name;
  const std::string ta(dtype_name(c.dtype(a))), tb(dtype_name(c.dtype(b)));
  throw c.error(ErrorKind::DType, na + " is " + ta + " but " + nb + " is " + tb)
      .need(na + ".dtype == " + nb + ".dtype")
      .fix("convert one of them: " + nb + ".to(" + ta + ")");
}

Expr widened(Expr v) { return cast(v, compute_type(v.dtype())); }

}  // namespace thixo::ops
