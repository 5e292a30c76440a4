// A loop nest (OpDef::nest) for any sizes: what eager's shape-generic kernels are made from.
//
// The nest is evaluated with symbolic sizes: n<k>_<d> is dim d of operand k, o<d> of the result, a<i> or a<i>_<j> an
// integer attribute or an entry of a list. Neighbouring axes of the result that the nest only ever uses together, as
// neighbouring indices, may be merged into one: so one kernel serves every rank. Kernels are found in the pack by their
// content (content_key), which does not depend on the op or on the rank that they come from.
#pragma once

#include <functional>
#include <optional>

#include "ir/kernel_ir.h"
#include "ir/op.h"

namespace thixo::codegen {

/// A read of an operand in a nest.
struct NestRead {
  Expr at;  // the At node
  int operand;
};

struct NestForm {
  int rank = 1;  ///< axes of the result; a result without dims counts as one of size 1
  std::vector<DType> in;  ///< element types in memory, per operand; where values are only moved one of the same size
  DType out = DType::F32;
  bool moved = false;  ///< elements of `out`'s size are moved, whatever they are
  Expr value;  ///< over At, Axis, Size, Param; Axis kPlace is the element's number in row-major order
  std::vector<NestRead> reads;
  std::vector<std::string> params;  ///< attributes, "rng.key" and "rng.counter" among them
  std::vector<DType> param_types;
  uint32_t mergeable = 0;  ///< bit d: axes d and d+1 may be merged
  bool uniform = false;  ///< no axis is used: every element is the same
  // Reductions.
  std::vector<NestCtx::Reduce> reduce;
  std::optional<Combine> combine;
  std::function<Expr(Expr)> finish;
};
inline constexpr int kPlace = 1000;

/// The form of a call; its operands may be abstract. nullopt when there are several results.
std::optional<NestForm> nest_form(const Call& call, std::span<const Spec> results);

/// Where an integer argument of a kernel comes from, at run time.
struct NestSize {
  enum Kind : uint8_t { Extent, Stride, Value } kind;
  int operand = 0;  // Stride
  int dim = 0;  // Stride: of the operand; Extent: the merged axis
  Dim value;  // Value: over n, o and a
};
struct NestKernel {
  Kernel kernel;  ///< one operand a buffer, then the result; unused operands have none
  std::vector<int> operands;  ///< per input buffer
  std::vector<NestSize> sizes;  ///< per integer argument
  int axes = 1;  ///< after merging; the last one is the inner loop, the others the parallel axis
};
/// Where a reduction is no reduce_form (windows: reduce_kernels.h), its axes are loops for each element.
/// The kernel of a form for a row-major result. `merged`: a subset of form.mergeable. `contiguous`:
/// operands that the innermost axis indexes have stride 1 there.
NestKernel nest_kernel(const NestForm& form, uint32_t merged, bool contiguous);

/// What a symbolic size is worth.
using SizeOf = std::function<int64_t(const std::string& name)>;
int64_t size_value(Dim d, const SizeOf& of);
/// The same for the names that nest_form gives, in a call.
int64_t nest_size_value(Dim d, const Call& call, std::span<const Spec> results);

/// The Params of a call, two doubles each (KernelArgs::params).
SmallVec<double, 8> nest_params(const NestForm& form, const Call& call);

/// The value of a numeric attribute ("p", "rng.key") as a Param of type t: its two doubles.
std::pair<double, double> attr_param(const Call& call, const std::string& name, DType t);

/// The pack's key of a kernel that is found by what it does.
std::string content_key(const Kernel& kernel);

class PackSink;
/// The forms of every sample of every op that is a nest, in every dtype that it takes; reductions too.
void add_nest_kernels(PackSink& sink);

}  // namespace thixo::codegen
