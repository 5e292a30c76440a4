// Convolutions by oneDNN. Its fast code wants channels innermost, so images are brought into its layout and back chunk
// by chunk, in the cache: measured faster than its code for planes. Both ways are transposes, which take less time than
// its own reorder.
#ifdef THIXO_WITH_ONEDNN

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "backend/cpu/lru_cache.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/onednn_internal.h"
#include "base/signals.h"
#include "base/transpose.h"

namespace thixo::cpu {
namespace {

using dnnl::memory;

memory at(const memory::desc& d, const void* p) { return memory(d, onednn_engine(), const_cast<void*>(p)); }

constexpr int64_t kChannels = 16, kPixels = 128;  // of a tile: both sides lie in the first cache

/// Images of planes (NCHW, each dense) and the same with channels innermost: all of them (NHWC) or by blocks (nChw16c).
struct Planes {
  size_t item;
  int64_t images, blocks, block, pixels;  // block: channels of one
  int64_t plane_image, inner_image;  // elements from an image to the next

  void to_inner(const char* planes, char* inner) const {
    each([&](int64_t plane, int64_t in, int64_t channels, int64_t here, int64_t more) {
      const char* from = planes + bytes(plane);
      detail::prefetch_tile(item, from + bytes(here), pixels, channels, more);
      detail::transpose_tile(item, from, pixels, inner + bytes(in), block, channels, here);
    });
  }
  void to_planes(const char* inner, char* planes) const {
    each([&](int64_t plane, int64_t in, int64_t channels, int64_t here, int64_t) {
      detail::transpose_tile(item, inner + bytes(in), block, planes + bytes(plane), pixels, here, channels);
    });
  }

 private:
  int64_t bytes(int64_t elements) const { return elements * static_cast<int64_t>(item); }
  template <class F> void each(F f) const {
    for (int64_t i = 0; i < images * blocks; ++i) {
      const int64_t first = i % blocks * block * pixels, plane = i / blocks * plane_image + first,
                    inner = i / blocks * inner_image + first;
      for (int64_t c = 0; c < block; c += kChannels) {
        for (int64_t p = 0; p < pixels; p += kPixels) {
          const int64_t here = std::min(kPixels, pixels - p);
          f(plane + c * pixels + p, inner + p * block + c, std::min(kChannels, block - c), here,
            std::min(kPixels, pixels - p - here));
        }
      }
    }
  }
};

std::optional<Planes> planes_of(const memory::desc& plain, const memory::desc& inner) {
  const dnnl_memory_desc_t &p = plain.data, &b = inner.data;
  if (p.ndims != 4 || p.format_kind != dnnl_blocked || b.format_kind != dnnl_blocked || p.data_type != b.data_type)
    return std::nullopt;
  const dnnl_blocking_desc_t &from = p.format_desc.blocking, &to = b.format_desc.blocking;
  const int64_t channels = p.dims[1], h = p.dims[2], w = p.dims[3];
  if (from.inner_nblks != 0 || from.strides[1] != h * w || from.strides[2] != w || from.strides[3] != 1)
    return std::nullopt;
  const bool blocked = to.inner_nblks == 1 && to.inner_idxs[0] == 1 && channels % to.inner_blks[0] == 0;
  if (!blocked && (to.inner_nblks != 0 || to.strides[1] != 1)) return std::nullopt;
  const int64_t block = blocked ? to.inner_blks[0] : channels;
  if ((blocked && to.strides[1] != h * w * block) || to.strides[2] != w * block || to.strides[3] != block)
    return std::nullopt;
  return Planes{memory::data_type_size(plain.data_type()),
                p.dims[0],
                channels / block,
                block,
                h * w,
                from.strides[0],
                to.strides[0]};
}

/// A tensor as the caller has it and as the primitive wants it, and the way between.
class Side {
 public:
  memory::desc plain, inner;
  bool same = true;

  void set(const memory::desc& p, const memory::desc& i) {
    plain = p;
    inner = i;
    same = p == i;
    if (same) return;
    planes_ = planes_of(p, i);
    const dnnl::engine& e = onednn_engine();
    in_ = dnnl::reorder(dnnl::reorder::primitive_desc(e, plain, e, inner));
    out_ = dnnl::reorder(dnnl::reorder::primitive_desc(e, inner, e, plain));
  }
  size_t bytes() const { return same ? 0 : (inner.get_size() + 63) / 64 * 64; }
  void enter(const void* from, void* to) const {
    if (same) {
      std::memcpy(to, from, plain.get_size());
    } else if (planes_) {
      planes_->to_inner(static_cast<const char*>(from), static_cast<char*>(to));
    } else {
      reorder(in_, at(plain, from), at(inner, to));
    }
  }
  void leave(const void* from, void* to) const {
    if (same) {
      std::memcpy(to, from, inner.get_size());
    } else if (planes_) {
      planes_->to_planes(static_cast<const char*>(from), static_cast<char*>(to));
    } else {
      reorder(out_, at(inner, from), at(plain, to));
    }
  }

 private:
  static void reorder(dnnl::reorder how, memory from, memory to) { how.execute(onednn_stream(), from, to); }
  dnnl::reorder in_, out_;
  std::optional<Planes> planes_;
};

class Plan final : public ConvPlan {
 public:
  explicit Plan(const ConvShape& s);
  size_t weight_bytes() const override { return weight_.inner.get_size(); }
  size_t scratch_bytes() const override { return x_.bytes() + y_.bytes() + pad_.get_size() + 64; }
  void pack_weight(const void* weight, void* packed) const override {
    const OneThread one;
    weight_.enter(weight, packed);
  }
  void unpack_weight(const void* packed, void* weight) const override {
    const OneThread one;
    weight_.leave(packed, weight);
  }

  void run(const void* from, const void* packed, const void* bias, void* to, void* scratch) const override {
    const OneThread one;
    std::optional<HoldSignals> hold;
    if (by_gemm_) hold.emplace();
    const bool forward = pass_ == ConvPass::Forward;
    const Side &a = forward ? x_ : y_, &b = forward ? y_ : x_;
    char* room = static_cast<char*>(scratch);
    dnnl::stream& s = onednn_stream();
    const void* source = a.same ? from : room;
    if (!a.same) a.enter(from, room);
    room += a.bytes();
    void* result = b.same ? to : room;
    room += b.bytes();
    std::unordered_map<int, memory> args{{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, at(a.inner, source)},
                                         {DNNL_ARG_WEIGHTS, at(weight_.inner, packed)},
                                         {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, at(b.inner, result)},
                                         {DNNL_ARG_SCRATCHPAD, at(pad_, room)}};
    if (bias != nullptr) args.emplace(DNNL_ARG_BIAS, at(bias_, bias));
    primitive_.execute(s, args);
    if (!b.same) b.leave(result, to);
  }

  void run_weight(const void* x, const void* g, void* packed, void* scratch) const override {
    const OneThread one;
    std::optional<HoldSignals> hold;
    if (by_gemm_) hold.emplace();
    char *x_room = static_cast<char*>(scratch), *g_room = x_room + x_.bytes();
    if (!x_.same) x_.enter(x, x_room);
    if (!y_.same) y_.enter(g, g_room);
    dnnl::stream& s = onednn_stream();
    primitive_.execute(s, {{DNNL_ARG_SRC, at(x_.inner, x_.same ? x : x_room)},
                           {DNNL_ARG_DIFF_DST, at(y_.inner, y_.same ? g : g_room)},
                           {DNNL_ARG_DIFF_WEIGHTS, at(weight_.inner, packed)},
                           {DNNL_ARG_SCRATCHPAD, at(pad_, g_room + y_.bytes())}});
  }

 private:
  ConvPass pass_;
  bool by_gemm_ = false;  // it has no direct code for this one and calls sgemm: see kOnStack
  Side x_, y_, weight_;
  memory::desc bias_, pad_;
  dnnl::primitive primitive_;
};

bool is_gemm(const dnnl::primitive_desc_base& pd) {
  return std::string_view(pd.impl_info_str()).find("gemm") != std::string_view::npos;
}

memory::dims to_dims(const int64_t* v, int n) { return memory::dims(v, v + n); }

Plan::Plan(const ConvShape& s) : pass_(s.pass) {
  const memory::data_type t = onednn_type(s.dtype), tw = s.pass == ConvPass::WeightGrad ? memory::data_type::f32 : t;
  const dnnl::engine& e = onednn_engine();
  const bool grouped = s.groups > 1;
  const int64_t per_o = s.o / s.groups, per_c = s.c / s.groups;
  const memory::dims x{s.n, s.c, s.h, s.w}, y{s.n, s.o, s.oh, s.ow};
  const memory::dims w =
      grouped ? memory::dims{s.groups, per_o, per_c, s.kh, s.kw} : memory::dims{s.o, s.c, s.kh, s.kw};
  memory::dims w_strides = to_dims(s.w_strides, 4);
  if (grouped) w_strides.insert(w_strides.begin(), s.w_strides[0] * per_o);
  const memory::dims stride = to_dims(s.stride, 2), pad = to_dims(s.pad, 2),
                     dilation{s.dilation[0] - 1, s.dilation[1] - 1};
  const memory::desc x_plain(x, t, to_dims(s.x_strides, 4)), y_plain(y, t, to_dims(s.y_strides, 4)),
      w_plain(w, tw, w_strides);
  auto any = [](const memory::dims& d, memory::data_type type) {
    return memory::desc(d, type, memory::format_tag::any);
  };
  const memory::desc xa = any(x, t), ya = any(y, t), wa = any(w, tw);
  if (s.bias) bias_ = memory::desc({s.o}, t, memory::format_tag::x);

  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto direct = dnnl::algorithm::convolution_direct;
  using Forward = dnnl::convolution_forward;
  const auto kind =
      s.pass == ConvPass::Forward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  const memory::desc w_hint = any(w, t);
  const Forward::primitive_desc forward(
      s.bias ? Forward::desc(kind, direct, xa, w_hint, bias_, ya, stride, dilation, pad, pad)
             : Forward::desc(kind, direct, xa, w_hint, ya, stride, dilation, pad, pad),
      attr, e);
  if (s.pass == ConvPass::Forward) {
    x_.set(x_plain, forward.src_desc());
    y_.set(y_plain, forward.dst_desc());
    weight_.set(w_plain, forward.weights_desc());
    pad_ = forward.scratchpad_desc();
    primitive_ = Forward(forward);
    by_gemm_ = is_gemm(forward);
  } else if (s.pass == ConvPass::InputGrad) {
    const dnnl::convolution_backward_data::primitive_desc pd({direct, xa, wa, ya, stride, dilation, pad, pad}, attr, e,
                                                             forward);
    x_.set(x_plain, pd.diff_src_desc());
    y_.set(y_plain, pd.diff_dst_desc());
    weight_.set(w_plain, pd.weights_desc());
    pad_ = pd.scratchpad_desc();
    primitive_ = dnnl::convolution_backward_data(pd);
    by_gemm_ = is_gemm(pd);
  } else {
    const dnnl::convolution_backward_weights::primitive_desc pd({direct, xa, wa, ya, stride, dilation, pad, pad}, attr,
                                                                e, forward);
    x_.set(x_plain, pd.src_desc());
    y_.set(y_plain, pd.diff_dst_desc());
    weight_.set(w_plain, pd.diff_weights_desc());
    pad_ = pd.scratchpad_desc();
    primitive_ = dnnl::convolution_backward_weights(pd);
    by_gemm_ = is_gemm(pd);
  }
}

}  // namespace

std::shared_ptr<const ConvPlan> ConvPlan::of(const ConvShape& s) {
  static LruCache<ConvPlan>& cache = *new LruCache<ConvPlan>(512);
  std::vector<int64_t> key{static_cast<int64_t>(s.pass),
                           static_cast<int64_t>(s.dtype),
                           s.bias ? 1 : 0,
                           s.n,
                           s.groups,
                           s.c,
                           s.h,
                           s.w,
                           s.o,
                           s.oh,
                           s.ow,
                           s.kh,
                           s.kw};
  for (const int64_t* pair : {s.stride, s.pad, s.dilation}) key.insert(key.end(), pair, pair + 2);
  for (const int64_t* four : {s.x_strides, s.y_strides, s.w_strides}) key.insert(key.end(), four, four + 4);
  return cache.get(key, [&]() -> std::shared_ptr<const ConvPlan> {
    const OneThread one;
    try {
      return std::make_shared<Plan>(s);
    } catch (const dnnl::error& e) {
      throw NotImplementedError("conv2d: oneDNN cannot do this convolution (" + std::string(e.what()) + ")")
          .got("x: " + shape_str({s.n, s.c, s.h, s.w}) + "   weight: " + shape_str({s.o, s.c / s.groups, s.kh, s.kw}) +
               "   stride: " + shape_str({s.stride[0], s.stride[1]}) + "   padding: " +
               shape_str({s.pad[0], s.pad[1]}) + "   dilation: " + shape_str({s.dilation[0], s.dilation[1]}))
          .need("sizes with the padding, strides and dilations that 32 bits hold");
    }
  });
}

}  // namespace thixo::cpu

#endif
