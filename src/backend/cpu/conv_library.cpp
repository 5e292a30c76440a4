// Convolutions by oneDNN, one chunk of images (and, for few images, one piece of the channels) a call, each call on
// one thread. Chunks and pieces follow from the problem's size, so the bits do not depend on the threads.
#include <algorithm>
#include <array>

#include "backend/cpu/conv.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/scratch.h"
#include "base/deterministic.h"
#include "base/parallel.h"
#include "thixo/small_vec.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kChunkWork = int64_t{1} << 21;  // products that a call should at least do
constexpr int64_t kEnoughTiles = 8;

/// n in equal parts but for the last.
struct Cut {
  int64_t n, size, count;
  Cut(int64_t total, int64_t part) : n(total), size(part), count(ceil_div(total, part)) {}
  int64_t begin(int64_t i) const { return i * size; }
  int64_t length(int64_t i) const { return std::min(size, n - i * size); }
};

Cut cut_images(const Conv& v) {
  return Cut(v.n, std::clamp<int64_t>(ceil_div(kChunkWork, std::max<int64_t>(1, v.image_work())), 1, v.n));
}

/// Pieces of `channels`, a multiple of a vector each, when the images alone do not make enough tiles.
Cut cut_channels(const Conv& v, int64_t channels, const Cut& images) {
  const int64_t image_work = v.image_work() * images.size;
  int64_t pieces = std::min(ceil_div(kEnoughTiles, images.count), image_work / (4 * kChunkWork));
  pieces = v.groups > 1 ? 1 : std::clamp<int64_t>(pieces, 1, std::max<int64_t>(1, channels / 32));
  return Cut(channels, std::min(channels, round_up(ceil_div(channels, pieces), 16)));
}

ConvShape shape_of(const Conv& v, ConvPass pass, bool bias) {
  ConvShape s{pass, v.dtype, bias, v.n, v.groups, v.c, v.h, v.w, v.o, v.oh, v.ow, v.kh, v.kw, {}, {}, {}, {}, {}, {}};
  std::copy_n(v.stride, 2, s.stride);
  std::copy_n(v.pad, 2, s.pad);
  std::copy_n(v.dilation, 2, s.dilation);
  std::copy_n(v.x_strides, 4, s.x_strides);
  std::copy_n(v.y_strides, 4, s.y_strides);
  std::copy_n(v.w_strides, 4, s.w_strides);
  if (v.x_strides[0] == 0) s.x_strides[0] = v.c * v.h * v.w;  // no batch dim: any stride does
  if (v.y_strides[0] == 0) s.y_strides[0] = v.o * v.oh * v.ow;
  return s;
}

/// One plan with its packed weights, for a number of images and of channels.
struct Part {
  std::shared_ptr<const ConvPlan> plan;
  std::unique_ptr<Array<char>> weight;
  int64_t images, channel;
};

class Parts {
 public:
  /// Plans and packed weights for each (length of a chunk, piece of the channels).
  template <class MakeShape>
  Parts(const Cut& images, const Cut& channels, const void* w, int64_t channel_stride, size_t item, MakeShape make) {
    for (int64_t p = 0; p < channels.count; ++p) {
      for (int64_t length : {images.size, images.length(images.count - 1)}) {
        if (find(length, p) != nullptr) continue;
        Part part{ConvPlan::of(make(length, channels.length(p))), nullptr, length, p};
        part.weight = std::make_unique<Array<char>>(static_cast<int64_t>(part.plan->weight_bytes()));
        part.plan->pack_weight(
            static_cast<const char*>(w) + static_cast<size_t>(channels.begin(p) * channel_stride) * item,
            part.weight->get());
        scratch_ = std::max(scratch_, part.plan->scratch_bytes());
        parts_.push_back(std::move(part));
      }
    }
  }
  const Part* find(int64_t length, int64_t piece) const {
    for (const Part& p : parts_) {
      if (p.images == length && p.channel == piece) return &p;
    }
    return nullptr;
  }
  size_t scratch_bytes() const { return scratch_; }

 private:
  std::vector<Part> parts_;
  size_t scratch_ = 0;
};

}  // namespace

namespace {

/// Whether every index has a place of its own and one step along any dim leaves those inside it behind: no broadcast
/// and no overlapping windows, which are none of the library's layouts.
bool nested(const int64_t* strides, std::array<int64_t, 4> sizes) {
  SmallVec<std::pair<int64_t, int64_t>, 4> dims;  // stride and size
  for (size_t d = 0; d < 4; ++d) {
    if (sizes[d] > 1) dims.push_back({strides[d], sizes[d]});
  }
  std::sort(dims.begin(), dims.end());
  int64_t reach = 1;
  for (const auto& [stride, size] : dims) {
    if (stride < reach) return false;
    reach = stride * size;
  }
  return true;
}

}  // namespace

bool library_takes(const Conv& v) {
  if (!onednn_present() || detail::deterministic()) return false;
  if (v.dtype != DType::F32 && !(v.dtype == DType::BF16 && onednn_bf16())) return false;
  auto plain = [&](const int64_t* s, int64_t c, int64_t h, int64_t w) {
    return nested(s, {v.n, c, h, w}) && (s[3] == 1 || s[1] == 1 || w == 1);
  };
  for (int i = 0; i < 2; ++i) {  // numbers that its arithmetic may not hold
    if (std::max({v.stride[i], v.pad[i], v.dilation[i]}) > INT32_MAX) return false;
  }
  return v.n > 0 && v.c > 0 && v.o > 0 && v.kh > 0 && v.kw > 0 && plain(v.x_strides, v.c, v.h, v.w) &&
         plain(v.y_strides, v.o, v.oh, v.ow) && nested(v.w_strides, {v.o, v.c_per(), v.kh, v.kw});
}

void library_forward(const Conv& v, const void* x, const void* w, const void* bias, void* y) {
  const Cut images = cut_images(v), channels = cut_channels(v, v.o, images);
  const auto item = static_cast<int64_t>(item_size(v.dtype));
  const Parts parts(images, channels, w, v.w_strides[0], static_cast<size_t>(item), [&](int64_t n, int64_t o) {
    ConvShape s = shape_of(v, ConvPass::Forward, bias != nullptr);
    s.n = n;
    s.o = o;
    return s;
  });
  parallel_for(images.count * channels.count, [&](int64_t begin, int64_t end) {
    const Scratch scratch(parts.scratch_bytes());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / channels.count, piece = i % channels.count, o = channels.begin(piece);
      const Part& part = *parts.find(images.length(image), piece);
      part.plan->run(static_cast<const char*>(x) + images.begin(image) * v.x_strides[0] * item, part.weight->get(),
                     bias == nullptr ? nullptr : static_cast<const char*>(bias) + o * item,
                     static_cast<char*>(y) + (images.begin(image) * v.y_strides[0] + o * v.y_strides[1]) * item,
                     scratch.data());
    }
  });
}

void library_input_grad(const Conv& v, const void* g, const void* w, void* dx) {
  const Cut images = cut_images(v), channels = cut_channels(v, v.c, images);
  const auto item = static_cast<int64_t>(item_size(v.dtype));
  const Parts parts(images, channels, w, v.w_strides[1], static_cast<size_t>(item), [&](int64_t n, int64_t c) {
    ConvShape s = shape_of(v, ConvPass::InputGrad, false);
    s.n = n;
    s.c = c;
    return s;
  });
  parallel_for(images.count * channels.count, [&](int64_t begin, int64_t end) {
    const Scratch scratch(parts.scratch_bytes());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / channels.count, piece = i % channels.count;
      const Part& part = *parts.find(images.length(image), piece);
      part.plan->run(static_cast<const char*>(g) + images.begin(image) * v.y_strides[0] * item, part.weight->get(),
                     nullptr,
                     static_cast<char*>(dx) +
                         (images.begin(image) * v.x_strides[0] + channels.begin(piece) * v.x_strides[1]) * item,
                     scratch.data());
    }
  });
}

void library_weight_grad(const Conv& v, const void* g, const void* x, void* dw) {
  // At most sixteen chunks: each has a partial sum of its own, and these are added in a fixed tree.
  Cut images = cut_images(v);
  images = Cut(v.n, std::max(images.size, ceil_div(v.n, 16)));
  const Cut channels = cut_channels(v, v.o, images);
  const int64_t item = static_cast<int64_t>(item_size(v.dtype)), elements = v.o * v.taps();
  const ConvShape shape = shape_of(v, ConvPass::WeightGrad, false);
  auto plan = [&](int64_t n, int64_t o) {
    ConvShape s = shape;
    s.n = n;
    s.o = o;
    return ConvPlan::of(s);
  };
  const Array<float> sums(images.count > 1 ? images.count * elements : 0);
  float* to = images.count > 1 ? sums.get() : static_cast<float*>(dw);
  parallel_for(images.count * channels.count, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / channels.count, piece = i % channels.count, o = channels.begin(piece);
      const std::shared_ptr<const ConvPlan> p = plan(images.length(image), channels.length(piece));
      const Scratch scratch(p->scratch_bytes()), packed(p->weight_bytes());
      p->run_weight(static_cast<const char*>(x) + images.begin(image) * v.x_strides[0] * item,
                    static_cast<const char*>(g) + (images.begin(image) * v.y_strides[0] + o * v.y_strides[1]) * item,
                    packed.data(), scratch.data());
      p->unpack_weight(packed.data(), to + image * elements + o * v.taps());
    }
  });
  if (images.count == 1) return;
  add_in_tree(DType::F32, sums.get(), images.count, elements);
  std::copy_n(sums.get(), elements, static_cast<float*>(dw));
}

}  // namespace thixo::cpu
