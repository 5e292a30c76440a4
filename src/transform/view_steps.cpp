#include "transform/view_steps.h"

#include <algorithm>

#include "ir/op.h"

namespace thixo {
namespace {

using Steps = std::vector<ViewStep>;

/// t as root's dims: cut, some of them at one index, the others in any order.
std::optional<Steps> cut_dims(const Tensor& root, const Tensor& t) {
  static const OpDef *slice = find_op("slice"), *select = find_op("select"), *permute = find_op("permute"),
                     *view = find_op("view");
  struct Part {
    int64_t start = 0, size, stride, taken = -1;  // taken: by which dim of t
  };
  std::vector<Part> parts;
  for (size_t d = 0; d < root.shape().size(); ++d)
    parts.push_back({0, root.shape()[d].value(), root.strides()[d].value()});
  std::vector<Part*> largest_first;
  for (Part& p : parts) {
    if (p.stride > 0 && p.size > 1) largest_first.push_back(&p);
  }
  std::stable_sort(largest_first.begin(), largest_first.end(),
                   [](const Part* a, const Part* b) { return a->stride > b->stride; });
  int64_t rest = t.storage_offset() - root.storage_offset();
  for (Part* p : largest_first) {
    p->start = std::clamp<int64_t>(rest / p->stride, 0, p->size - 1);
    rest -= p->start * p->stride;
  }
  if (rest != 0) return std::nullopt;

  Steps steps;
  std::vector<int64_t> order;  // of root's dims in t
  for (size_t j = 0; j < t.shape().size(); ++j) {
    const int64_t size = t.shape()[j].value(), stride = t.strides()[j].value();
    if (size == 1) continue;
    auto fits = [&](const Part* p) {
      return p->taken < 0 && stride > 0 && stride % p->stride == 0 &&
             p->start + stride / p->stride * (size - 1) < p->size;
    };
    auto found = std::find_if(largest_first.begin(), largest_first.end(), fits);
    if (size == 0 || found == largest_first.end()) return std::nullopt;
    Part& p = **found;
    p.taken = static_cast<int64_t>(j);
    order.push_back(&p - parts.data());
    const int64_t step = stride / p.stride;
    if (size != p.size)
      steps.push_back({slice, {Dim(order.back()), Dim(p.start), Dim(p.start + step * (size - 1) + 1), Dim(step)}});
  }
  for (size_t d = parts.size(); d-- > 0;) {
    if (parts[d].taken >= 0) continue;
    steps.push_back({select, {Dim(static_cast<int64_t>(d)), Dim(parts[d].start)}});
    for (int64_t& o : order) o -= o > static_cast<int64_t>(d) ? 1 : 0;
  }
  if (!std::is_sorted(order.begin(), order.end())) {
    Shape dims;
    for (int64_t o : order) dims.push_back(o);
    steps.push_back({permute, {dims}});
  }
  if (order.size() != t.shape().size()) steps.push_back({view, {t.shape()}});
  return steps;
}

/// The elements from `root`'s first to its last in a row, of them those that t spans, in t's shape and strides.
std::optional<Steps> cut_out(const Tensor& root, const Tensor& t) {
  const int64_t start = t.storage_offset() - root.storage_offset(), span = span_of(t.shape(), t.strides());
  const int64_t count = root.numel().value();
  if (start < 0 || start + span > count) return std::nullopt;
  static const OpDef *view = find_op("view"), *slice = find_op("slice"), *as_strided = find_op("as_strided");
  Steps steps;
  if (root.dim() != 1) steps.push_back({view, {Shape{Dim(count)}}});
  if (start != 0 || span != count) steps.push_back({slice, {Dim(0), Dim(start), Dim(start + span), Dim(1)}});
  if (!t.is_contiguous()) {
    steps.push_back({as_strided, {t.shape(), t.strides(), std::monostate{}}});
  } else if (t.dim() != 1) {
    steps.push_back({view, {t.shape()}});
  }
  return steps;
}

}  // namespace

bool counts_from_storage(const OpDef* op, std::span<const Attr> attrs) {
  static const OpDef* as_strided = find_op("as_strided");
  return op == as_strided && !std::holds_alternative<std::monostate>(attrs[2]);
}

bool spans_part_of(const Tensor& root, const Tensor& t) {
  const int64_t start = t.storage_offset() - root.storage_offset();
  return start >= 0 && start + span_of(t.shape(), t.strides()) <= span_of(root.shape(), root.strides());
}

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.is_same(b) || (a.record()->storage == b.record()->storage && a.shape() == b.shape() &&
                          a.strides() == b.strides() && a.storage_offset() == b.storage_offset());
}

std::optional<Steps> steps_between(const Tensor& root, const Tensor& t) {
  if (same_elements(root, t)) return Steps{};
  if (const ViewMeta* v = t.record()->view.get(); v != nullptr && same_elements(root, v->base)) {
    const bool portable = std::none_of(v->chain->begin(), v->chain->end(),
                                       [](const ViewStep& s) { return counts_from_storage(s.op, s.attrs); });
    if (portable) return *v->chain;
  }
  if (std::optional<Steps> steps = cut_dims(root, t)) return steps;
  return root.is_contiguous() ? cut_out(root, t) : std::nullopt;
}

size_t steps_by_rows(const Shape& root, const Steps& steps) {
  static const OpDef* view = find_op("view");
  Tensor t(new_abstract(root, DType::F32));
  for (size_t i = 0; i < steps.size(); ++i) {
    const ViewStep& s = steps[i];
    ViewSpec v;
    try {
      v = s.op->view(Call{s.op, std::span<const Tensor>(&t, 1), s.attrs, {}});
    } catch (const Error& e) {
      if (s.op != view || e.kind() != ErrorKind::Shape) throw;
      return i;
    }
    Ref<TensorRecord> next = new_abstract(v.shape, DType::F32);
    next->strides = v.strides;
    next->offset = v.offset.value();
    t = Tensor(next);
  }
  return steps.size();
}

}  // namespace thixo
