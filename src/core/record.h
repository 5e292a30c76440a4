// What a Tensor handle points to. Only the library sees it; the public API is Tensor.
#pragma once

#include <vector>

#include "core/storage.h"
#include "core/attr.h"
#include "thixo/tensor.h"

namespace thixo {

/// What a view remembers: the base that owns the values, and how to get from it to the view.
struct ViewMeta final : Object {
  Tensor base;
  ViewChain chain;
};

/// Autograd's part of a tensor; the tape (src/transform) derives its own from it.
struct GradMeta : Object {
  bool requires_grad = false;  ///< a leaf that asks for a gradient
  bool retain_grad = false;
  uint32_t output = 0;         ///< which result of `node` this tensor is
  uint32_t view_version = 0;   ///< of a view: storage version at which `node` was made
  Ref<Object> node;            ///< the tape node that made it; null for a leaf
  Tensor grad;
  std::vector<std::pair<int64_t, std::function<Tensor(const Tensor&)>>> hooks;
};

/// A value that a transform has put in the place of data: a batch (vmap), a dual number (jvp), or an
/// abstract value. Ops on it go to `level`'s interpreter. See transform/interpreter.h.
struct Wrapper : Object {
  int level = 0;
};

struct TensorRecord final : Object {
  DType dtype = DType::F32;
  Device device{};
  bool wrapped_number = false;  ///< made from a Scalar: weak in promotion
  Shape shape;
  Strides strides;
  int64_t offset = 0;  ///< in elements
  Ref<Storage> storage;  ///< null for abstract values (meta, wrapper)
  Ref<ViewMeta> view;
  Ref<GradMeta> grad;
  Ref<Wrapper> wrapper;

  void* data() const { return static_cast<char*>(storage->data) + offset * static_cast<int64_t>(item_size(dtype)); }
};

/// A record with fresh contiguous memory (up to 64 bytes inside the record itself).
Ref<TensorRecord> new_record(const Shape& shape, DType dtype, Device device = {});
/// A record without data: shape and dtype only.
Ref<TensorRecord> new_abstract(const Shape& shape, DType dtype, Device device = {});
/// Another view of t's storage. `step` is the view op that made it (recorded in the chain).
Tensor make_view(const Tensor& t, const Shape& shape, const Strides& strides, int64_t offset, ViewStep step);

/// Row-major, ignoring dims of size 1.
bool is_contiguous(const Shape& shape, const Strides& strides);

}  // namespace thixo
