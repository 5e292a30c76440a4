// Tensors whose values nothing has written yet, and tensors on foreign memory.
#include "core/record.h"
#include "thixo/tensor.h"

namespace thixo {
namespace {

Tensor finish(Ref<TensorRecord> r, const TensorOptions& options) {
  Tensor t(std::move(r));
  if (options.requires_grad) t.requires_grad_();
  return t;
}

}  // namespace

Tensor empty(const Shape& shape, TensorOptions options) {
  return finish(new_record(shape, options.dtype ? *options.dtype : default_dtype(), options.device), options);
}

Tensor empty_strided(const Shape& shape, const Strides& strides, TensorOptions options) {
  const DType dtype = options.dtype ? *options.dtype : default_dtype();
  const auto bytes = static_cast<size_t>(span_of(shape, strides)) * item_size(dtype);
  return finish(new_record_strided(shape, strides, bytes, dtype, options.device), options);
}

Tensor from_blob(void* data, const Shape& shape, const Strides& strides, DType dtype, std::function<void()> release) {
  const auto bytes = static_cast<size_t>(span_of(shape, strides)) * item_size(dtype);
  return Tensor(new_record_on(foreign_storage(data, bytes, std::move(release)), shape, strides, 0, dtype));
}

}  // namespace thixo
