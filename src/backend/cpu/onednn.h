// Every call of oneDNN stands behind this header: 3.x changed how its primitives are made.
//
// oneDNN's own threading changes bits with the number of threads (its 2.6 on AVX2: in 118 of 150 random products), and
// its threads would fight with ours for the cores, so each call runs on the calling thread alone, on a tile or chunk
// that the caller cut by the problem's size.
#pragma once

#include <cstddef>
#include <memory>

#include "backend/cpu/gemm.h"

namespace thixo::cpu {

/// Built with oneDNN, and not turned off (THIXO_ONEDNN).
bool onednn_present();
/// ... and with AVX-512 (what DNNL_MAX_CPU_ISA leaves of it).
bool onednn_avx512();
/// ... and bf16 products faster than f32.
bool onednn_bf16();
/// For `thixo doctor`: "2.6.0, avx2"; empty without oneDNN.
const char* onednn_version();

/// Whether the strides of g are what a library call takes: consecutive rows or columns of A and B, columns of C, bias.
bool onednn_takes(const Gemm& g);
/// f32 product on this thread, without a set-up cost (a primitive, which takes a millisecond to make, is no faster).
void onednn_sgemm(const Gemm& g);
/// WarmUp: the first onednn_sgemm() then finds the kernels written. The same kernels, so the same bits.
void onednn_prepare();
void onednn_prepared();
/// bf16 product on this thread, by a primitive that is kept by shape.
void onednn_matmul(const Gemm& g);

enum class ConvPass : uint8_t { Forward, InputGrad, WeightGrad };

/// A convolution of images in any strides (elements; n, c, h, w). Direct algorithms only: Winograd has another error.
struct ConvShape {
  ConvPass pass;
  DType dtype;  // F32 or BF16
  bool bias;
  int64_t n, groups, c, h, w, o, oh, ow, kh, kw;
  int64_t stride[2], pad[2], dilation[2];
  int64_t x_strides[4], y_strides[4], w_strides[4];
};

/// How oneDNN computes one ConvShape: made once, kept by shape, run by any number of threads at a time.
class ConvPlan {
 public:
  static std::shared_ptr<const ConvPlan> of(const ConvShape& shape);
  virtual ~ConvPlan() = default;

  /// Weights in the layout that oneDNN chose: shared by all chunks. Of WeightGrad: a partial sum, in f32.
  virtual size_t weight_bytes() const = 0;
  virtual size_t scratch_bytes() const = 0;  ///< working memory of one run, aligned to 64
  virtual void pack_weight(const void* weight, void* packed) const = 0;
  virtual void unpack_weight(const void* packed, void* weight) const = 0;

  /// Forward: input, packed weight, bias -> result. InputGrad: result's gradient, packed weight -> input's gradient.
  virtual void run(const void* from, const void* packed, const void* bias, void* to, void* scratch) const = 0;
  /// WeightGrad: input and result's gradient -> a packed partial sum.
  virtual void run_weight(const void* x, const void* g, void* packed, void* scratch) const = 0;
};

}  // namespace thixo::cpu
