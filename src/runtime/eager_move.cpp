// Ops that put a tensor into a part of a result: copies between strided windows, whatever the dtype and rank.
#include <algorithm>

#include "backend/cpu/kernels.h"
#include "core/values.h"
#include "ir/backend.h"
#include "runtime/eager.h"

namespace thixo::detail {
namespace {

/// t from `start` along dim, every step-th element, `length` of them: no view, only other strides. A negative step
/// walks backwards.
Tensor window(const Tensor& t, size_t dim, int64_t start, int64_t length, int64_t step = 1) {
  Shape shape = t.shape();
  Strides strides = t.strides();
  const int64_t stride = strides[dim].value();
  shape[dim] = length;
  if (length > 1) strides[dim] = stride * step;  // else the step may be anything
  return Tensor(new_record_on(t.record()->storage, shape, strides, t.storage_offset() + start * stride, t.dtype()));
}

void fill(const Tensor& t, const Scalar& value) {
  const Tensor number(new_record({}, t.dtype()));
  store_scalar(number.record()->data(), t.dtype(), value);
  copy_into(number, t);
}

/// The frame dim by dim, each side once, then the tensor inside.
void run_pad(const Call& call, const Tensor& out) {
  const Scalar value = call.scalar("value");
  const Shape& pad = call.list("pad");
  Tensor from = call.in[0], to = out;
  for (size_t p = 0; p < pad.size() / 2; ++p) {
    const size_t dim = from.shape().size() - 1 - p;
    const int64_t before = pad[2 * p].value(), cut = std::max<int64_t>(0, -before);
    const int64_t start = std::max<int64_t>(0, before);
    const int64_t size = to.shape()[dim].value(), n = std::min(from.shape()[dim].value() - cut, size - start);
    if (n <= 0) return fill(to, value);
    fill(window(to, dim, 0, start), value);
    fill(window(to, dim, start + n, size - start - n), value);
    from = window(from, dim, cut, n);
    to = window(to, dim, start, n);
  }
  copy_into(from, to);
}

void run_flip(const Call& call, const Tensor& out) {
  Tensor from = call.in[0];
  const bool none = call.list("dims").empty();  // not "all", as elsewhere
  for (int d : call.dims("dims", call.rank(0))) {
    const int64_t n = from.shape()[static_cast<size_t>(d)].value();
    if (!none) from = window(from, static_cast<size_t>(d), n - 1, n, -1);
  }
  copy_into(from, out);
}

void run_slice_backward(const Call& call, const Tensor& out) {
  fill(out, Scalar(0));
  const auto dim = static_cast<size_t>(call.dim("dim", call.rank(0)));
  const int64_t n = call.shape(0)[dim].value();
  if (n == 0) return;
  copy_into(call.in[0], window(out, dim, call.integer("start").value(), n, call.integer("step").value()));
}

/// Elements change their places, so a result that is also the operand is made beside it.
template <void (*run)(const Call&, const Tensor&)> void without_alias(const Call& call, std::span<const Tensor> out) {
  cpu::without_alias(call, out[0], run);
}

}  // namespace

void add_move_entries() {
  static constexpr BackendEntry kEntries[] = {{"pad", without_alias<run_pad>},
                                              {"flip", without_alias<run_flip>, OutLayout::LikeInput},
                                              {"slice_backward", without_alias<run_slice_backward>}};
  add_backend_entries(kEntries);
}

}  // namespace thixo::detail
