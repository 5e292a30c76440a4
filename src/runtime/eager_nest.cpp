// Ops that are one loop nest.
#include "runtime/eager.h"

namespace thixo::detail {

Values eager_nest(const Call& call) {
  throw call.error(ErrorKind::NotImplemented, "this build has no kernels for loop nests");
}

Values eager_rows(const Call& call) { return call.op->compose(call); }

namespace {

template <class T>
int64_t first_outside(const Tensor& t, int64_t low, int64_t high, const std::optional<int64_t>& except) {
  const T* p = t.data<T>();
  const int64_t n = t.numel().value();
  for (int64_t i = 0; i < n; ++i) {
    if ((p[i] < low || p[i] >= high) && !(except && p[i] == *except)) return i;
  }
  return -1;
}

}  // namespace

void check_index_bounds(const Call& call) {
  if (!call.op->index_bounds) return;
  for (const IndexBound& b : call.op->index_bounds(call)) {
    const Tensor& given = call.in[static_cast<size_t>(b.operand)];
    if (!given.defined() || !given.record()->storage) continue;
    const Tensor t = given.is_contiguous() ? given : given.contiguous();
    const int64_t size = b.size.value(), low = b.negative ? -size : 0;
    const bool narrow = t.dtype() == DType::I32;
    const int64_t at =
        narrow ? first_outside<int32_t>(t, low, size, b.except) : first_outside<int64_t>(t, low, size, b.except);
    if (at < 0) continue;
    const int64_t value = narrow ? t.data<int32_t>()[at] : t.data<int64_t>()[at];
    throw call.error(ErrorKind::Index, "index " + std::to_string(value) + " is out of range for dim " +
                                           std::to_string(b.dim) + " of size " + std::to_string(size));
  }
}

}  // namespace thixo::detail
