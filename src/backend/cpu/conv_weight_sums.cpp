// The gradient of a convolution's weight: results' gradients times patches (planes.h), summed over chunks of images
// whose sums are added in a fixed tree.
#include <cstring>

#include "backend/cpu/gemm.h"
#include "backend/cpu/planes.h"

namespace thixo::cpu {
namespace {

/// Partial sums [chunk][o][taps]: g's pixels times the patches' of the images of each chunk, one image at a time.
class WeightSums {
 public:
  explicit WeightSums(const Conv& v)
      : v_(v),
        in_(v),
        type_(gemm_type(v.dtype)),
        tile_(register_tile(type_)),
        item_(static_cast<int64_t>(item_size(type_))),
        chunk_(ceil_div(v.n, 8)),
        chunks_(ceil_div(v.n, chunk_)),
        pixels_(in_.pixels(v)),
        taps_(in_.taps(v)) {
    for (int64_t i = 0; i < v.oh * v.ow; ++i)
      g_pixels_.push_back(i / v.ow * v.y_strides[2] + i % v.ow * v.y_strides[3]);
    for (int64_t o = 0; o < v.o_per(); ++o) g_rows_.push_back(o * v.y_strides[1]);
    rows_ = std::min(round_up(v.o_per(), tile_.mr), round_up(192, tile_.mr));
    columns_ = std::min<int64_t>(round_up(v.taps(), tile_.nr), 192);
    down_ = ceil_div(v.o_per(), rows_);
    across_ = ceil_div(v.taps(), columns_);
    in_.planes.allocate(chunks_);
  }

  void run(const void* g, const void* x, char* sums) {
    for (int64_t round = 0; round < chunk_; ++round) {  // one image of every chunk
      std::vector<int64_t> images;
      for (int64_t c = 0; c < chunks_; ++c) {
        if (c * chunk_ + round < std::min(v_.n, (c + 1) * chunk_)) images.push_back(c * chunk_ + round);
      }
      in_.planes.fill(x, v_.x_strides, images.data(), static_cast<int64_t>(images.size()), v_.h, v_.w);
      const int64_t per_image = v_.groups * down_ * across_;
      parallel_for(static_cast<int64_t>(images.size()) * per_image, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t image = i / per_image, rest = i % per_image;
          char* to = sums + image * v_.o * v_.taps() * item_;
          tile(static_cast<const char*>(g) +
                   images[static_cast<size_t>(image)] * v_.y_strides[0] * static_cast<int64_t>(item_size(v_.dtype)),
               in_.planes.image(image), rest / (down_ * across_), rest % (down_ * across_), round > 0, to);
        }
      });
    }
  }
  int64_t chunks() const { return chunks_; }

 private:
  void tile(const char* g, const char* planes, int64_t group, int64_t index, bool add, char* to) const {
    const int64_t row = index / across_ * rows_, column = index % across_ * columns_, taps = v_.taps(),
                  depth_all = v_.oh * v_.ow;
    const int64_t rows = std::min(rows_, v_.o_per() - row), columns = std::min(columns_, taps - column),
                  block = gemm_block(type_);
    const Array<char> a(block * round_up(rows, tile_.mr) * item_), b(block * round_up(columns, tile_.nr) * item_);
    g += group * v_.o_per() * v_.y_strides[1] * static_cast<int64_t>(item_size(v_.dtype));
    planes += group * v_.c_per() * in_.planes.plane_size() * item_;
    to += ((group * v_.o_per() + row) * taps + column) * item_;
    for (int64_t k = 0; k < depth_all; k += block, add = true) {
      const int64_t depth = std::min(block, depth_all - k);
      pack_panels({g, v_.dtype, g_rows_.data() + row, rows, g_pixels_.data() + k, depth, tile_.mr}, a.get());
      pack_panels({planes, type_, taps_.data() + column, columns, pixels_.data() + k, depth, tile_.nr}, b.get());
      multiply_panels(type_, a.get(), b.get(), rows, columns, depth, add, to, taps);
    }
  }

  const Conv& v_;
  InputPlanes in_;
  DType type_;
  const RegisterTile& tile_;
  int64_t item_, chunk_, chunks_, rows_ = 0, columns_ = 0, down_ = 0, across_ = 0;
  std::vector<int64_t> pixels_, taps_, g_pixels_, g_rows_;
};

}  // namespace

void patches_weight_grad(const Conv& v, const void* g, const void* x, void* dw) {
  WeightSums sums(v);
  const DType type = gemm_type(v.dtype);
  const int64_t elements = v.o * v.taps(), bytes = elements * static_cast<int64_t>(item_size(type));
  if (sums.chunks() == 1) return sums.run(g, x, static_cast<char*>(dw));
  const Array<char> parts(sums.chunks() * bytes);
  sums.run(g, x, parts.get());
  add_in_tree(type, parts.get(), sums.chunks(), elements);
  std::memcpy(dw, parts.get(), static_cast<size_t>(bytes));
}

}  // namespace thixo::cpu
