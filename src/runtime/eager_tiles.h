// Pointwise kernels over any layout and dtypes: tiles of a walk are brought into the form that a kernel of the pack
// takes (contiguous elements of its own type), and its results into the form that was asked for.
#pragma once

#include "runtime/eager_kernels.h"
#include "runtime/strided.h"

namespace thixo::detail {

/// Elements of one tile; every operand's tile fits the second-level cache, usually the first.
inline constexpr int64_t kTile = 4096;
/// Elements of one piece of parallel work, and the least that is worth several threads.
inline constexpr int64_t kGrain = 16384, kParallelFrom = 32768;

/// Calls f(begin, end) over [0, units), in parallel when `elements` in all are worth it.
template <class F> void run_units(int64_t units, int64_t elements, F&& f);

/// Runs a pointwise plan over a walk whose last operand is the result. Changes the walk (collapses it).
void run_pointwise(const PointwisePlan& plan, const double* params, Walk& walk);

}  // namespace thixo::detail

#include "base/parallel.h"

namespace thixo::detail {

template <class F> void run_units(int64_t units, int64_t elements, F&& f) {
  if (elements < kParallelFrom) {
    f(int64_t{0}, units);
  } else {
    parallel_for(units, f);
  }
}

}  // namespace thixo::detail
