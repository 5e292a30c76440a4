// Whether the values of index operands lie where the op wants them, before anything is computed.
#include <algorithm>
#include <atomic>
#include <optional>

#include "runtime/eager.h"
#include "runtime/eager_kernels.h"
#include "runtime/eager_tiles.h"

namespace thixo::detail {
namespace {

// What the composite around this call has checked.
struct Checked {
  const void* data;
  DType dtype;
  Shape shape;
  Strides strides;
  int64_t low, high;
  std::optional<int64_t> except;
  bool operator==(const Checked&) const = default;
};
struct CheckedList {
  SmallVec<Checked, 2> bounds;
  const CheckedList* outer;
};
thread_local const CheckedList* innermost = nullptr;

bool is_checked(const Checked& bound) {
  for (const CheckedList* l = innermost; l != nullptr; l = l->outer) {
    if (std::find(l->bounds.begin(), l->bounds.end(), bound) != l->bounds.end()) return true;
  }
  return false;
}

// Of dims along which nothing changes one element is enough.
Checked bound_of(const Tensor& index, const IndexBound& b) {
  const TensorRecord& r = *index.record();
  const int64_t size = b.size.value();
  Checked c{r.data(), r.dtype, {}, {}, b.negative ? -size : 0, size, b.except};
  for (size_t d = 0; d < r.shape.size(); ++d) {
    if (r.shape[d] == 1 || (r.strides[d] == 0 && r.shape[d] > 0)) continue;
    c.shape.push_back(r.shape[d]);
    c.strides.push_back(r.strides[d]);
  }
  return c;
}

template <class T>
int64_t first_outside(const T* p, int64_t begin, int64_t end, int64_t low, int64_t high,
                      const std::optional<int64_t>& except) {
  // Hardly ever one is, so without a branch for each, in vectors: a value below low or above high - 1 sets the sign.
  constexpr int64_t kBlock = 16;
  uint64_t signs = 0;
  auto look = [&](T v) {
    const auto u = static_cast<uint64_t>(static_cast<int64_t>(v));
    signs |= (u - static_cast<uint64_t>(low)) | (static_cast<uint64_t>(high - 1) - u);
  };
  int64_t at = begin;
  for (; at + kBlock <= end; at += kBlock) {
    for (int64_t k = 0; k < kBlock; ++k) look(p[at + k]);
  }
  for (; at < end; ++at) look(p[at]);
  if (static_cast<int64_t>(signs) >= 0) return -1;
  for (int64_t i = begin; i < end; ++i) {
    if ((p[i] < low || p[i] >= high) && !(except && p[i] == *except)) return i;
  }
  return -1;
}

template <class T>
int64_t first_outside(const Tensor& t, int64_t low, int64_t high, const std::optional<int64_t>& except) {
  const auto* p = static_cast<const T*>(t.record()->data());
  const int64_t n = numel_of(t.shape()).value(), units = (n + kGrain - 1) / kGrain;
  std::atomic<int64_t> first = n;
  run_units(units, n, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t at = first_outside(p, u * kGrain, std::min(n, (u + 1) * kGrain), low, high, except);
      if (at < 0) continue;
      for (int64_t before = first; at < before && !first.compare_exchange_weak(before, at);) {
      }
      return;
    }
  });
  return first == n ? -1 : first.load();
}

int64_t index_at(const Tensor& t, int64_t i) {
  const void* p = t.record()->data();
  return t.dtype() == DType::I32 ? static_cast<const int32_t*>(p)[i] : static_cast<const int64_t*>(p)[i];
}

Error outside(const Call& call, const std::string& what) {
  static const OpDef* check = find_op("bounded_index");  // in the name of the op that it checks for
  if (call.op != check) return call.error(ErrorKind::Index, what);
  Error e(ErrorKind::Index, call.text("of") + ": " + what);
  e.got(call.text("operand") + ": " + describe(call.in[0]));
  if (call.at.line() != 0) e.at(call.at);
  return e;
}

}  // namespace

void check_index_bounds(const Call& call) {
  if (!call.op->index_bounds) return;
  for (const IndexBound& b : call.op->index_bounds(call)) {
    const Tensor& given = call.in[static_cast<size_t>(b.operand)];
    if (!given.defined() || !given.record()->storage) continue;
    if (!accepts(TensorKind::Index, given.dtype())) continue;  // the op's own check names the dtype
    const Checked bound = bound_of(given, b);
    if (is_checked(bound)) continue;
    const TensorRecord& r = *given.record();
    const Tensor t = Tensor(new_record_on(r.storage, bound.shape, bound.strides, r.offset, r.dtype)).contiguous();
    const int64_t size = b.size.value(), low = b.negative ? -size : 0;
    const int64_t at = t.dtype() == DType::I32 ? first_outside<int32_t>(t, low, size, b.except)
                                               : first_outside<int64_t>(t, low, size, b.except);
    if (at < 0) continue;
    throw outside(call, "index " + std::to_string(index_at(t, at)) + " is out of range for dim " +
                            std::to_string(b.dim) + " of size " + std::to_string(size));
  }
}

Values compose_checked(const Call& call) {
  check_index_bounds(call);
  if (!call.op->index_bounds) return call.op->compose(call);
  struct Scope {
    CheckedList list{{}, innermost};
    Scope() { innermost = &list; }
    ~Scope() { innermost = list.outer; }
  } scope;
  for (const IndexBound& b : call.op->index_bounds(call)) {
    const Tensor& given = call.in[static_cast<size_t>(b.operand)];
    if (given.defined() && given.record()->storage) scope.list.bounds.push_back(bound_of(given, b));
  }
  return call.op->compose(call);
}

}  // namespace thixo::detail
