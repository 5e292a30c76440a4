// Ops that put tensors into parts of a result: copies between strided windows, whatever the dtype and rank. And the two
// whose result no loop nest gives: nonzero and randperm.
#include <numeric>

#include "core/values.h"
#include "ir/backend.h"
#include "runtime/eager.h"
#include "runtime/eager_kernels.h"
#include "runtime/strided.h"
#include "thixo/generator.h"

namespace thixo::detail {
namespace {

/// t from `start` along dim, every step-th element, `length` of them: no view, only other strides. A negative step
/// walks backwards.
Tensor window(const Tensor& t, size_t dim, int64_t start, int64_t length, int64_t step = 1) {
  Shape shape = t.shape();
  Strides strides = t.strides();
  const int64_t stride = strides[dim].value();
  shape[dim] = length;
  strides[dim] = stride * step;
  return Tensor(new_record_on(t.record()->storage, shape, strides, t.storage_offset() + start * stride, t.dtype()));
}

void fill(const Tensor& t, const Scalar& value) {
  const Tensor number(new_record({}, t.dtype()));
  store_scalar(number.record()->data(), t.dtype(), value);
  copy_into(number, t);
}

void run_cat(const Call& call, std::span<const Tensor> out) {
  const auto dim = static_cast<size_t>(call.dim("dim", static_cast<int>(out[0].dim())));
  int64_t start = 0;
  for (const Tensor& t : call.in) {
    if (t.dim() == 1 && t.shape()[0] == 0) continue;  // joins anything: see the op
    const int64_t n = t.shape()[dim].value();
    copy_into(t, window(out[0], dim, start, n));
    start += n;
  }
}

void run_pad(const Call& call, std::span<const Tensor> out) {
  fill(out[0], call.scalar("value"));
  const Shape& pad = call.list("pad");
  Tensor from = call.in[0], to = out[0];
  for (size_t p = 0; p < pad.size() / 2; ++p) {
    const size_t dim = from.shape().size() - 1 - p;
    const int64_t before = pad[2 * p].value(), cut = std::max<int64_t>(0, -before);
    const int64_t start = std::max<int64_t>(0, before);
    const int64_t n = std::min(from.shape()[dim].value() - cut, to.shape()[dim].value() - start);
    if (n <= 0) return;
    from = window(from, dim, cut, n);
    to = window(to, dim, start, n);
  }
  copy_into(from, to);
}

void run_flip(const Call& call, std::span<const Tensor> out) {
  Tensor from = call.in[0];
  const bool none = call.list("dims").empty();  // not "all", as elsewhere
  for (int d : call.dims("dims", call.rank(0))) {
    const int64_t n = from.shape()[static_cast<size_t>(d)].value();
    if (!none) from = window(from, static_cast<size_t>(d), n - 1, n, -1);
  }
  copy_into(from, out[0]);
}

void run_slice_backward(const Call& call, std::span<const Tensor> out) {
  fill(out[0], Scalar(0));
  const auto dim = static_cast<size_t>(call.dim("dim", call.rank(0)));
  const int64_t n = call.shape(0)[dim].value();
  if (n == 0) return;
  copy_into(call.in[0], window(out[0], dim, call.integer("start").value(), n, call.integer("step").value()));
}

void run_nonzero(const Call& call, std::span<const Tensor> out) {
  const Tensor flags = call.in[0].to(DType::Bool).contiguous();
  const auto* flag = static_cast<const bool*>(flags.record()->data());
  auto* to = static_cast<int64_t*>(out[0].record()->data());
  const Shape& shape = call.shape(0);
  SmallVec<int64_t, kMaxRank> at(shape.size(), 0);
  for (int64_t i = 0, n = numel_of(shape).value(); i < n; ++i) {
    if (flag[i]) to = std::copy(at.begin(), at.end(), to);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++at[d] < shape[d].value()) break;
      at[d] = 0;
    }
  }
}

// Fisher and Yates; place i draws from block counter + i.
void run_randperm(const Call& call, std::span<const Tensor> out) {
  const auto rng = std::get<RngKey>(call.attr("generator"));
  std::vector<int64_t> order(static_cast<size_t>(call.integer("n").value()));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i-- > 1;) {
    const auto words = philox4x32(rng.key, rng.counter + i);
    std::swap(order[i], order[(static_cast<uint64_t>(words[0]) << 32 | words[1]) % (i + 1)]);
  }
  convert_run(DType::I64, reinterpret_cast<const char*>(order.data()), out[0].dtype(),
              static_cast<char*>(out[0].record()->data()), static_cast<int64_t>(order.size()));
}

}  // namespace

void add_move_entries() {
  static constexpr BackendEntry kEntries[] = {
      {"cat", run_cat},         {"pad", run_pad},           {"flip", run_flip}, {"slice_backward", run_slice_backward},
      {"nonzero", run_nonzero}, {"randperm", run_randperm},
  };
  add_backend_entries(kEntries);
}

}  // namespace thixo::detail
