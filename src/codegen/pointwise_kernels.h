// Kernels of pointwise ops. The key is <op><variant>.<type>.<pattern>, for example
//
//   add.f32.cc   gelu/approximate=tanh.f32.c   add/alpha.i64.ck   gelu.grad0.f64.s
//
//   variant  the attributes that choose the expression: flags and enums unless they have their default, and the
//            names of numeric attributes that do not (their values are Params)
//   type     the type that is computed in: f32 f64 i32 i64 u64 bool c64 c128
//   pattern  one letter for each operand: c contiguous, k one element for all (at most one operand);
//            or "s" for all operands and the result: ints hold their strides in elements, the result's last
#pragma once

#include "codegen/pack_builder.h"
#include "ir/op.h"
#include "ir/variant.h"

namespace thixo::codegen {

/// The types that kernels compute in.
inline constexpr DType kKernelTypes[] = {DType::F32, DType::F64,  DType::I32, DType::I64,
                                         DType::U64, DType::Bool, DType::C64, DType::C128};
inline constexpr int kKernelTypeCount = 8;

/// One expression of an op: what a kernel reads, writes and computes.
struct PointwiseForm {
  Expr value;
  DType type;                       ///< one of kKernelTypes
  SmallVec<DType, 4> in;            ///< of each operand's elements in the kernel
  DType out;                        ///< of the result's elements in the kernel
  SmallVec<int, 4> param_attrs;     ///< Param i is attribute param_attrs[i]
};
/// The form that computes a call promoted to t: small types widen, u64 counts as i64 where the sign does not matter.
PointwiseForm pointwise_form(const OpDef& op, DType t, std::span<const Attr> attrs);

/// `pattern`: see above. Input k is buffer k, the result the last buffer.
Kernel pointwise_kernel(const PointwiseForm& form, std::string_view pattern);
std::string pointwise_key(const OpDef& op, int variant, DType type, std::string_view pattern);
/// "cc", "kc", "ck", "s".
std::vector<std::string> pointwise_patterns(size_t operands);

/// All pointwise ops of the registry and their first gradients.
void add_pointwise_kernels(PackSink& sink);

}  // namespace thixo::codegen
