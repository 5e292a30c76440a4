// What eager keeps of a loop nest between calls: its form and the kernels found for it.
#pragma once

#include <memory>

#include "codegen/reduce_kernels.h"
#include "runtime/eager_kernels.h"

namespace thixo::detail {

/// A kernel of the pack by its content; null when the pack lacks it.
KernelFn find_content(const Kernel& kernel);
/// The same, compiled now where the pack lacks it and the compiler is installed.
KernelFn find_or_compile(const Kernel& kernel);
/// How many kernels the process has compiled so. The pack is meant to have all that samples show: tests expect none.
size_t kernels_compiled_by_eager();

struct ReducePlan {
  codegen::ReduceForm form;
  struct Kernels {
    KernelFn rows[2] = {}, columns[2] = {};  ///< strided, contiguous
  } map, combine;
  KernelFn finish = nullptr;  ///< null: accumulators are the result
  std::vector<Dim> finish_sizes;
};

struct NestPlan {
  codegen::NestForm form;
  std::unique_ptr<ReducePlan> reduce;
  codegen::NestKernel shape;  ///< of `kernel`
  KernelFn kernel = nullptr;  ///< all axes merged that can be, contiguous; null: not in the pack
};

/// The plan for calls like this one: the same op, dtypes, ranks and choosing attributes. Null when its nest has no
/// form.
const NestPlan* nest_plan(const Call& call, const Spec& result);

/// Results that came out of a decomposition as views of what it made are tensors like others: whoever watches calls (a
/// recorder) knows nothing of their bases.
Values without_views(const Call& call, Values values);

/// The result of a reduction over one operand.
Tensor eager_reduce(const Call& call, const NestPlan& plan, const Spec& result);

}  // namespace thixo::detail
