// Loops over the elements of several tensors at once: the order of the axes, the layout of a new result, and the
// fewest axes that describe the walk. Every strided kernel call of eager starts here.
#pragma once

#include <cstdint>
#include <span>

#include "core/record.h"

namespace thixo::detail {

/// One operand of a walk. Strides are in elements, one per axis of the walk.
struct Strided {
  char* data = nullptr;
  DType dtype = DType::F32;
  int64_t stride[kMaxRank] = {};

  int64_t item() const { return static_cast<int64_t>(item_size(dtype)); }
  char* at(int64_t elements) const { return data + elements * item(); }
};

/// A walk over elements; axis 0 is the innermost one.
struct Walk {
  int rank = 0;
  int64_t extent[kMaxRank] = {};
  SmallVec<Strided, 5> operands;

  int64_t elements() const {
    int64_t n = 1;
    for (int a = 0; a < rank; ++a) n *= extent[a];
    return n;
  }
  void swap_axes(int a, int b);
  /// Removes axes of extent 1 and joins neighbours that every operand walks as one; rank is at least 1 after it.
  void collapse();
};

/// A walk over `shape` for the operands, each broadcast to it, in the order of axes that suits their memory: the first
/// operand decides, the next one where it is broadcast (PyTorch's rule). `out`, when given, is the last operand of the
/// walk and decides before all others. Undefined tensors must not be among them. Not yet collapsed.
Walk make_walk(const Shape& shape, std::span<const Tensor> in, const Tensor* out);

/// A new tensor of that shape whose axes lie in memory in the walk's order, put behind its operands.
Tensor add_result(Walk& walk, const Shape& shape, std::span<const Tensor> in, DType dtype, Device device);

/// The strides that add_result would give.
Strides result_strides(const Shape& shape, std::span<const Tensor> in);

/// What two tensors share in memory.
enum class Overlap : uint8_t { None, Same, Part };
Overlap overlap(const Tensor& a, const Tensor& b);

/// A walk's outer axes, from `first` on, counted from 0 to its product: where operand data starts.
class Odometer {
 public:
  Odometer(const Walk& walk, int first, int64_t at);
  int64_t offset(size_t operand) const { return offset_[operand]; }  ///< in elements
  void next();

 private:
  const Walk& walk_;
  int first_;
  int64_t index_[kMaxRank] = {};
  SmallVec<int64_t, 5> offset_;
};

}  // namespace thixo::detail
