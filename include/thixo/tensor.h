// Tensor: a handle to a strided view of a Storage. Copying a Tensor copies the handle.
//
//   auto x = thixo::ones({2, 3});
//   auto y = (x * 2 + 1).sum(/*dim=*/1);
//
// The op methods (x.exp(), x.add_(y), ...) are generated from the op schemas.
#pragma once

#include <complex>
#include <concepts>
#include <functional>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "thixo/device.h"
#include "thixo/dim.h"
#include "thixo/dtype.h"
#include "thixo/error.h"
#include "thixo/object.h"
#include "thixo/scalar.h"

namespace thixo {

struct TensorRecord;
class Tensor;
class TensorArg;
using TensorList = std::vector<Tensor>;

/// One int or several: `sum(x, 1)`, `sum(x, {0, 1})`.
class IntList : public SmallVec<int64_t, kMaxRank> {
 public:
  IntList() = default;
  template <std::integral T> IntList(T v) { push_back(static_cast<int64_t>(v)); }  // NOLINT
  IntList(std::initializer_list<int64_t> v) : SmallVec(v) {}
  IntList(std::span<const int64_t> v) : SmallVec(v) {}  // NOLINT
};

/// The name of a choice, as in padding = "same". No number is taken for a name: a literal 0 is no null pointer here.
class Choice {
 public:
  template <class T>
    requires std::convertible_to<const T&, std::string_view>
  Choice(const T& name) : name_(name) {}  // NOLINT
  std::string str() const { return std::string(name_); }

 private:
  std::string_view name_;
};

/// start:stop:step of an index; std::nullopt stands for an absent bound.
struct Slice {
  std::optional<int64_t> start, stop;
  int64_t step = 1;
  Slice() = default;
  Slice(std::optional<int64_t> a, std::optional<int64_t> b, int64_t s = 1) : start(a), stop(b), step(s) {}
};
struct Ellipsis_ {};
struct NewAxis_ {};
inline constexpr Ellipsis_ Ellipsis;
inline constexpr NewAxis_ NewAxis;

class TensorIndex;
class Generator;

/// contiguous_format: row-major. channels_last: strides of NHWC under NCHW sizes (rank 4).
enum class MemoryFormat : uint8_t { Preserve, Contiguous, ChannelsLast };
inline constexpr MemoryFormat contiguous_format = MemoryFormat::Contiguous, channels_last = MemoryFormat::ChannelsLast,
                              preserve_format = MemoryFormat::Preserve;

/// "linear", "train.py:41": where a call stands in the user's source, for errors and graphs.
using SourceLoc = std::source_location;

}  // namespace thixo

#include "thixo/gen/op_options.h"

namespace thixo {

class THIXO_API Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorRecord> r);  // inside the library: core/record.h
  Tensor(Scalar value);  // NOLINT: a 0-d tensor of the scalar's own dtype (float32 for floats)

  bool defined() const { return static_cast<bool>(r_); }
  TensorRecord* record() const;  // inside the library: core/record.h
  /// What a language binding counts and binds; from_object() is the way back.
  Object* object() const { return r_.get(); }
  static Tensor from_object(Ref<Object> object) {
    Tensor t;
    t.r_ = std::move(object);
    return t;
  }
  bool is_same(const Tensor& o) const { return r_ == o.r_; }

  DType dtype() const;
  Device device() const;
  const Shape& shape() const;
  const Strides& strides() const;
  Dim size(int64_t dim) const;  ///< negative dims count from the end; IndexError out of range
  int64_t stride(int64_t dim) const;
  int64_t storage_offset() const;
  int64_t dim() const;
  Dim numel() const;
  size_t nbytes() const;
  bool is_contiguous(MemoryFormat format = MemoryFormat::Contiguous) const;
  bool is_view() const;
  /// The tensor whose data this view shows; undefined when this is no view.
  Tensor base() const;
  /// How often the shared Storage was written to.
  uint32_t version() const;

  /// First element. Error when T is not the dtype, or the tensor is abstract (meta, under vmap, ...).
  template <class T> T* data() const { return static_cast<T*>(checked_data(dtype_of<T>)); }
  void* raw_data() const;  ///< untyped; 16-bit floats too
  template <class T = double> T item() const { return item_scalar_as<T>(); }
  Scalar item_scalar() const;  ///< ValueError unless there is exactly one element
  /// All elements in row-major order; T must be the dtype.
  template <class T> std::vector<T> to_vector() const {
    Tensor c = contiguous();
    const T* p = c.data<T>();
    return std::vector<T>(p, p + static_cast<size_t>(numel().value()));
  }
  std::string str() const;  ///< as PyTorch prints it

  // Autograd.
  bool requires_grad() const;
  Tensor& requires_grad_(bool on = true);
  bool is_leaf() const;
  Tensor grad() const;
  void set_grad(const Tensor& g);
  void zero_grad();
  void retain_grad();
  Ref<Object> grad_fn() const;
  /// Its name as in print, "AddBackward0"; empty when there is none.
  std::string grad_fn_name() const;
  void backward(const Tensor& gradient = {}, bool retain_graph = false, bool create_graph = false) const;
  /// f sees the gradient and may return another; the id is for remove_hook.
  int64_t register_hook(std::function<Tensor(const Tensor&)> f) const;
  void remove_hook(int64_t id) const;
  Tensor detach(SourceLoc at = SourceLoc::current()) const;
  Tensor& detach_();

  // Copies and conversions.
  Tensor clone(MemoryFormat format, SourceLoc at = SourceLoc::current()) const;
  Tensor contiguous(MemoryFormat format = MemoryFormat::Contiguous, SourceLoc at = SourceLoc::current()) const;
  Tensor to(DType dtype, SourceLoc at = SourceLoc::current()) const;
  Tensor to(MemoryFormat format, SourceLoc at = SourceLoc::current()) const { return contiguous(format, at); }
  Tensor to(Device device, SourceLoc at = SourceLoc::current()) const;
  Tensor& copy_(const TensorArg& source);
  Tensor& fill_(Scalar value);
  Tensor& zero_() { return fill_(0); }

  // Indexing: integers, slices, Ellipsis, NewAxis, index tensors and masks, as in PyTorch.
  Tensor index(std::span<const TensorIndex> at) const;
  Tensor index(std::initializer_list<TensorIndex> at) const;
  Tensor operator[](const TensorIndex& i) const;
  /// x[i] = value
  Tensor& index_put_(std::span<const TensorIndex> at, const TensorArg& value, bool accumulate = false);
  Tensor& index_put_(std::initializer_list<TensorIndex> at, const TensorArg& value, bool accumulate = false);

#include "thixo/gen/tensor_methods.inc"

 private:
  void* checked_data(DType want) const;
  template <class T> T item_scalar_as() const {
    Scalar s = item_scalar();
    if constexpr (std::is_same_v<T, std::complex<double>>) {
      return s.to_complex();
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(s.to_int());
    } else {
      return static_cast<T>(s.to_double());
    }
  }
  Ref<Object> r_;  // a TensorRecord
};

/// How ops take their tensors: implicitly from a Tensor or a number, remembering where the call stands.
/// It refers to the tensor that it is made from: an argument, nothing to keep.
class THIXO_API TensorArg {
 public:
  TensorArg(const Tensor& t, SourceLoc at = SourceLoc::current()) : t_(&t), at_(at) {}  // NOLINT
  template <class T>
    requires std::is_arithmetic_v<T>
  TensorArg(T v, SourceLoc at = SourceLoc::current()) : TensorArg(Scalar(static_cast<Wide<T>>(v)), at) {}  // NOLINT
  TensorArg(Scalar v, SourceLoc at = SourceLoc::current());  // NOLINT: a "wrapped number" in promotion
  TensorArg(const TensorArg& o) : number_(o.number_), t_(o.t_ == &o.number_ ? &number_ : o.t_), at_(o.at_) {}
  TensorArg& operator=(const TensorArg&) = delete;
  const Tensor& tensor() const { return *t_; }
  const SourceLoc& at() const { return at_; }

 private:
  template <class T>
  using Wide =
      std::conditional_t<std::is_same_v<T, bool>, bool, std::conditional_t<std::is_integral_v<T>, int64_t, double>>;
  Tensor number_;
  const Tensor* t_;
  SourceLoc at_;
};

/// One entry of an index; it remembers where it stands.
class TensorIndex {
 public:
  using At = SourceLoc;
  template <std::integral T>
  TensorIndex(T i, At at = At::current()) : v_(static_cast<int64_t>(i)), at_(at) {}  // NOLINT
  TensorIndex(Slice s, At at = At::current()) : v_(s), at_(at) {}                    // NOLINT
  TensorIndex(Ellipsis_ e, At at = At::current()) : v_(e), at_(at) {}                // NOLINT
  TensorIndex(NewAxis_ n, At at = At::current()) : v_(n), at_(at) {}                 // NOLINT
  TensorIndex(Tensor t, At at = At::current()) : v_(std::move(t)), at_(at) {}  // NOLINT: integers, or a bool mask
  const auto& value() const { return v_; }
  const SourceLoc& at() const { return at_; }

 private:
  std::variant<int64_t, Slice, Ellipsis_, NewAxis_, Tensor> v_;
  SourceLoc at_;
};

/// dtype and device of a new tensor; requires_grad marks it a leaf.
struct TensorOptions {
  std::optional<DType> dtype{};
  Device device{};
  bool requires_grad = false;
};

/// Uninitialised memory. The only creation that is no op: its values mean nothing.
THIXO_API Tensor empty(const Shape& shape, TensorOptions options = {});
/// Strides in elements; the Storage is just large enough. Throws ShapeError on negative sizes or strides.
THIXO_API Tensor empty_strided(const Shape& shape, const Strides& strides, TensorOptions options = {});
/// Foreign memory without a copy; `release` runs when the last view is gone.
THIXO_API Tensor from_blob(void* data, const Shape& shape, const Strides& strides, DType dtype,
                           std::function<void()> release);
/// Copies: tensor(std::vector<float>{1, 2, 3}, {3}).
template <class T> Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  Tensor t = empty(shape, {.dtype = dtype_of<T>});
  if (static_cast<size_t>(t.numel().value()) != values.size()) {
    throw ShapeError("tensor: " + std::to_string(values.size()) + " values for shape " + shape_str(shape));
  }
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace thixo

#include "thixo/gen/ops.h"
#include "thixo/operators.h"
