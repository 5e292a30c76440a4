// Fused optimizer updates: one parallel loop over the elements of any number of parameters.
#pragma once

#include "ir/op.h"

namespace thixo::cpu {

/// The operands and results of any number of calls of one update op, one after the other; results may be the operands
/// of the same call. This is the Backend entry "update", and what optimizers call with all their parameters.
void run_updates(const Call& calls, std::span<const Tensor> out);

}  // namespace thixo::cpu
