// Kernels of optimizer updates: update.<op>.<dtype in memory>, over contiguous elements.
//
// Buffers: param, grad and states, then new param and new states (the same pointers for work in place); Params: the
// rule's scalars.
#pragma once

#include "codegen/pack_builder.h"
#include "ops/optim/update.h"

namespace thixo::codegen {

Kernel update_kernel(const UpdateRule& rule, DType dtype);
std::string update_key(const UpdateRule& rule, DType dtype);
void add_update_kernels(PackSink& sink);

}  // namespace thixo::codegen
