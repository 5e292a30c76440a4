#include "thixo/tensor.h"

#include <string>

#include "base/thread_state.h"
#include "core/record_of.h"
#include "core/values.h"

namespace thixo {
namespace {

THIXO_FAST_TLS ValueHook t_value_hook = nullptr;

size_t checked_dim(const TensorRecord& r, int64_t dim, const char* what) {
  const auto rank = static_cast<int64_t>(r.shape.size());
  if (dim >= -rank && dim < rank) [[likely]]
    return static_cast<size_t>(dim < 0 ? dim + rank : dim);
  Error e = IndexError(std::string(what) + ": dim " + std::to_string(dim) + " of a tensor with " +
                       std::to_string(rank) + (rank == 1 ? " dim" : " dims"));
  e.got("shape: " + shape_str(r.shape));
  if (rank > 0) e.need("a dim from " + std::to_string(-rank) + " to " + std::to_string(rank - 1));
  throw e;
}

/// The record, when its values may be looked at.
const TensorRecord& with_data(const Tensor& t, const char* what) {
  const TensorRecord& r = record_of(t, what);
  look_at_values(t, what);
  if (r.storage) [[likely]]
    return r;
  Error e = ValueError(std::string(what) + ": the tensor has no data");
  e.got(describe(t));
  if (r.device.type == DeviceType::Meta) {
    e.fix("a tensor on 'meta' has only a shape; make it on 'cpu'");
  } else {
    e.fix("inside vmap, jvp or a recorded function values are not known: use ops, or look at them outside");
  }
  throw e;
}

Ref<TensorRecord> scalar_record(const Scalar& v, DType dtype) {
  Ref<TensorRecord> r = new_record({}, dtype);
  store_scalar(r->data(), dtype, v);
  return r;
}

}  // namespace

void throw_undefined(const char* what) {
  throw ValueError(std::string(what) + " of an undefined tensor")
      .fix("give it a value first: Tensor() alone is an empty handle");
}

void look_at_values(const Tensor& t, const char* what) {
  if (t_value_hook != nullptr) [[unlikely]]
    t_value_hook(t, what);
}

ValueHook set_value_hook(ValueHook hook) { return std::exchange(t_value_hook, hook); }

std::string describe(const Tensor& t) {
  if (!t.defined()) return "undefined";
  const TensorRecord& r = *t.record();
  return std::string(dtype_short_name(r.dtype)) + shape_str(r.shape) + " " + r.device.str();
}

Tensor::Tensor(Scalar value)
    : r_(scalar_record(value, value.kind() == DType::F64    ? default_dtype()
                              : value.kind() == DType::C128 ? complex_type(default_dtype())
                                                            : value.kind())) {}

DType Tensor::dtype() const { return record_of(*this, "dtype").dtype; }
Device Tensor::device() const { return record_of(*this, "device").device; }
const Shape& Tensor::shape() const { return record_of(*this, "shape").shape; }
const Strides& Tensor::strides() const { return record_of(*this, "strides").strides; }

Dim Tensor::size(int64_t dim) const {
  const TensorRecord& r = record_of(*this, "size");
  return r.shape[checked_dim(r, dim, "size")];
}

int64_t Tensor::stride(int64_t dim) const {
  const TensorRecord& r = record_of(*this, "stride");
  return r.strides[checked_dim(r, dim, "stride")];
}

int64_t Tensor::storage_offset() const { return record_of(*this, "storage_offset").offset; }
int64_t Tensor::dim() const { return static_cast<int64_t>(record_of(*this, "dim").shape.size()); }
Dim Tensor::numel() const { return numel_of(record_of(*this, "numel").shape); }

size_t Tensor::nbytes() const {
  const TensorRecord& r = record_of(*this, "nbytes");
  return static_cast<size_t>(numel_of(r.shape).value()) * item_size(r.dtype);
}

bool Tensor::is_contiguous(MemoryFormat format) const {
  const TensorRecord& r = record_of(*this, "is_contiguous");
  return format == MemoryFormat::ChannelsLast ? is_channels_last(r.shape, r.strides)
                                              : thixo::is_contiguous(r.shape, r.strides);
}

bool Tensor::is_view() const { return static_cast<bool>(record_of(*this, "is_view").view); }

Tensor Tensor::base() const {
  const TensorRecord& r = record_of(*this, "base");
  return r.view ? r.view->base : Tensor();
}

uint32_t Tensor::version() const {
  const TensorRecord& r = record_of(*this, "version");
  return r.storage ? r.storage->version : 0;
}

void* Tensor::raw_data() const { return with_data(*this, "data").data(); }

void* Tensor::checked_data(DType want) const {
  const TensorRecord& r = with_data(*this, "data");
  if (r.dtype == want) [[likely]]
    return r.data();
  throw DTypeError("data: the tensor holds " + std::string(dtype_short_name(r.dtype)) + ", asked for as " +
                   std::string(dtype_short_name(want)))
      .got(describe(*this))
      .fix("ask for its own type, or convert first: x.to(thixo::" + std::string(dtype_name(want)) + ")");
}

Scalar Tensor::item_scalar() const {
  const TensorRecord& r = record_of(*this, "item");
  if (const Dim n = numel_of(r.shape); n != 1) {
    throw ValueError("item: the tensor has " + n.str() + " elements")
        .got(describe(*this))
        .need("exactly one element")
        .fix("choose an element first (x[0]), or reduce it (x.sum())");
  }
  return load_scalar(with_data(*this, "item").data(), r.dtype);
}

// A number keeps all its digits (float64): which dtype it is computed in is promotion's to say.
TensorArg::TensorArg(Scalar v, SourceLoc at) : number_(scalar_record(v, v.kind())), t_(&number_), at_(at) {
  number_.record()->wrapped_number = true;
}

}  // namespace thixo
