#include "backend/cpu/kernels.h"

#include <cstring>

#include "core/record.h"

namespace thixo::cpu {
namespace {

/// Calls f with the address of each element.
template <class F> void each_element(const TensorRecord& t, F f) {
  const auto item = static_cast<int64_t>(item_size(t.dtype));
  int64_t count = 1;
  for (Dim d : t.shape) count *= d.value();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = 0;
    for (size_t d = t.shape.size(); d-- > 0;) {
      const int64_t extent = t.shape[d];
      at += rest % extent * t.strides[d].value();
      rest /= extent;
    }
    f(static_cast<char*>(t.data()) + at * item);
  }
}

}  // namespace

void copy_elements(const Tensor& from, const Tensor& to) {
  const size_t item = item_size(to.dtype());
  if (from.is_contiguous() && to.is_contiguous()) {
    std::memcpy(to.record()->data(), from.record()->data(), static_cast<size_t>(to.numel().value()) * item);
    return;
  }
  const size_t rank = from.shape().size();
  SmallVec<int64_t, kMaxRank> at(rank, 0);
  const auto* source = static_cast<const char*>(from.record()->data());
  auto* target = static_cast<char*>(to.record()->data());
  for (int64_t left = from.numel(); left > 0; --left) {
    int64_t in = 0, out = 0;
    for (size_t d = 0; d < rank; ++d) {
      in += at[d] * from.strides()[d].value();
      out += at[d] * to.strides()[d].value();
    }
    std::memcpy(target + out * static_cast<int64_t>(item), source + in * static_cast<int64_t>(item), item);
    for (size_t d = rank; d-- > 0;) {
      if (++at[d] < from.shape()[d].value()) break;
      at[d] = 0;
    }
  }
}

void fill_zero(const Tensor& t) {
  const size_t item = item_size(t.dtype());
  each_element(*t.record(), [item](char* p) { std::memset(p, 0, item); });
}

namespace {

/// Whether the memory between the first and the last element of both has a byte in common. Tensors of a compiled
/// program share one Storage without sharing memory.
bool may_overlap(const TensorRecord& a, const TensorRecord& b) {
  if (a.storage != b.storage) return false;
  const auto *from = static_cast<const char*>(a.data()), *other = static_cast<const char*>(b.data());
  const int64_t size = span_of(a.shape, a.strides) * static_cast<int64_t>(item_size(a.dtype));
  const int64_t other_size = span_of(b.shape, b.strides) * static_cast<int64_t>(item_size(b.dtype));
  return from < other + other_size && other < from + size;
}

}  // namespace

void without_alias(const Call& call, const Tensor& out, void (*run)(const Call&, const Tensor&)) {
  bool alias = false;
  for (const Tensor& t : call.in) alias |= t.defined() && may_overlap(*t.record(), *out.record());
  if (!alias) return run(call, out);
  const Tensor own(new_record(out.shape(), out.dtype(), out.device()));
  run(call, own);
  copy_elements(own, out);
}

}  // namespace thixo::cpu
