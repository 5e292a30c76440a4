// Calls of ops made from their samples, and comparison of results. Nothing here runs an op.
#pragma once

#include <string>
#include <vector>

#include "ir/op.h"

namespace thixo::conformance {

/// A call with its operands.
struct TestCall {
  const OpDef* op = nullptr;
  TensorList in;
  std::vector<Attr> attrs;
  std::string bad;  ///< the sample's: what the error must contain
  Call call() const { return Call{op, in, attrs, {}}; }
  std::string str() const;  ///< "sum(f32[3, 4], dim=[0], keepdim=true)"
};

/// The op's samples. A pointwise op has none of its own: it gets several shapes, and all pairs of extreme values.
std::vector<Sample> samples_of(const OpDef& op);
/// Whether the op's own rule lets operands of dtype t pass (mean takes integers only with a dtype to compute in).
bool takes(const OpDef& op, const Sample& s, DType t);
/// Dtypes that at least one operand without a dtype of its own takes; one entry when the dtype does not matter. What
/// every op takes stands in tests/golden/op_dtypes.txt.
std::vector<DType> dtypes_of(const OpDef& op);

/// Operands where the sample leaves the dtype open are of dtype t (of the nearest that they take). Values depend on
/// the op and the sample alone and are small multiples of 1/32: the same numbers in every float dtype.
TestCall make_call(const OpDef& op, const Sample& sample, DType t);
/// Calls of all good samples in all dtypes that they take.
std::vector<TestCall> good_calls(const OpDef& op);
/// The same call with continuous random values, for differences.
TestCall make_smooth_call(const OpDef& op, const Sample& sample, DType t);

enum class Layout { Contiguous, Strided, Permuted, Unaligned, Expanded };
inline constexpr Layout kLayouts[] = {Layout::Contiguous, Layout::Strided, Layout::Permuted, Layout::Unaligned};
const char* layout_name(Layout l);
/// The same values in another layout; Expanded keeps the first slice of each dim.
Tensor laid_out(const Tensor& t, Layout l);
/// Element by element, to any dtype.
Tensor converted(const Tensor& t, DType dtype);
Tensor copied(const Tensor& t);

struct Tolerance {
  double ulps = 0;
  double floor = 0;  ///< errors are measured in ulps of numbers at least this large
};
/// What the op promises for results of dtype t.
Tolerance tolerance_of(const OpDef& op, DType t, const TensorList& in);
/// Empty when equal within the tolerance; else the first place that differs. `want` may be of a wider dtype.
std::string difference(const Tensor& got, const Tensor& want, Tolerance tolerance);

/// Equal but for the sign and payload of nan, the only bits that kernels leave open (ir/kernel_ir.h).
bool same_bits(const Tensor& a, const Tensor& b);

bool is_random(const OpDef& op);
/// Whether results are made of floats of the operands, so that a reference in f64 is the truth.
bool in_floats(const OpDef& op);

}  // namespace thixo::conformance
