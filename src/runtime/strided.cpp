#include "runtime/strided.h"

#include <algorithm>
#include <utility>

namespace thixo::detail {
namespace {

using Perm = SmallVec<int, kMaxRank>;  // axis of the walk -> dim of the shape, innermost first

Strided broadcast_operand(const Tensor& t, const Shape& shape) {
  const TensorRecord& r = *t.record();
  Strided s;
  s.data = r.storage ? static_cast<char*>(r.data()) : nullptr;
  s.dtype = r.dtype;
  const size_t lead = shape.size() - r.shape.size();
  for (size_t d = 0; d < r.shape.size(); ++d) {
    s.stride[d + lead] = r.shape[d] == 1 ? 0 : r.strides[d].value();
  }
  return s;
}

// Whether dim `a` should lie further in than dim `b` (a stands outside of b): -1 no, 1 yes, 0 no operand knows.
int wants_swap(const Walk& w, const Shape& shape, int a, int b) {
  for (const Strided& s : w.operands) {
    const int64_t x = s.stride[a], y = s.stride[b];
    if (x == 0 || y == 0) continue;
    if (x != y) return x < y ? 1 : -1;
    if (shape[static_cast<size_t>(b)].value() > shape[static_cast<size_t>(a)].value()) return 1;
  }
  return 0;
}

// Insertion sort by a comparison that may not know: dims start in the shape's order and move only on evidence.
Perm memory_order(const Walk& w, const Shape& shape) {
  Perm perm;
  for (int d = static_cast<int>(shape.size()) - 1; d >= 0; --d) perm.push_back(d);
  for (size_t i = 1; i < perm.size(); ++i) {
    size_t at = i;
    for (size_t j = i; j-- > 0;) {
      // perm[at] stands outside of perm[j]; it moves inwards when its stride is the smaller one.
      const int verdict = wants_swap(w, shape, perm[at], perm[j]);
      if (verdict > 0) {
        std::swap(perm[at], perm[j]);
        at = j;
      } else if (verdict < 0) {
        break;
      }
    }
  }
  return perm;
}

Perm order_walk(Walk& w, const Shape& shape) {
  Perm perm = memory_order(w, shape);
  w.rank = static_cast<int>(shape.size());
  for (int a = 0; a < w.rank; ++a) w.extent[a] = shape[static_cast<size_t>(perm[static_cast<size_t>(a)])].value();
  for (Strided& s : w.operands) {
    const Strided before = s;
    for (int a = 0; a < w.rank; ++a) s.stride[a] = before.stride[perm[static_cast<size_t>(a)]];
  }
  return perm;
}

Walk gather(const Shape& shape, std::span<const Tensor> in) {
  Walk w;
  for (const Tensor& t : in) w.operands.push_back(broadcast_operand(t, shape));
  return w;
}

Strides dense_strides(const Walk& w, const Perm& perm) {
  Strides out(static_cast<size_t>(w.rank));
  int64_t stride = 1;
  for (int a = 0; a < w.rank; ++a) {
    out[static_cast<size_t>(perm[static_cast<size_t>(a)])] = stride;
    stride *= std::max<int64_t>(w.extent[a], 1);
  }
  return out;
}

}  // namespace

void Walk::swap_axes(int a, int b) {
  std::swap(extent[a], extent[b]);
  for (Strided& s : operands) std::swap(s.stride[a], s.stride[b]);
}

void Walk::collapse() {
  int kept = 0;
  for (int a = 0; a < rank; ++a) {
    if (extent[a] == 1) continue;
    const bool joins = kept > 0 && std::all_of(operands.begin(), operands.end(), [&](const Strided& s) {
                         return s.stride[a] == s.stride[kept - 1] * extent[kept - 1];
                       });
    if (joins) {
      extent[kept - 1] *= extent[a];
      continue;
    }
    extent[kept] = extent[a];
    for (Strided& s : operands) s.stride[kept] = s.stride[a];
    ++kept;
  }
  if (kept == 0) {
    extent[0] = 1;
    for (Strided& s : operands) s.stride[0] = 0;
    kept = 1;
  }
  rank = kept;
}

Walk make_walk(const Shape& shape, std::span<const Tensor> in, const Tensor* out) {
  Walk w;
  if (out != nullptr) w.operands.push_back(broadcast_operand(*out, shape));
  for (const Tensor& t : in) w.operands.push_back(broadcast_operand(t, shape));
  order_walk(w, shape);
  if (out != nullptr) std::rotate(w.operands.begin(), w.operands.begin() + 1, w.operands.end());
  return w;
}

Tensor add_result(Walk& walk, const Shape& shape, std::span<const Tensor> in, DType dtype, Device device) {
  Walk dims = gather(shape, in);
  const Perm perm = order_walk(dims, shape);
  Ref<TensorRecord> r = new_record(shape, dtype, device);
  r->strides = dense_strides(dims, perm);
  Strided s;
  s.data = static_cast<char*>(r->data());
  s.dtype = dtype;
  for (int a = 0; a < dims.rank; ++a) {
    s.stride[a] = r->strides[static_cast<size_t>(perm[static_cast<size_t>(a)])].value();
  }
  walk = std::move(dims);
  walk.operands.push_back(s);
  return Tensor(std::move(r));
}

Strides result_strides(const Shape& shape, std::span<const Tensor> in) {
  Walk dims = gather(shape, in);
  const Perm perm = order_walk(dims, shape);
  return dense_strides(dims, perm);
}

namespace {

struct Span {
  const char *begin, *end;
};

Span bytes_of(const Tensor& t) {
  const TensorRecord& r = *t.record();
  int64_t last = 0;
  for (size_t d = 0; d < r.shape.size(); ++d) last += (r.shape[d].value() - 1) * r.strides[d].value();
  const char* p = static_cast<const char*>(r.data());
  return {p, p + (last + 1) * static_cast<int64_t>(item_size(r.dtype))};
}

// A step of `stride` elements that can be taken low to high times.
struct Axis {
  int64_t stride, low, high;
};

// Whether some choice of steps walks `distance` elements. Largest strides first: what the smaller ones can reach
// leaves few choices for the larger one.
bool reaches(std::span<const Axis> axes, int64_t distance) {
  if (axes.empty()) return distance == 0;
  const Axis& a = axes[0];
  int64_t low = 0, high = 0;  // of the others
  for (const Axis& o : axes.subspan(1)) {
    low += o.stride * o.low;
    high += o.stride * o.high;
  }
  auto floor_div = [](int64_t x, int64_t y) { return x / y - (x % y < 0 ? 1 : 0); };
  const int64_t first = std::max(a.low, -floor_div(high - distance, a.stride));
  const int64_t last = std::min(a.high, floor_div(distance - low, a.stride));
  for (int64_t d = first; d <= last; ++d) {
    if (reaches(axes.subspan(1), distance - d * a.stride)) return true;
  }
  return false;
}

void add_axes(const TensorRecord& r, int64_t sign, SmallVec<Axis, 2 * kMaxRank>& axes) {
  for (size_t d = 0; d < r.shape.size(); ++d) {
    const int64_t stride = r.strides[d].value(), steps = sign * (r.shape[d].value() - 1);
    if (stride == 0 || steps == 0) continue;
    auto same = std::find_if(axes.begin(), axes.end(), [&](const Axis& a) { return a.stride == stride; });
    if (same == axes.end()) {
      axes.push_back({stride, 0, 0});
      same = axes.end() - 1;
    }
    (steps > 0 ? same->high : same->low) += steps;
  }
}

}  // namespace

Overlap overlap(const Tensor& a, const Tensor& b) {
  const TensorRecord &x = *a.record(), &y = *b.record();
  if (x.storage.get() != y.storage.get() || numel_of(x.shape) == 0 || numel_of(y.shape) == 0) return Overlap::None;
  const Span s = bytes_of(a), t = bytes_of(b);
  if (s.end <= t.begin || t.end <= s.begin) return Overlap::None;
  if (x.dtype != y.dtype) return Overlap::Part;
  if (x.offset == y.offset && x.shape == y.shape && x.strides == y.strides) return Overlap::Same;
  SmallVec<Axis, 2 * kMaxRank> axes;
  add_axes(x, 1, axes);
  add_axes(y, -1, axes);
  std::sort(axes.begin(), axes.end(), [](const Axis& p, const Axis& q) { return p.stride > q.stride; });
  return reaches({axes.data(), axes.size()}, y.offset - x.offset) ? Overlap::Part : Overlap::None;
}

Odometer::Odometer(const Walk& walk, int first, int64_t at) : walk_(walk), first_(first) {
  offset_.resize(walk.operands.size());
  for (int a = first; a < walk.rank && at > 0; ++a) {
    index_[a] = at % walk.extent[a];
    at /= walk.extent[a];
    for (size_t k = 0; k < offset_.size(); ++k) offset_[k] += index_[a] * walk.operands[k].stride[a];
  }
}

void Odometer::next() {
  for (int a = first_; a < walk_.rank; ++a) {
    const bool carry = ++index_[a] == walk_.extent[a];
    const int64_t steps = carry ? 1 - walk_.extent[a] : 1;
    for (size_t k = 0; k < offset_.size(); ++k) offset_[k] += steps * walk_.operands[k].stride[a];
    if (!carry) return;
    index_[a] = 0;
  }
}

}  // namespace thixo::detail
