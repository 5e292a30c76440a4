// Convolutions as numbers: what the two ways to compute them (oneDNN and the generated tiles) are given.
#pragma once

#include <cstdint>

#include "thixo/dtype.h"

namespace thixo::cpu {

/// x [n, c, h, w], y [n, o, oh, ow], weight [o, c / groups, kh, kw], each in its own strides (elements).
struct Conv {
  DType dtype = DType::F32;
  int64_t n, c, h, w, o, oh, ow, kh, kw, groups;
  int64_t stride[2], pad[2], dilation[2];
  int64_t x_strides[4], y_strides[4], w_strides[4];
  int64_t c_per() const { return c / groups; }
  int64_t o_per() const { return o / groups; }
  int64_t taps() const { return c_per() * kh * kw; }
  /// Products of one image.
  int64_t image_work() const { return o * oh * ow * taps(); }
};

/// Elements of the library's layouts go in and out; partial sums are cut by the problem's size alone.
bool library_takes(const Conv& v);
void library_forward(const Conv& v, const void* x, const void* w, const void* bias, void* y);
void library_input_grad(const Conv& v, const void* g, const void* w, void* dx);
/// dw is dense, of gemm_type(v.dtype).
void library_weight_grad(const Conv& v, const void* g, const void* x, void* dw);

/// By the pack's register tiles over patches of padded images ("implicit gemm").
void patches_forward(const Conv& v, const void* x, const void* w, const void* bias, int64_t bias_stride, void* y);
void patches_input_grad(const Conv& v, const void* g, const void* w, void* dx);
void patches_weight_grad(const Conv& v, const void* g, const void* x, void* dw);

/// Adds `count` arrays of n elements in a fixed tree; the sum is in the first.
void add_in_tree(DType type, void* arrays, int64_t count, int64_t n);

}  // namespace thixo::cpu
