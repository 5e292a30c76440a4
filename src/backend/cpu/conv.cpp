// The kernels of conv2d and its two gradients: from tensors to numbers, and the choice of engine.
#include "backend/cpu/conv.h"

#include <algorithm>

#include "backend/cpu/gemm.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"
#include "core/record.h"
#include "ops/conv/conv.h"

namespace thixo::cpu {
namespace {

/// Strides of an image tensor as n, c, h, w.
void image_strides(const TensorRecord& t, int64_t* to) {
  const size_t missing = 4 - t.strides.size();
  to[0] = 0;
  for (size_t d = missing; d < 4; ++d) to[d] = t.strides[d - missing];
}

Conv numbers(const Call& call, const ops::Conv2d& v, const TensorRecord& x, const TensorRecord& y) {
  Conv c{call.dtype(0), v.n, v.c, v.h, v.w, v.o, v.oh, v.ow, v.kh, v.kw, v.groups, {}, {}, {}, {}, {}, {}};
  const int64_t sizes[2] = {c.h, c.w}, taps[2] = {c.kh, c.kw};
  for (int i = 0; i < 2; ++i) {
    c.pad[i] = v.pad[i];
    // A step that is never made may be any number; the engines reckon with it.
    c.stride[i] = std::min(v.stride[i].value(), std::max<int64_t>(1, sizes[i] + 2 * c.pad[i]));
    c.dilation[i] = taps[i] == 1 ? 1 : v.dilation[i].value();
  }
  image_strides(x, c.x_strides);
  image_strides(y, c.y_strides);
  return c;
}

}  // namespace

void add_in_tree(DType type, void* arrays, int64_t count, int64_t n) {
  const int64_t piece = 4096;
  parallel_for(ceil_div(n, piece), [&](int64_t begin, int64_t end) {
    auto add = [&](auto* data) {
      for (int64_t step = 1; step < count; step *= 2) {
        for (int64_t i = 0; i + step < count; i += 2 * step) {
          for (int64_t e = begin * piece; e < std::min(n, end * piece); ++e)
            data[i * n + e] += data[(i + step) * n + e];
        }
      }
    };
    switch (type) {
      case DType::F64: return add(static_cast<double*>(arrays));
      case DType::F32: return add(static_cast<float*>(arrays));
      case DType::I32: return add(static_cast<uint32_t*>(arrays));
      default: return add(static_cast<uint64_t*>(arrays));
    }
  });
}

namespace {

void run_conv2d(const Call& call, const Tensor& out) {
  const TensorRecord &x = *call.in[0].record(), &w = *call.in[1].record(), &y = *out.record();
  Conv v = numbers(call, ops::conv2d_of(call), x, y);
  for (size_t d = 0; d < 4; ++d) v.w_strides[d] = w.strides[d];
  const TensorRecord* bias = call.has(2) ? call.in[2].record() : nullptr;
  const bool plain_bias = bias == nullptr || bias->strides[0] == 1 || v.o == 1;
  if (library_takes(v) && plain_bias) {
    library_forward(v, x.data(), w.data(), bias == nullptr ? nullptr : bias->data(), y.data());
  } else {
    patches_forward(v, x.data(), w.data(), bias == nullptr ? nullptr : bias->data(),
                    bias == nullptr ? 0 : bias->strides[0].value(), y.data());
  }
}

void run_conv2d_input_grad(const Call& call, const Tensor& out) {
  const TensorRecord &g = *call.in[0].record(), &w = *call.in[1].record(), &dx = *out.record();
  Conv v = numbers(call, ops::conv2d_input_grad_of(call), dx, g);
  for (size_t d = 0; d < 4; ++d) v.w_strides[d] = w.strides[d];
  if (v.o == 0) return fill_zero(out);
  if (library_takes(v)) {
    library_input_grad(v, g.data(), w.data(), dx.data());
  } else {
    patches_input_grad(v, g.data(), w.data(), dx.data());
  }
}

void run_conv2d_weight_grad(const Call& call, const Tensor& out) {
  const TensorRecord &g = *call.in[0].record(), &x = *call.in[1].record(), &dw = *out.record();
  Conv v = numbers(call, ops::conv2d_weight_grad_of(call), x, g);
  const int64_t dense[4] = {v.taps(), v.kh * v.kw, v.kw, 1};  // of the sums
  std::copy_n(dense, 4, v.w_strides);
  if (v.n == 0) return fill_zero(out);
  const DType type = gemm_type(v.dtype);
  const int64_t taps = v.taps();
  const Array<char> sums(v.o * taps * static_cast<int64_t>(item_size(type)));
  if (library_takes(v)) {
    library_weight_grad(v, g.data(), x.data(), sums.get());
  } else {
    patches_weight_grad(v, g.data(), x.data(), sums.get());
  }
  const Array<int64_t> at(taps);
  for (int64_t i = 0; i < taps; ++i) {
    at[i] = i / (v.kh * v.kw) * dw.strides[1] + i / v.kw % v.kh * dw.strides[2] + i % v.kw * dw.strides[3];
  }
  store_block(v.dtype, sums.get(), taps, v.o, taps, dw.data(), dw.strides[0], at.get());
}

}  // namespace

void conv2d_kernel(const Call& call, std::span<const Tensor> out) { without_alias(call, out[0], run_conv2d); }
void conv2d_input_grad_kernel(const Call& call, std::span<const Tensor> out) {
  without_alias(call, out[0], run_conv2d_input_grad);
}
void conv2d_weight_grad_kernel(const Call& call, std::span<const Tensor> out) {
  without_alias(call, out[0], run_conv2d_weight_grad);
}

}  // namespace thixo::cpu
