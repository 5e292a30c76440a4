// A number of any kind, as it stands in a call: x + 2, clamp(x, 0.5), full(shape, true).
#pragma once

#include <complex>
#include <cstdint>
#include <string>

#include "thixo/dtype.h"
#include "thixo/export.h"

namespace thixo {

class THIXO_API Scalar {
 public:
  Scalar() : kind_(DType::I64) {}
  Scalar(bool v) : kind_(DType::Bool), i_(v) {}    // NOLINT
  Scalar(int v) : kind_(DType::I64), i_(v) {}      // NOLINT
  Scalar(int64_t v) : kind_(DType::I64), i_(v) {}  // NOLINT
  Scalar(uint64_t v) : kind_(DType::I64), beyond_(v > INT64_MAX), i_(static_cast<int64_t>(v)) {}  // NOLINT
  Scalar(double v) : kind_(DType::F64), re_(v) {}  // NOLINT
  Scalar(float v) : kind_(DType::F64), re_(v) {}   // NOLINT
  Scalar(std::complex<double> v) : kind_(DType::C128), re_(v.real()), im_(v.imag()) {}  // NOLINT

  /// Bool, I64, F64 or C128: the category that promotion sees.
  DType kind() const { return kind_; }
  /// A whole number above the greatest int64; to_int() has its bits.
  bool beyond_int() const { return beyond_; }
  /// Truncated; what 64 bits do not hold becomes their nearest number, and nan 0.
  int64_t to_int() const { return kind_ == DType::F64 || kind_ == DType::C128 ? truncated(re_) : i_; }
  double to_double() const {
    if (kind_ == DType::F64 || kind_ == DType::C128) return re_;
    return beyond_ ? static_cast<double>(static_cast<uint64_t>(i_)) : static_cast<double>(i_);
  }
  std::complex<double> to_complex() const { return {to_double(), im_}; }
  /// Whether dtype t can hold it: false only where an integer type is too small, or lacks nan, inf or an imaginary
  /// part. Negative integers wrap around in unsigned types, as in PyTorch.
  bool fits(DType t) const;
  std::string str() const;
  friend bool operator==(const Scalar&, const Scalar&) = default;

 private:
  static int64_t truncated(double v);
  DType kind_;
  bool beyond_ = false;
  int64_t i_ = 0;
  double re_ = 0, im_ = 0;
};

}  // namespace thixo
