#include "backend/cpu/kernels.h"

#include <cstring>

#include "core/record.h"

namespace thixo::cpu {
namespace {

/// Calls f with the address of each element, in row-major order of the shape.
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
    f(i, static_cast<char*>(t.data()) + at * item);
  }
}

}  // namespace

void copy_elements(const Tensor& from, const Tensor& to) {
  const size_t item = item_size(to.dtype());
  std::vector<char*> source;
  each_element(*from.record(), [&](int64_t, char* p) { source.push_back(p); });
  each_element(*to.record(), [&](int64_t i, char* p) { std::memcpy(p, source[static_cast<size_t>(i)], item); });
}

void fill_zero(const Tensor& t) {
  const size_t item = item_size(t.dtype());
  each_element(*t.record(), [item](int64_t, char* p) { std::memset(p, 0, item); });
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
