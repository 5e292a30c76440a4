#include "backend/cpu/entries.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/update.h"
#include "base/deterministic.h"
#include "codegen/pack.h"
#include "core/record.h"
#include "thixo/backend.h"

namespace thixo {
namespace cpu {
namespace {

/// Whether an image tensor lies in memory with its channels innermost.
bool channels_last(const Tensor& t) {
  const Shape& s = t.shape();
  return s.size() == 4 && s[1].value() > 1 && s[2].value() * s[3].value() > 1 &&
         t.is_contiguous(MemoryFormat::ChannelsLast);
}

Strides image_strides(bool last, const Shape& s) {
  if (!last) return contiguous_strides(s);
  return {s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
}

/// A convolution of channels-last images, or with a channels-last weight, is channels-last.
Strides conv_result(const Call& call, const Spec& result, int) {
  return image_strides(result.shape.size() == 4 && (channels_last(call.in[0]) || channels_last(call.in[1])),
                       result.shape);
}

}  // namespace

void add_cpu_entries() {
  static constexpr BackendEntry kEntries[] = {
      {"matmul", matmul_kernel},
      {"linear", linear_kernel},
      {"conv2d", conv2d_kernel, OutLayout::Contiguous, conv_result},
      {"conv2d_input_grad", conv2d_input_grad_kernel, OutLayout::Contiguous, conv_result},
      {"conv2d_weight_grad", conv2d_weight_grad_kernel},
      {"channel_sums", channel_sums_kernel},
      {"cumsum", cumsum_kernel, OutLayout::LikeInput},
      {"cumsum_reverse", cumsum_reverse_kernel, OutLayout::LikeInput},
      {"window_place", window_place_kernel},
      {"window_give", window_give_kernel},
      {"window_max_backward", window_max_backward_kernel},
      {"window_share", window_share_kernel},
      {"attention", attention_kernel},
      {"attention_backward", attention_backward_kernel},
      {"update", run_updates, OutLayout::LikeInput, nullptr, /*many=*/true},
  };
  add_backend_entries(kEntries);
}

}  // namespace cpu

void use_deterministic_algorithms(bool on) { detail::g_deterministic.store(on); }
bool are_deterministic_algorithms_enabled() { return detail::deterministic(); }

WarmUp::WarmUp() { cpu::onednn_prepare(); }
WarmUp::~WarmUp() { cpu::onednn_prepared(); }

std::vector<BackendInfo> backends() {
  const codegen::PackTable* pack = codegen::active_pack();
  std::vector<BackendInfo> out{{"cpu kernels", pack == nullptr ? "none" : pack->isa}};
  const std::string library = cpu::onednn_version();
  out.push_back({"oneDNN", cpu::onednn_present() ? library
                           : library.empty()     ? "not in this build"
                                                 : library + ", turned off by THIXO_ONEDNN"});
  return out;
}

}  // namespace thixo
