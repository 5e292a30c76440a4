// For convolutions as products of matrices that are never written out ("implicit gemm"): images are copied once into
// planes with a border of zeros, in which every tap of every patch is a fixed step from the patch's place. So element
// (tap, pixel) of the patch matrix is plane[taps[tap] + pixels[pixel]], and packing reads it there.
//
// Columns of a plane stand sorted by their remainder modulo the stride: neighbouring pixels are then neighbours in
// memory for each tap, also with strides.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "backend/cpu/conv.h"
#include "backend/cpu/panels.h"
#include "backend/cpu/scratch.h"
#include "base/half.h"
#include "base/parallel.h"
#include "thixo/error.h"

namespace thixo::cpu {

inline constexpr int64_t kPlaneBytes = int64_t{16} << 20;  // of padded images at a time
inline constexpr int64_t kSlack = 64;                      // elements that may be read past the last plane

/// Images with a border, one after the other: [image][channel][row][remainder][column / stride].
class Planes {
 public:
  /// Image row r stands at plane row r + top, likewise columns; rows x columns of them in all.
  Planes(DType dtype, int64_t channels, int64_t rows, int64_t columns, int64_t top, int64_t left, int64_t column_stride)
      : dtype_(dtype),
        type_(gemm_type(dtype)),
        channels_(channels),
        rows_(rows),
        top_(top),
        left_(left),
        step_(column_stride),
        width_(ceil_div(columns, column_stride)) {
    int64_t size = 0;
    if (__builtin_mul_overflow(step_, width_, &size) || __builtin_mul_overflow(size, rows, &size) ||
        __builtin_mul_overflow(size, channels, &size) || size > INT64_MAX / 64) {
      throw NotImplementedError("conv2d: the images with their border are larger than any memory")
          .got(std::to_string(channels) + " channels of " + std::to_string(rows) + " x " + std::to_string(columns));
    }
  }

  int64_t row_size() const { return step_ * width_; }
  int64_t plane_size() const { return rows_ * row_size(); }
  int64_t image_size() const { return channels_ * plane_size(); }
  int64_t column(int64_t x) const { return x % step_ * width_ + x / step_; }
  int64_t images_at_a_time(int64_t n) const {
    return std::clamp<int64_t>(
        kPlaneBytes / std::max<int64_t>(1, image_size() * static_cast<int64_t>(item_size(type_))), 1,
        std::max<int64_t>(1, n));
  }
  void allocate(int64_t images) {
    memory_ = std::make_unique<Array<char>>((images * image_size() + kSlack) * static_cast<int64_t>(item_size(type_)));
  }
  const char* image(int64_t i) const {
    return memory_->get() + i * image_size() * static_cast<int64_t>(item_size(type_));
  }

  /// Copies image `images[k]` of h x w pixels to place k.
  void fill(const void* data, const int64_t* strides, const int64_t* images, int64_t count, int64_t h, int64_t w) {
    parallel_for(count * channels_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = images[i / channels_] * strides[0] + i % channels_ * strides[1];
        switch (dtype_) {
          case DType::F64:
            fill_plane<double>(static_cast<const double*>(data) + at, strides, h, w, i, [](double v) { return v; });
            break;
          case DType::F32:
            fill_plane<float>(static_cast<const float*>(data) + at, strides, h, w, i, [](float v) { return v; });
            break;
          case DType::F16:
            fill_plane<float>(static_cast<const uint16_t*>(data) + at, strides, h, w, i, f16_to_f32);
            break;
          default: fill_plane<float>(static_cast<const uint16_t*>(data) + at, strides, h, w, i, bf16_to_f32);
        }
      }
    });
  }

 private:
  template <class D, class S, class F>
  void fill_plane(const S* from, const int64_t* strides, int64_t h, int64_t w, int64_t plane, F convert) {
    D* to = reinterpret_cast<D*>(memory_->get()) + plane * plane_size();
    std::fill_n(to, plane_size(), D(0));
    for (int64_t y = 0; y < std::min(h, rows_ - top_); ++y) {
      const S* row = from + y * strides[2];
      D* out = to + (y + top_) * row_size();
      const int64_t fits = std::min(w, row_size() - left_);
      if (step_ == 1) {
        for (int64_t x = 0; x < fits; ++x) out[x + left_] = convert(row[x * strides[3]]);
      } else {
        for (int64_t x = 0; x < fits; ++x) out[column(x + left_)] = convert(row[x * strides[3]]);
      }
    }
  }

  DType dtype_, type_;
  int64_t channels_, rows_, top_, left_, step_, width_;
  std::unique_ptr<Array<char>> memory_;
};

/// The planes and tables of a convolution's input: patch (y, x) starts at pixel_at, its taps are tap_at from there.
struct InputPlanes {
  Planes planes;
  explicit InputPlanes(const Conv& v)
      : planes(v.dtype, v.c, (v.oh - 1) * v.stride[0] + (v.kh - 1) * v.dilation[0] + 1,
               (v.ow - 1) * v.stride[1] + (v.kw - 1) * v.dilation[1] + 1, v.pad[0], v.pad[1], v.stride[1]) {}
  std::vector<int64_t> pixels(const Conv& v) const {
    std::vector<int64_t> at;
    for (int64_t y = 0; y < v.oh; ++y) {
      for (int64_t x = 0; x < v.ow; ++x) at.push_back(y * v.stride[0] * planes.row_size() + x);
    }
    return at;
  }
  std::vector<int64_t> taps(const Conv& v) const {
    std::vector<int64_t> at;
    for (int64_t c = 0; c < v.c_per(); ++c) {
      for (int64_t i = 0; i < v.kh; ++i) {
        for (int64_t j = 0; j < v.kw; ++j)
          at.push_back(c * planes.plane_size() + i * v.dilation[0] * planes.row_size() +
                       planes.column(j * v.dilation[1]));
      }
    }
    return at;
  }
};

}  // namespace thixo::cpu
