// Which values of a call its gradient will ask for. Found by running the gradient once on abstract tensors, and
// remembered per op and kind of call.
#pragma once

#include "ir/op.h"

namespace thixo {

struct SaveMask {
  uint32_t in = 0, out = 0;  ///< bit k: operand declaration k, result k
  bool linear = false;       ///< no value is asked for: the gradient is the same everywhere
  uint32_t reaches = 0;      ///< bit k: operand declaration k gets a gradient
};

/// `wanted(k)`: whether operand k of the call wants a gradient.
SaveMask values_to_save(const Call& call, std::span<const Tensor> out, std::span<const bool> wanted);

}  // namespace thixo
