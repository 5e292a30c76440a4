// One kernel of each kind, with data and with what a plain loop makes of it. Test material: compile_test.cpp runs
// them on this machine, cross_test.cpp on all targets.
#pragma once

#include <vector>

#include "ir/kernel_ir.h"

namespace thixo::codegen::samples {

using Bytes = std::vector<std::byte>;

struct Sample {
  Kernel kernel;
  std::vector<Bytes> buffers;   // before the call
  std::vector<int64_t> ints = {};
  std::vector<double> params = {};
  int64_t begin = 0, end = 0;
  std::vector<Bytes> expected = {};  // after it
};

/// `fused`: whether Fma rounds once.
struct SampleKind {
  const char* name;
  Sample (*make)(int64_t n, bool fused);
};
const std::vector<SampleKind>& sample_kinds();

}  // namespace thixo::codegen::samples
