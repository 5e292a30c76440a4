// What a Tensor handle points to. Only the library sees it; the public API is Tensor.
#pragma once

#include <vector>

#include "core/storage.h"
#include "thixo/attr.h"
#include "thixo/tensor.h"

namespace thixo {

/// What a view remembers: the base that owns the values, and how to get from it to the view.
struct ViewMeta final : Object {
  Tensor base;
  ViewChain chain;
  uint32_t version = 0;  ///< of the storage when the view was made
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
  /// Where the record lies: in a pooled block of its own, or in one that has room for a Storage and 64 bytes as well.
  enum class Room : uint8_t { Heap, Alone, WithStorage };

  DType dtype = DType::F32;
  Device device{};
  bool wrapped_number = false;  ///< made from a Scalar: weak in promotion
  Room room = Room::Heap;
  uint32_t recording = 0;  ///< during which it was made on the recorder's thread; 0: none
  Shape shape;
  Strides strides;
  int64_t offset = 0;  ///< in elements
  Ref<Storage> storage;  ///< null for abstract values (meta, wrapper)
  Ref<ViewMeta> view;
  Ref<GradMeta> grad;
  Ref<Wrapper> wrapper;

  void* data() const { return static_cast<char*>(storage->data) + offset * static_cast<int64_t>(item_size(dtype)); }

 protected:
  void destroy() const override;
};

inline Tensor::Tensor(Ref<TensorRecord> r) : r_(std::move(r)) {}
inline TensorRecord* Tensor::record() const { return static_cast<TensorRecord*>(r_.get()); }

/// A record with fresh contiguous memory (up to 64 bytes inside the record itself).
Ref<TensorRecord> new_record(const Shape& shape, DType dtype, Device device = {});
/// The same with given strides; `bytes` is what they span (span_of, which also checks them).
Ref<TensorRecord> new_record_strided(const Shape& shape, const Strides& strides, size_t bytes, DType dtype,
                                     Device device);
/// A tensor on a Storage that is there already; the strides are the caller's to have checked.
Ref<TensorRecord> new_record_on(Ref<Storage> storage, const Shape& shape, const Strides& strides, int64_t offset,
                                DType dtype);
/// A record without data: shape and dtype only.
Ref<TensorRecord> new_abstract(const Shape& shape, DType dtype, Device device = {});
/// Another view of t's storage. `step` is the view op that made it (recorded in the chain).
Tensor make_view(const Tensor& t, const Shape& shape, const Strides& strides, int64_t offset, ViewStep step);

/// "f32[8, 3, 32, 32] cpu", as error texts name a tensor; "undefined" for Tensor().
THIXO_API std::string describe(const Tensor& t);

/// The number of the recording that runs on this thread, 0: none. Records made from now on carry it.
THIXO_API void set_recording(uint32_t number);

/// Told when the program looks at values (item, data, str): a recorder on this thread objects or adds a guard.
using ValueHook = void (*)(const Tensor& t, const char* what);
/// Sets this thread's hook (null: none) and returns the one before.
THIXO_API ValueHook set_value_hook(ValueHook hook);
/// Calls the hook, if there is one.
void look_at_values(const Tensor& t, const char* what);

/// Row-major, ignoring dims of size 1. An empty shape in any strides is.
bool is_contiguous(const Shape& shape, const Strides& strides);
/// NHWC in memory under NCHW sizes (rank 4).
bool is_channels_last(const Shape& shape, const Strides& strides);
/// Whether two indices name one element, by an expanded dim.
bool overlaps_itself(const TensorRecord& r);
/// Bytes that row-major data of this shape needs. ShapeError for a negative size, or more than 2^63 - 1.
size_t contiguous_bytes(const Shape& shape, DType dtype);
/// Elements from the first to the last that strides reach, both included; 0 when the shape is empty. ShapeError
/// for negative sizes or strides, and when it does not fit.
int64_t span_of(const Shape& shape, const Strides& strides);

}  // namespace thixo
