// Convolutions by oneDNN. Its fast code wants channels in blocks of a vector, so images are reordered into its layout
// and back chunk by chunk, in the cache: measured faster than its code for plain layouts.
#ifdef THIXO_WITH_ONEDNN

#include <cstring>

#include "backend/cpu/lru_cache.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/onednn_internal.h"

namespace thixo::cpu {
namespace {

using dnnl::memory;

/// A tensor as the caller has it and as the primitive wants it, and the way between.
struct Side {
  memory::desc plain, inner;
  dnnl::reorder in, out;
  bool same = true;

  void set(const memory::desc& p, const memory::desc& i) {
    plain = p;
    inner = i;
    same = p == i;
    if (same) return;
    const dnnl::engine& e = onednn_engine();
    in = dnnl::reorder(dnnl::reorder::primitive_desc(e, plain, e, inner));
    out = dnnl::reorder(dnnl::reorder::primitive_desc(e, inner, e, plain));
  }
  size_t bytes() const { return same ? 0 : (inner.get_size() + 63) / 64 * 64; }
};

memory at(const memory::desc& d, const void* p) { return memory(d, onednn_engine(), const_cast<void*>(p)); }

void reorder(const dnnl::reorder& how, memory from, memory to) { how.execute(onednn_stream(), from, to); }

class Plan final : public ConvPlan {
 public:
  explicit Plan(const ConvShape& s);
  size_t weight_bytes() const override { return weight_.inner.get_size(); }
  size_t scratch_bytes() const override { return x_.bytes() + y_.bytes() + pad_.get_size() + 64; }
  void pack_weight(const void* weight, void* packed) const override {
    move(weight_, weight_.in, weight_.plain, weight, weight_.inner, packed);
  }
  void unpack_weight(const void* packed, void* weight) const override {
    move(weight_, weight_.out, weight_.inner, packed, weight_.plain, weight);
  }

  void run(const void* from, const void* packed, const void* bias, void* to, void* scratch) const override {
    const OneThread one;
    const bool forward = pass_ == ConvPass::Forward;
    const Side &a = forward ? x_ : y_, &b = forward ? y_ : x_;
    char* room = static_cast<char*>(scratch);
    dnnl::stream& s = onednn_stream();
    memory source = at(a.inner, a.same ? from : room);
    room += a.bytes();
    memory result = at(b.inner, b.same ? to : room);
    room += b.bytes();
    if (!a.same) reorder(a.in, at(a.plain, from), source);
    std::unordered_map<int, memory> args{{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, source},
                                         {DNNL_ARG_WEIGHTS, at(weight_.inner, packed)},
                                         {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, result},
                                         {DNNL_ARG_SCRATCHPAD, at(pad_, room)}};
    if (bias != nullptr) args.emplace(DNNL_ARG_BIAS, at(bias_, bias));
    primitive_.execute(s, args);
    if (!b.same) reorder(b.out, result, at(b.plain, to));
  }

  void run_weight(const void* x, const void* g, void* packed, void* scratch) const override {
    const OneThread one;
    char* room = static_cast<char*>(scratch);
    dnnl::stream& s = onednn_stream();
    memory source = at(x_.inner, x_.same ? x : room), grad = at(y_.inner, y_.same ? g : room + x_.bytes());
    if (!x_.same) reorder(x_.in, at(x_.plain, x), source);
    if (!y_.same) reorder(y_.in, at(y_.plain, g), grad);
    primitive_.execute(s, {{DNNL_ARG_SRC, source},
                           {DNNL_ARG_DIFF_DST, grad},
                           {DNNL_ARG_DIFF_WEIGHTS, at(weight_.inner, packed)},
                           {DNNL_ARG_SCRATCHPAD, at(pad_, room + x_.bytes() + y_.bytes())}});
  }

 private:
  static void move(const Side& side, const dnnl::reorder& how, const memory::desc& from_desc, const void* from,
                   const memory::desc& to_desc, void* to) {
    const OneThread one;
    if (side.same) {
      std::memcpy(to, from, from_desc.get_size());
    } else {
      reorder(how, at(from_desc, from), at(to_desc, to));
    }
  }

  ConvPass pass_;
  Side x_, y_, weight_;
  memory::desc bias_, pad_;
  dnnl::primitive primitive_;
};

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
  } else if (s.pass == ConvPass::InputGrad) {
    const dnnl::convolution_backward_data::primitive_desc pd({direct, xa, wa, ya, stride, dilation, pad, pad}, attr, e,
                                                             forward);
    x_.set(x_plain, pd.diff_src_desc());
    y_.set(y_plain, pd.diff_dst_desc());
    weight_.set(w_plain, pd.weights_desc());
    pad_ = pd.scratchpad_desc();
    primitive_ = dnnl::convolution_backward_data(pd);
  } else {
    const dnnl::convolution_backward_weights::primitive_desc pd({direct, xa, wa, ya, stride, dilation, pad, pad}, attr,
                                                                e, forward);
    x_.set(x_plain, pd.src_desc());
    y_.set(y_plain, pd.diff_dst_desc());
    weight_.set(w_plain, pd.diff_weights_desc());
    pad_ = pd.scratchpad_desc();
    primitive_ = dnnl::convolution_backward_weights(pd);
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
    return std::make_shared<Plan>(s);
  });
}

}  // namespace thixo::cpu

#endif
