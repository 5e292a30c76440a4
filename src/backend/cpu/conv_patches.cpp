// Convolutions by the pack's register tiles: weights times patches (planes.h), forward and back to the input.
#include <algorithm>

#include "backend/cpu/gemm.h"
#include "backend/cpu/planes.h"

namespace thixo::cpu {
namespace {

/// weights [rows, taps] x patches [taps, pixels] for every image and group; the result is scattered to its places.
class PatchProduct {
 public:
  std::vector<int64_t> taps, pixels, out;  // places in a plane of the group's channels; places of results in a channel
  std::vector<int64_t> weight_taps;  // where the weight of a tap lies, from the start of its row

  void pack(DType dtype, const void* weight, int64_t groups, int64_t rows, int64_t group_stride, int64_t row_stride) {
    dtype_ = dtype;
    type_ = gemm_type(dtype);
    rows_ = rows;
    block_ = gemm_block(type_);
    tile_ = &register_tile(type_);
    item_ = static_cast<int64_t>(item_size(type_));
    depth_ = static_cast<int64_t>(taps.size());
    row_panels_ = ceil_div(rows, tile_->mr);
    direct_ = item_size(dtype) == item_size(type_);
    for (size_t i = 1; i < out.size() && direct_; ++i) direct_ = out[i] == out[0] + static_cast<int64_t>(i);
    weights_ = std::make_unique<Array<char>>(groups * row_panels_ * tile_->mr * depth_ * item_);
    std::vector<int64_t> row_at(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) row_at[static_cast<size_t>(r)] = r * row_stride;
    const int64_t blocks = ceil_div(depth_, block_);
    parallel_for(groups * blocks, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t group = i / blocks, k = i % blocks * block_, depth = std::min(block_, depth_ - k);
        const char* from =
            static_cast<const char*>(weight) + group * group_stride * static_cast<int64_t>(item_size(dtype));
        pack_panels({from, dtype, row_at.data(), rows, weight_taps.data() + k, depth, tile_->mr},
                    weight_block(group, k));
      }
    });
    // Tiles of a size that is worth a task; halved until there are enough of them.
    columns_ = std::min<int64_t>(round_up(static_cast<int64_t>(pixels.size()), tile_->nr), 128);
    tile_rows_ = std::min<int64_t>(round_up(rows, tile_->mr), round_up(512, tile_->mr));
  }

  int64_t tiles() const {
    return ceil_div(static_cast<int64_t>(pixels.size()), columns_) * ceil_div(rows_, tile_rows_);
  }
  void cut_for(int64_t images_and_groups) {
    while (tiles() * images_and_groups < 16 && tile_rows_ > 4 * tile_->mr)
      tile_rows_ = round_up(tile_rows_ / 2, tile_->mr);
    while (tiles() * images_and_groups < 16 && columns_ > 2 * tile_->nr) columns_ = round_up(columns_ / 2, tile_->nr);
  }

  /// Tile `index` of one image and group: `planes` of the group's channels, `to` the group's first result.
  void run(int64_t index, int64_t group, const char* planes, const void* bias, int64_t bias_stride, void* to,
           int64_t channel_stride) const {
    const int64_t across = ceil_div(static_cast<int64_t>(pixels.size()), columns_);
    const int64_t row = index / across * tile_rows_, first = index % across * columns_;
    const int64_t rows = std::min(tile_rows_, rows_ - row),
                  columns = std::min(columns_, static_cast<int64_t>(pixels.size()) - first);
    const Array<char> packed(std::min(block_, std::max<int64_t>(depth_, 1)) * round_up(columns, tile_->nr) * item_ +
                             kSlack * item_);
    const Array<char> own(direct_ ? 0 : rows * columns * item_);
    const int64_t result_item = static_cast<int64_t>(item_size(dtype_));
    char* place = static_cast<char*>(to) + row * channel_stride * result_item;
    char* c = direct_ ? place + out[static_cast<size_t>(first)] * result_item : own.get();
    const int64_t ldc = direct_ ? channel_stride : columns;
    bool add = bias != nullptr || depth_ == 0;
    if (add) start(c, ldc, rows, columns, bias, bias_stride, group * rows_ + row);
    for (int64_t k = 0; k < depth_; k += block_, add = true) {
      const int64_t depth = std::min(block_, depth_ - k);
      pack_panels({planes, type_, pixels.data() + first, columns, taps.data() + k, depth, tile_->nr, true},
                  packed.get());
      multiply_panels(type_, weight_block(group, k) + row * depth * item_, packed.get(), rows, columns, depth, add, c,
                      ldc);
    }
    if (!direct_) store_block(dtype_, c, ldc, rows, columns, place, channel_stride, out.data() + first);
  }

 private:
  char* weight_block(int64_t group, int64_t k) const {
    return weights_->get() + (group * depth_ + k) * row_panels_ * tile_->mr * item_;
  }
  void start(char* c, int64_t ldc, int64_t rows, int64_t columns, const void* bias, int64_t bias_stride,
             int64_t channel) const {
    for (int64_t r = 0; r < rows; ++r) {
      char* to = c + r * ldc * item_;
      const int64_t at = (channel + r) * bias_stride;
      if (type_ == DType::F64) {
        std::fill_n(reinterpret_cast<double*>(to), columns,
                    bias == nullptr ? 0.0 : static_cast<const double*>(bias)[at]);
        continue;
      }
      float v = 0;
      if (bias != nullptr) {
        v = dtype_ == DType::F32   ? static_cast<const float*>(bias)[at]
            : dtype_ == DType::F16 ? f16_to_f32(static_cast<const uint16_t*>(bias)[at])
                                   : bf16_to_f32(static_cast<const uint16_t*>(bias)[at]);
      }
      std::fill_n(reinterpret_cast<float*>(to), columns, v);
    }
  }

  DType dtype_ = DType::F32, type_ = DType::F32;
  const RegisterTile* tile_ = nullptr;
  int64_t rows_ = 0, depth_ = 0, block_ = 0, item_ = 0, row_panels_ = 0, columns_ = 0, tile_rows_ = 0;
  bool direct_ = true;
  std::unique_ptr<Array<char>> weights_;
};

std::vector<int64_t> one_to(int64_t begin, int64_t end) {
  std::vector<int64_t> v;
  for (int64_t i = begin; i < end; ++i) v.push_back(i);
  return v;
}

}  // namespace

void patches_forward(const Conv& v, const void* x, const void* w, const void* bias, int64_t bias_stride, void* y) {
  InputPlanes in(v);
  PatchProduct p;
  p.taps = in.taps(v);
  p.pixels = in.pixels(v);
  for (int64_t i = 0; i < v.oh * v.ow; ++i) p.out.push_back(i / v.ow * v.y_strides[2] + i % v.ow * v.y_strides[3]);
  for (int64_t c = 0; c < v.c_per(); ++c) {
    for (int64_t i = 0; i < v.kh * v.kw; ++i)
      p.weight_taps.push_back(c * v.w_strides[1] + i / v.kw * v.w_strides[2] + i % v.kw * v.w_strides[3]);
  }
  p.pack(v.dtype, w, v.groups, v.o_per(), v.o_per() * v.w_strides[0], v.w_strides[0]);
  p.cut_for(v.n * v.groups);
  const int64_t round = in.planes.images_at_a_time(v.n), item = static_cast<int64_t>(item_size(v.dtype)),
                type_item = static_cast<int64_t>(item_size(gemm_type(v.dtype)));
  in.planes.allocate(round);
  for (int64_t first = 0; first < v.n; first += round) {
    const int64_t images = std::min(round, v.n - first);
    in.planes.fill(x, v.x_strides, one_to(first, first + images).data(), images, v.h, v.w);
    parallel_for(images * v.groups * p.tiles(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t image = i / (v.groups * p.tiles()), group = i / p.tiles() % v.groups;
        char* to =
            static_cast<char*>(y) + ((first + image) * v.y_strides[0] + group * v.o_per() * v.y_strides[1]) * item;
        p.run(i % p.tiles(), group, in.planes.image(image) + group * v.c_per() * in.planes.plane_size() * type_item,
              bias, bias_stride, to, v.y_strides[1]);
      }
    });
  }
}

namespace {

/// Input rows (or columns) that share a remainder modulo the stride see the same taps, each one step apart: row i and
/// tap k meet output row u - v with i + pad = stride * u + remainder and k * dilation = stride * v + remainder.
struct Phase {
  std::vector<int64_t> at, place;  // u, and the input row
  std::vector<int64_t> step, tap;  // v, and the tap
  Phase(int64_t remainder, int64_t extent, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    for (int64_t i = 0; i < extent; ++i) {
      if ((i + pad) % stride != remainder) continue;
      at.push_back((i + pad) / stride);
      place.push_back(i);
    }
    for (int64_t k = 0; k < kernel; ++k) {
      if (k * dilation % stride != remainder) continue;
      step.push_back(k * dilation / stride);
      tap.push_back(k);
    }
  }
};

}  // namespace

void patches_input_grad(const Conv& v, const void* g, const void* w, void* dx) {
  const int64_t top = (v.kh - 1) * v.dilation[0] / v.stride[0], left = (v.kw - 1) * v.dilation[1] / v.stride[1];
  const int64_t rows = top + (v.h - 1 + v.pad[0]) / v.stride[0] + 1,
                columns = left + (v.w - 1 + v.pad[1]) / v.stride[1] + 1;
  Planes planes(v.dtype, v.o, rows, columns, top, left, 1);
  std::vector<std::unique_ptr<PatchProduct>> products;
  std::vector<int64_t> first_tile{0};
  for (int64_t a = 0; a < v.stride[0]; ++a) {
    const Phase down(a, v.h, v.kh, v.stride[0], v.pad[0], v.dilation[0]);
    for (int64_t b = 0; b < v.stride[1]; ++b) {
      const Phase across(b, v.w, v.kw, v.stride[1], v.pad[1], v.dilation[1]);
      if (down.at.empty() || across.at.empty()) continue;
      auto p = std::make_unique<PatchProduct>();
      for (size_t i = 0; i < down.at.size(); ++i) {
        for (size_t j = 0; j < across.at.size(); ++j) {
          p->pixels.push_back((down.at[i] + top) * planes.row_size() + across.at[j] + left);
          p->out.push_back(down.place[i] * v.x_strides[2] + across.place[j] * v.x_strides[3]);
        }
      }
      for (int64_t o = 0; o < v.o_per(); ++o) {
        for (size_t i = 0; i < down.tap.size(); ++i) {
          for (size_t j = 0; j < across.tap.size(); ++j) {
            p->taps.push_back(o * planes.plane_size() - down.step[i] * planes.row_size() - across.step[j]);
            p->weight_taps.push_back(o * v.w_strides[0] + down.tap[i] * v.w_strides[2] +
                                     across.tap[j] * v.w_strides[3]);
          }
        }
      }
      p->pack(v.dtype, w, v.groups, v.c_per(), v.o_per() * v.w_strides[0], v.w_strides[1]);
      p->cut_for(v.n * v.groups);
      first_tile.push_back(first_tile.back() + p->tiles());
      products.push_back(std::move(p));
    }
  }
  const int64_t tiles = first_tile.back(), round = planes.images_at_a_time(v.n);
  const int64_t item = static_cast<int64_t>(item_size(v.dtype)),
                type_item = static_cast<int64_t>(item_size(gemm_type(v.dtype)));
  planes.allocate(round);
  for (int64_t first = 0; first < v.n; first += round) {
    const int64_t images = std::min(round, v.n - first);
    planes.fill(g, v.y_strides, one_to(first, first + images).data(), images, v.oh, v.ow);
    parallel_for(images * v.groups * tiles, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t image = i / (v.groups * tiles), group = i / tiles % v.groups, tile = i % tiles;
        const size_t phase =
            static_cast<size_t>(std::upper_bound(first_tile.begin(), first_tile.end(), tile) - first_tile.begin()) - 1;
        char* to =
            static_cast<char*>(dx) + ((first + image) * v.x_strides[0] + group * v.c_per() * v.x_strides[1]) * item;
        products[phase]->run(tile - first_tile[phase], group,
                             planes.image(image) + group * v.o_per() * planes.plane_size() * type_item, nullptr, 0, to,
                             v.x_strides[1]);
      }
    });
  }
}

}  // namespace thixo::cpu
