// What stands behind the gradients of pooling. Planes of images are independent and go to threads whole. Within one,
// windows are met row by row: for each offset in the window a loop over the places of a row, without branches.
#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>

#include "backend/cpu/index.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/scatter.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kSerial = 1 << 15;  // elements that are not worth a second thread

/// Windows (ops/pool/window.h) over images of height x width; rows (0) and columns (1).
struct Windows {
  /// The places of a row whose windows have this offset in the image, and the column of the first of them.
  struct Column {
    int64_t begin, end, at;
  };
  SmallVec<Column, 8> columns;
  int64_t kernel[2], stride[2], pad[2], dilation[2], image[2], places[2], planes = 1;

  Windows(const Shape& attr, const Shape& image_shape, const Shape& place_shape) {
    size_t i = 0;
    for (int64_t* v : {kernel, stride, pad, dilation}) {
      v[0] = attr[i++].value();
      v[1] = attr[i++].value();
    }
    const size_t lead = image_shape.size() - 2;
    for (size_t d = 0; d < 2; ++d) {
      image[d] = image_shape[lead + d].value();
      places[d] = place_shape[lead + d].value();
    }
    for (size_t d = 0; d < lead; ++d) planes *= image_shape[d].value();
    for (int64_t kx = 0; kx < kernel[1]; ++kx) {
      const int64_t first = at(1, 0, kx), s = stride[1], begin = first >= 0 ? 0 : (s - 1 - first) / s;
      const int64_t end = first >= image[1] ? 0 : std::min(places[1], (image[1] - 1 - first) / s + 1);
      columns.push_back({begin, end, at(1, begin, kx)});
    }
  }
  int64_t plane() const { return image[0] * image[1]; }
  int64_t windows() const { return places[0] * places[1]; }
  int64_t at(int dim, int64_t place, int64_t k) const { return place * stride[dim] - pad[dim] + k * dilation[dim]; }
  /// How much of the image, or of the padded image, the window at a place covers.
  int64_t covered(int dim, int64_t place, bool with_pad) const {
    const int64_t begin = at(dim, place, 0), end = std::min(begin + kernel[dim], image[dim] + pad[dim]);
    return with_pad ? end - begin : std::min(end, image[dim]) - std::max<int64_t>(begin, 0);
  }
};

template <class F> void each_plane(const Windows& w, F&& f) {
  auto planes = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) f(p);
  };
  if (w.planes * w.plane() < kSerial) {
    planes(0, w.planes);
  } else {
    parallel_for(w.planes, planes);
  }
}

/// f(first place in the image, begin, end, offset, stride): for each offset in the windows of row `oy` that lies in the
/// image, the places of the row that it does so for. The common strides are constants.
template <class F> void each_offset(const Windows& w, int64_t oy, F&& f) {
  int offset = -1;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    const int64_t y = w.at(0, oy, ky);
    for (const auto& [begin, end, column] : w.columns) {
      ++offset;
      if (y < 0 || y >= w.image[0]) continue;
      const int64_t first = y * w.image[1] + column;
      switch (w.stride[1]) {
        case 1: f(first, begin, end, offset, std::integral_constant<int64_t, 1>()); break;
        case 2: f(first, begin, end, offset, std::integral_constant<int64_t, 2>()); break;
        default: f(first, begin, end, offset, w.stride[1]); break;
      }
    }
  }
}

template <class T> T* data(const Tensor& t) { return static_cast<T*>(t.record()->data()); }

/// Runs f on a dense tensor for the result.
template <class F> void into_dense(const Tensor& out, F&& f) {
  const Tensor dense = out.is_contiguous() ? out : empty(out.shape(), {.dtype = out.dtype()});
  f(dense);
  if (!out.is_contiguous()) copy(dense, out);
}

// ---- window_place

/// a where `yes`, else b: in masks, since whether an element is the largest of its window no branch can foretell.
int64_t blend(bool yes, int64_t a, int64_t b) {
  const int64_t mask = -static_cast<int64_t>(yes);
  return (a & mask) | (b & ~mask);
}

/// The first place of each window of row `oy` whose value is the window's largest: from the last offset to the first,
/// so that the first is written last. equal(v, most).
template <class Item, class Equal>
void place_row(const Windows& w, int64_t oy, const Item* image, const Item* most, int64_t* place, Equal equal) {
  std::fill_n(place, w.places[1], std::numeric_limits<int64_t>::max());
  const int64_t step = w.stride[1];
  for (int64_t ky = w.kernel[0]; ky-- > 0;) {
    const int64_t y = w.at(0, oy, ky);
    if (y < 0 || y >= w.image[0]) continue;
    for (int64_t kx = w.kernel[1]; kx-- > 0;) {
      const auto [begin, end, column] = w.columns[static_cast<size_t>(kx)];
      int64_t at = y * w.image[1] + column;
      for (int64_t ox = begin; ox < end; ++ox, at += step) {
        place[ox] = blend(equal(image[at], most[ox]), at, place[ox]);
      }
    }
  }
}

template <class Item, class Load>
void place_planes(const Windows& w, const Tensor& x, const Tensor& most, const Tensor& out, Load load) {
  each_plane(w, [&](int64_t p) {
    for (int64_t oy = 0; oy < w.places[0]; ++oy) {
      const int64_t row = p * w.windows() + oy * w.places[1];
      const Item *image = data<Item>(x) + p * w.plane(), *largest = data<Item>(most) + row;
      auto equal = [&](Item v, Item m) { return load(v) == load(m); };
      bool nan = false;
      for (int64_t ox = 0; ox < w.places[1]; ++ox) nan |= !equal(largest[ox], largest[ox]);
      if (nan) {
        place_row(w, oy, image, largest, data<int64_t>(out) + row,
                  [&](Item v, Item m) { return equal(v, m) || (!equal(v, v) && !equal(m, m)); });
      } else {
        place_row(w, oy, image, largest, data<int64_t>(out) + row, equal);
      }
    }
  });
}

struct AsIs {
  template <class T> T operator()(T v) const { return v; }
};
template <bool brain> struct Widened {
  float operator()(uint16_t v) const { return HalfAddRule<brain>::load(v); }
};

// ---- sums into images

/// The sums of one plane: the plane itself, or wider ones beside it.
template <class Rule> class PlaneSums {
 public:
  using Item = typename Rule::Item;
  using Sum = typename Rule::Sum;
  static constexpr bool kWide = !std::is_same_v<Item, Sum>;
  PlaneSums(Item* plane, int64_t n) : plane_(plane), n_(n), wide_(kWide ? n : 0) { std::fill_n(get(), n, Sum()); }
  Sum* get() {
    if constexpr (kWide) {
      return wide_.get();
    } else {
      return plane_;
    }
  }
  void store() {
    for (int64_t i = 0; kWide && i < n_; ++i) plane_[i] = Rule::store(get()[i]);
  }

 private:
  Item* plane_;
  int64_t n_;
  Array<Sum> wide_;
};

/// Adds value(ox, place in the image, offset in the window) to every place that a window of row `oy` covers.
template <class Sum, class Value> void add_row(const Windows& w, int64_t oy, Sum* __restrict sums, Value value) {
  each_offset(w, oy, [&](int64_t first, int64_t begin, int64_t end, int offset, auto step) {
    Sum* __restrict to = sums + first;
    for (int64_t i = 0; i < end - begin; ++i) {
      to[i * step] = static_cast<Sum>(to[i * step] + value(begin + i, first + i * step, offset));
    }
  });
}

/// v where `yes`, else zero; without a branch where v is a number of the machine.
template <class T> T kept(bool yes, T v) {
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(v) & -static_cast<uint32_t>(yes));
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<double>(std::bit_cast<uint64_t>(v) & -static_cast<uint64_t>(yes));
  } else {
    return yes ? v : T();
  }
}

template <class Rule> void give_planes(const Windows& w, const Tensor& g, const Tensor& place, const Tensor& out) {
  using Item = typename Rule::Item;
  using Sum = typename Rule::Sum;
  each_plane(w, [&](int64_t p) {
    PlaneSums<Rule> sums(data<Item>(out) + p * w.plane(), w.plane());
    for (int64_t oy = 0; oy < w.places[0]; ++oy) {
      const int64_t row = p * w.windows() + oy * w.places[1];
      const Item* given = data<Item>(g) + row;
      const int64_t* at = data<int64_t>(place) + row;
      add_row(w, oy, sums.get(),
              [&](int64_t ox, int64_t own, int) { return kept<Sum>(at[ox] == own, Rule::load(given[ox])); });
    }
    sums.store();
  });
}

/// Which offset in its window is the first of the largest, for a row of windows: nan wins.
template <class Item, class Load, class Value, class Number>
void largest_row(const Windows& w, int64_t oy, const Item* image, Value* __restrict most, Number* __restrict which,
                 Load load) {
  std::fill_n(most, w.places[1], -std::numeric_limits<Value>::infinity());
  std::fill_n(which, w.places[1], Number(-1));
  each_offset(w, oy, [&](int64_t first, int64_t begin, int64_t end, int offset, auto step) {
    const Item* from = image + first;
    Value* __restrict m = most + begin;
    Number* __restrict at = which + begin;
    for (int64_t i = 0; i < end - begin; ++i) {
      const Value v = load(from[i * step]);
      const bool wins = (v > m[i]) | ((v != v) & (m[i] == m[i])) | (at[i] < 0);
      m[i] = wins ? v : m[i];
      at[i] = wins ? static_cast<Number>(offset) : at[i];
    }
  });
}

template <class Rule> void max_backward_planes(const Windows& w, const Tensor& g, const Tensor& x, const Tensor& out) {
  using Item = typename Rule::Item;
  using Sum = typename Rule::Sum;
  using Number = std::conditional_t<sizeof(Sum) == 8, int64_t, int32_t>;  // as wide as the values: lanes match
  each_plane(w, [&](int64_t p) {
    PlaneSums<Rule> sums(data<Item>(out) + p * w.plane(), w.plane());
    Array<Sum> most(w.places[1]), given(w.places[1]);
    Array<Number> which(w.places[1]);
    for (int64_t oy = 0; oy < w.places[0]; ++oy) {
      largest_row(w, oy, data<Item>(x) + p * w.plane(), most.get(), which.get(), [](Item v) { return Rule::load(v); });
      const Item* from = data<Item>(g) + p * w.windows() + oy * w.places[1];
      for (int64_t ox = 0; ox < w.places[1]; ++ox) given[ox] = Rule::load(from[ox]);
      const Sum* values = given.get();
      const Number* at = which.get();
      add_row(w, oy, sums.get(),
              [&](int64_t ox, int64_t, int offset) { return kept<Sum>(at[ox] == offset, values[ox]); });
    }
    sums.store();
  });
}

/// Runs f with the rule of sums of a floating-point type.
template <class F> void with_float_rule(DType t, F&& f) {
  switch (t) {
    case DType::F64: return f(AddRule<double>());
    case DType::F32: return f(AddRule<float>());
    case DType::F16: return f(HalfAddRule<false>());
    default: return f(HalfAddRule<true>());
  }
}

template <class Rule>
void share_planes(const Windows& w, const Tensor& g, bool with_pad, int64_t divisor, const Tensor& out) {
  using Item = typename Rule::Item;
  using Sum = typename Rule::Sum;
  each_plane(w, [&](int64_t p) {
    PlaneSums<Rule> sums(data<Item>(out) + p * w.plane(), w.plane());
    Array<Sum> share(w.places[1]);
    for (int64_t oy = 0; oy < w.places[0]; ++oy) {
      const Item* given = data<Item>(g) + p * w.windows() + oy * w.places[1];
      const int64_t rows = w.covered(0, oy, with_pad);
      for (int64_t ox = 0; ox < w.places[1]; ++ox) {
        const int64_t by = divisor != 0 ? divisor : rows * w.covered(1, ox, with_pad);
        share[ox] = Rule::load(given[ox]) / static_cast<Sum>(by);
      }
      add_row(w, oy, sums.get(), [&](int64_t ox, int64_t, int) { return share[ox]; });
    }
    sums.store();
  });
}

}  // namespace

void window_place_kernel(const Call& call, std::span<const Tensor> out) {
  const Windows w(call.list("window"), call.shape(0), call.shape(1));
  const Tensor x = call.in[0].contiguous(), most = call.in[1].contiguous();
  into_dense(out[0], [&](const Tensor& y) {
    switch (x.dtype()) {
      case DType::F64: return place_planes<double>(w, x, most, y, AsIs());
      case DType::F32: return place_planes<float>(w, x, most, y, AsIs());
      case DType::F16: return place_planes<uint16_t>(w, x, most, y, Widened<false>());
      case DType::BF16: return place_planes<uint16_t>(w, x, most, y, Widened<true>());
      default: break;
    }
    switch (item_size(x.dtype())) {
      case 1: return place_planes<uint8_t>(w, x, most, y, AsIs());
      case 2: return place_planes<uint16_t>(w, x, most, y, AsIs());
      case 4: return place_planes<uint32_t>(w, x, most, y, AsIs());
      default: return place_planes<uint64_t>(w, x, most, y, AsIs());
    }
  });
}

void window_give_kernel(const Call& call, std::span<const Tensor> out) {
  const Windows w(call.list("window"), out[0].shape(), call.shape(0));
  const Tensor g = call.in[0].contiguous(), place = call.in[1].to(DType::I64).contiguous();
  into_dense(out[0], [&](const Tensor& y) {
    with_add_rule(g.dtype(), [&](auto rule) { give_planes<decltype(rule)>(w, g, place, y); });
  });
}

void window_max_backward_kernel(const Call& call, std::span<const Tensor> out) {
  const Windows w(call.list("window"), call.shape(1), call.shape(0));
  const Tensor g = call.in[0].contiguous(), x = call.in[1].contiguous();
  into_dense(out[0], [&](const Tensor& y) {
    with_float_rule(g.dtype(), [&](auto rule) { max_backward_planes<decltype(rule)>(w, g, x, y); });
  });
}

void window_share_kernel(const Call& call, std::span<const Tensor> out) {
  const Windows w(call.list("window"), out[0].shape(), call.shape(0));
  const Tensor g = call.in[0].contiguous();
  const int64_t by = call.none("divisor") ? 0 : call.integer("divisor").value();
  const bool with_pad = call.flag("include_pad");
  into_dense(out[0], [&](const Tensor& y) {
    with_float_rule(g.dtype(), [&](auto rule) { share_planes<decltype(rule)>(w, g, with_pad, by, y); });
  });
}

}  // namespace thixo::cpu
