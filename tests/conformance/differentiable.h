// Samples of ops as functions that can be differentiated: what the tests of gradients and transforms share.
#pragma once

#include "cases.h"

namespace thixo::conformance {

/// The sample as a function of its differentiable operands.
struct Differentiable {
  TestCall call;
  std::vector<size_t> places;  ///< operands that are differentiated
  TensorList inputs;

  /// The visible results in f64 and complex128 but for states: rounded ones have no differences.
  TensorList operator()(const TensorList& x) const;
  /// One number: the results in a weighted sum.
  Tensor sum(const TensorList& x) const;
};

/// In f64 or complex128, with continuous values. Operands of either type are differentiated.
Differentiable differentiable(const OpDef& op, const Sample& s, DType t = DType::F64);
/// Whether the op takes complex128 in this sample; small_samples are tested in both types then.
bool takes_complex(const OpDef& op, const Sample& s);
/// The numbers of a contiguous tensor in f64 or complex128: real and imaginary parts stand side by side.
std::span<double> numbers_of(const Tensor& t);
/// Samples with few elements and without kinks and poles near the values: differences cost two calls for each.
std::vector<Sample> small_samples(const OpDef& op);

}  // namespace thixo::conformance
