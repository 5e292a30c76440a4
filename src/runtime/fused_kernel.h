// Running a scheduled kernel: rows cut into tiles by their number and length alone, scratch from the thread that
// runs the tile.
#pragma once

#include "codegen/schedule.h"

namespace thixo {

/// Param values as KernelArgs has them: two doubles each.
void store_param(double* to, const Scalar& value, DType t);
/// The value that an attribute of a node has as a Param.
Scalar param_value(const OpDef& op, std::span<const Attr> attrs, const std::string& name);
/// The key that the Param `name` ("rng.key", "rng.counter") is part of; null for other Params.
const RngKey* random_param(const OpDef& op, std::span<const Attr> attrs, const std::string& name);

/// Runs a kernel whose sizes are known. `pointers`: one per kernel buffer, null for Scratch; `ints`: the symbolic
/// sizes of the kernel; extent and row as in codegen::Scheduled.
void run_rows(const Kernel& kernel, KernelFn fn, std::span<void* const> pointers, const int64_t* ints,
              const double* params, int64_t extent, int64_t row);

}  // namespace thixo
