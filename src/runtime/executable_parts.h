// What an Executable is made of: shared by the file that builds it and the one that runs it.
#pragma once

#include "ir/backend.h"
#include "runtime/executable.h"

namespace thixo {

struct Executable::Step {
  const GraphNode* node = nullptr;
  SmallVec<Tensor, 4> in;
  Values out;
  std::vector<std::pair<size_t, ValueId>> patch_in, patch_out;
  std::vector<Attr> attrs;
  int rng = -1;           // the attribute that gets a new key at each call
  size_t key = 0;         // which one
  Fused* fused = nullptr;
  BackendFn many = nullptr;  // takes the operands of several nodes at once
};

/// A group that became a kernel.
struct Executable::Fused {
  codegen::Scheduled plan;
  KernelFn fn = nullptr;
  std::vector<int> nodes;
  std::string name;  // for who watches
  std::vector<void*> pointers;
  std::vector<double> params;
  struct Random {
    size_t param, key;
    bool counter;
  };
  std::vector<Random> random;  // params that are part of a key
};

/// The tensor that a view op makes of `base`, without history.
Tensor apply_view(const OpDef* op, const Tensor& base, std::span<const Attr> attrs);

}  // namespace thixo
