// Kernels of the pack as eager uses them: looked up once, then found by index.
#pragma once

#include <atomic>

#include "codegen/pack.h"
#include "codegen/pointwise_kernels.h"
#include "ir/op.h"

namespace thixo::detail {

/// One expression of a pointwise op for one promoted dtype, with its kernels.
struct PointwisePlan {
  SmallVec<DType, 4> in;           ///< element types the kernels read
  DType out = DType::F32;          ///< element type they write
  DType result = DType::F32;       ///< dtype of the op's result
  SmallVec<int, 4> param_attrs;    ///< Param i is attribute param_attrs[i], of compute type `type`
  DType type = DType::F32;
  bool direct = false;             ///< kernels read operands of the promoted dtype and write the result as they are
  KernelFn contiguous = nullptr, strided = nullptr;
  SmallVec<KernelFn, 4> constant;  ///< operand k is one element; null where the pack has none
};

/// Null when no such call was planned before: a table look-up for the fast path.
const PointwisePlan* known_plan(const OpDef& op, int variant, DType promoted);
/// The plan of a call; makes it at the first time. NotImplementedError when the pack lacks its kernels.
const PointwisePlan& pointwise_plan(const Call& call, int variant, DType promoted);

/// Params of a call, two doubles each (KernelArgs::params).
using ParamBlock = SmallVec<double, 8>;
ParamBlock params_of(const Call& call, const PointwisePlan& plan);

/// Contiguous conversion of n elements; memcpy when the dtypes agree.
void convert_run(DType from, const char* src, DType to, char* dst, int64_t n);
/// The same with strides in elements.
void convert_strided(DType from, const char* src, int64_t src_stride, DType to, char* dst, int64_t dst_stride,
                     int64_t n);
/// Calls a kernel; InternalError when it reports a failure.
inline void run_kernel(KernelFn k, void* const* buffers, const int64_t* ints, const double* params, int64_t begin,
                       int64_t end) {
  const KernelArgs args{buffers, ints, params};
  codegen::in_mode(k)(&args, begin, end);
}

/// The kernel of this key. InternalError when the pack lacks it: the caller knows that it was built.
KernelFn required_kernel(std::string_view key);

/// Scratch of this thread, at least `bytes`, aligned to 64; valid until the next call with the same slot.
char* thread_scratch(size_t slot, size_t bytes);

}  // namespace thixo::detail
