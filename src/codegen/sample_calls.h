// The samples of a definition as calls without data, in every dtype: what the pack's generator learns from them.
#pragma once

#include <functional>

#include "ir/op.h"

namespace thixo::codegen {

/// Calls f with each good sample in each dtype that the op takes for it: the operands' (where the sample leaves it
/// open), or the `dtype` attribute's of an op without operands. Empty samples are left out.
void for_each_sample_call(const OpDef& op,
                          const std::function<void(const Call& call, std::span<const Spec> results)>& f);

}  // namespace thixo::codegen
