// Places of maxima in windows, and the gradients of pooling: loops over windows.h, without branches on values.
#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>

#include "backend/cpu/index.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/scatter.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/windows.h"

namespace thixo::cpu {
namespace {

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
  each_row(w, [&](int64_t unit) {
    const int64_t oy = unit % w.places[0], p = unit / w.places[0], row = unit * w.places[1];
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

/// All ones or zeros, and what they choose: of random numbers no branch can foretell which is the largest.
template <class Bits> Bits mask_of(bool yes) { return static_cast<Bits>(-static_cast<Bits>(yes)); }
template <class Bits, class T> T chosen(Bits mask, T a, T b) {
  return std::bit_cast<T>((std::bit_cast<Bits>(a) & mask) | (std::bit_cast<Bits>(b) & ~mask));
}
/// Whether v takes the place of m, which stood before it: it is larger, or the first nan.
template <class Bits, class T> Bits beats(T v, T m) { return mask_of<Bits>(!(v <= m)) & mask_of<Bits>(m == m); }

/// A row of 2 x 2 windows that do not overlap: two rows of the image, each element of which is written once.
template <class Rule>
void max_backward_halves(int64_t n, const typename Rule::Item* __restrict x, const typename Rule::Item* __restrict g,
                         typename Rule::Item* __restrict out) {
  using Sum = typename Rule::Sum;
  using Bits = std::conditional_t<sizeof(Sum) == 8, uint64_t, uint32_t>;
  for (int64_t o = 0; o < n; ++o) {
    const Sum v0 = Rule::load(x[2 * o]), v1 = Rule::load(x[2 * o + 1]);
    const Sum v2 = Rule::load(x[2 * n + 2 * o]), v3 = Rule::load(x[2 * n + 2 * o + 1]);
    const Bits second = beats<Bits>(v1, v0), fourth = beats<Bits>(v3, v2);
    const Bits lower = beats<Bits>(chosen(fourth, v3, v2), chosen(second, v1, v0));
    const Bits given = std::bit_cast<Bits>(Sum() + Rule::load(g[o]));  // as the sum that it is: never -0
    out[2 * o] = Rule::store(std::bit_cast<Sum>(given & ~lower & ~second));
    out[2 * o + 1] = Rule::store(std::bit_cast<Sum>(given & ~lower & second));
    out[2 * n + 2 * o] = Rule::store(std::bit_cast<Sum>(given & lower & ~fourth));
    out[2 * n + 2 * o + 1] = Rule::store(std::bit_cast<Sum>(given & lower & fourth));
  }
}

template <class Rule> void max_backward_planes(const Windows& w, const Tensor& g, const Tensor& x, const Tensor& out) {
  using Item = typename Rule::Item;
  using Sum = typename Rule::Sum;
  if (w.halves()) {
    return each_row(w, [&](int64_t row) {
      const int64_t n = w.places[1];
      max_backward_halves<Rule>(n, data<Item>(x) + row * 4 * n, data<Item>(g) + row * n, data<Item>(out) + row * 4 * n);
    });
  }
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
  if (w.halves()) {
    const Sum by = static_cast<Sum>(divisor != 0 ? divisor : 4);
    return each_row(w, [&](int64_t row) {
      const int64_t n = w.places[1];
      const Item* __restrict given = data<Item>(g) + row * n;
      Item* __restrict upper = data<Item>(out) + row * 4 * n;
      for (int64_t o = 0; o < n; ++o) {
        upper[2 * o] = upper[2 * o + 1] = Rule::store(Sum() + Rule::load(given[o]) / by);
      }
      std::copy_n(upper, 2 * n, upper + 2 * n);
    });
  }
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
