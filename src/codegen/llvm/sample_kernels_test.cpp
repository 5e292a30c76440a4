#include "codegen/llvm/sample_kernels.h"

#include "codegen/llvm/sample_parts.h"

namespace thixo::codegen::samples {

const std::vector<SampleKind>& sample_kinds() {
  static const std::vector<SampleKind> kinds = [] {
    std::vector<SampleKind> all;
    for (const auto& family : {pointwise_samples(), index_samples(), reduction_samples(), large_samples()})
      all.insert(all.end(), family.begin(), family.end());
    return all;
  }();
  return kinds;
}

}  // namespace thixo::codegen::samples
