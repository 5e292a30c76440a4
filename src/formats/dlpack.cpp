#include "thixo/dlpack.h"

#include <array>
#include <memory>

#include "core/record.h"
#include "formats/dlpack_abi.h"

namespace thixo {
namespace {

constexpr int32_t kCpu = 1;

DLCode code_of(DType t) {
  if (t == DType::BF16) return DLCode::Bfloat;
  if (t == DType::Bool) return DLCode::Bool;
  return is_float(t) ? DLCode::Float : is_complex(t) ? DLCode::Complex : is_unsigned(t) ? DLCode::UInt : DLCode::Int;
}

DType dtype_of_dl(DLDataType d) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto t = static_cast<DType>(i);
    if (static_cast<uint8_t>(code_of(t)) == d.code && item_size(t) * 8 == d.bits && d.lanes == 1) return t;
  }
  throw DTypeError("from_dlpack: the element type is not known here")
      .got("code = " + std::to_string(d.code) + "   bits = " + std::to_string(d.bits) +
           "   lanes = " + std::to_string(d.lanes));
}

/// What the other library holds: the struct, the sizes that it points to, and the tensor.
template <class Managed> struct Export {
  Managed managed{};
  std::array<int64_t, kMaxRank> shape{}, strides{};
  Tensor tensor;
};

template <class Managed> Managed* make_export(const Tensor& t) {
  void* data = t.raw_data();
  const TensorRecord& r = *t.record();
  if (r.grad && (r.grad->requires_grad || r.grad->node)) {
    throw ValueError("to_dlpack: the tensor requires a gradient, which another library cannot follow")
        .got(describe(t))
        .fix("export x.detach()");
  }
  auto e = std::make_unique<Export<Managed>>();
  for (size_t i = 0; i < r.shape.size(); ++i) {
    e->shape[i] = r.shape[i].value();
    e->strides[i] = r.strides[i].value();
  }
  e->tensor = t;
  e->managed.dl_tensor = {
      .data = data,
      .device = {kCpu, 0},
      .ndim = static_cast<int32_t>(r.shape.size()),
      .dtype = {static_cast<uint8_t>(code_of(r.dtype)), static_cast<uint8_t>(item_size(r.dtype) * 8), 1},
      .shape = e->shape.data(),
      .strides = e->strides.data(),
      .byte_offset = 0};
  e->managed.manager_ctx = e.get();
  e->managed.deleter = [](Managed* m) { delete static_cast<Export<Managed>*>(m->manager_ctx); };
  return &e.release()->managed;
}

template <class Managed> void finish(Managed* m) {
  if (m != nullptr && m->deleter != nullptr) m->deleter(m);
}

void check_given(const void* m) {
  if (m == nullptr) throw ValueError("from_dlpack: a null pointer");
}

template <class Managed> Tensor import(Managed* m) {
  const DLTensor& d = m->dl_tensor;
  if (d.device.device_type != kCpu) {
    throw DeviceError("from_dlpack: the memory is not the CPU's")
        .got("DLPack device type " + std::to_string(d.device.device_type))
        .fix("move the tensor to the CPU in the library that it comes from");
  }
  const DType dtype = dtype_of_dl(d.dtype);
  if (d.ndim < 0 || static_cast<size_t>(d.ndim) > kMaxRank) {
    throw ShapeError("from_dlpack: a tensor of " + std::to_string(d.ndim) + " dims").need("at most 8 dims");
  }
  const auto rank = static_cast<size_t>(d.ndim);
  Shape shape;
  for (size_t i = 0; i < rank; ++i) shape.push_back(d.shape[i]);
  contiguous_bytes(shape, dtype);  // throws for sizes that cannot be
  Strides strides = contiguous_strides(shape);
  if (d.strides != nullptr) {
    for (size_t i = 0; i < rank; ++i) strides[i] = d.strides[i];
  }
  return from_blob(static_cast<char*>(d.data) + d.byte_offset, shape, strides, dtype, [m] { finish(m); });
}

}  // namespace

DLManagedTensor* to_dlpack(const Tensor& t) { return make_export<DLManagedTensor>(t); }

DLManagedTensorVersioned* to_dlpack_versioned(const Tensor& t) {
  auto* m = make_export<DLManagedTensorVersioned>(t);
  m->version = {1, 0};
  return m;
}

Tensor from_dlpack(DLManagedTensor* m) {
  check_given(m);
  return import(m);
}

Tensor from_dlpack(DLManagedTensorVersioned* m) {
  check_given(m);
  if (m->version.major != 1) {
    throw NotImplementedError("from_dlpack: DLPack version " + std::to_string(m->version.major)).need("version 1");
  }
  if ((m->flags & 1) != 0) {
    throw ValueError("from_dlpack: the memory is read-only").fix("copy it in the library that it comes from");
  }
  return import(m);
}

void delete_dlpack(DLManagedTensor* m) { finish(m); }
void delete_dlpack(DLManagedTensorVersioned* m) { finish(m); }

}  // namespace thixo
