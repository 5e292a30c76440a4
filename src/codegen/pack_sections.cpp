// The list of everything in the pack. A new kind of kernel adds its section here.
#include "codegen/attention_kernels.h"
#include "codegen/cast_kernels.h"
#include "codegen/gemm_kernels.h"
#include "codegen/nest_form.h"
#include "codegen/pack_builder.h"
#include "codegen/pointwise_kernels.h"
#include "codegen/row_form.h"
#include "codegen/scan_kernels.h"
#include "codegen/update_kernels.h"

namespace thixo::codegen {

std::span<const PackSection> pack_sections() {
  static constexpr PackSection kSections[] = {
      add_cast_kernels, add_gemm_kernels, add_gemv_kernels,    add_pointwise_kernels, add_nest_kernels,
      add_row_kernels,  add_scan_kernels, add_channel_kernels, add_attention_kernels, add_update_kernels,
  };
  return kSections;
}

}  // namespace thixo::codegen
