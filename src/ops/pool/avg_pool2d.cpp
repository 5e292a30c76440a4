// The mean of each window and its gradient; both are linear, so they are each other's.
#include "ops/batching.h"
#include "ops/pool/window.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// Rows (or columns) of the image, or of the padded image, under the window at place o.
Expr covered(const NestCtx& c, const Window& w, int dim, Expr o, Dim extent) {
  Expr begin = o * size(w.stride[dim]) - size(w.pad[dim]);
  Expr end = min(begin + size(w.kernel[dim]), size(extent) + size(w.pad[dim]));
  return c.flag("include_pad") ? end - begin : min(end, size(extent)) - max(begin, constant_int(0));
}

/// What the sum of the window at (y, x) is divided by.
Expr divisor(const NestCtx& c, const Window& w, const Shape& image, Expr y, Expr x, DType t) {
  if (!c.none("divisor")) return cast(size(c.integer("divisor")), t);
  return cast(covered(c, w, 0, y, image[image.size() - 2]) * covered(c, w, 1, x, image[image.size() - 1]), t);
}

std::optional<Dim> divisor_of(const Call& c, std::string_view name) {
  return c.none(name) ? std::nullopt : std::optional<Dim>(c.integer(name));
}

std::vector<Sample> avg_pool_samples() {
  std::vector<Sample> out;
  auto add = [&](Shape x, Shape kernel, Attr stride, Shape padding, bool ceil, bool include, Attr by,
                 std::string bad = {}) {
    Sample& s = out.emplace_back();
    s.in.emplace_back().shape = std::move(x);
    s.attrs = {{"kernel_size", kernel},        {"stride", stride},      {"padding", padding}, {"ceil_mode", ceil},
               {"count_include_pad", include}, {"divisor_override", by}};
    s.bad = std::move(bad);
  };
  add({2, 3, 6, 8}, {2}, Attr(), {0}, false, true, Attr());
  add({1, 2, 7, 9}, {3, 2}, Shape{2, 1}, {1, 0}, false, false, Attr());
  add({2, 7, 6}, {3}, Shape{2}, {1}, true, true, Attr());
  add({1, 2, 7, 7}, {3}, Shape{2}, {1}, true, false, Attr(Dim(5)));
  add({0, 2, 4, 4}, {2}, Attr(), {0}, false, true, Attr());
  add({1, 1, 4, 4}, {2}, Attr(), {0}, false, true, Attr(Dim(0)), "divisor_override is 0");
  add({1, 1, 2, 4}, {3}, Attr(), {0}, false, true, Attr(), "the window's height 3 is larger than the padded input's 2");
  return out;
}

/// Calls of window_mean (forward) and window_share, whose images and places are swapped.
std::vector<Sample> window_samples(bool forward) {
  std::vector<Sample> out;
  auto add = [&](Shape image, Shape places, Shape window, bool include, Attr by) {
    Shape lead = image;
    Sample& s = out.emplace_back();
    const Shape last = forward ? places : Shape{image[image.size() - 2], image[image.size() - 1]};
    if (!forward) {
      lead[lead.size() - 2] = places[0];
      lead[lead.size() - 1] = places[1];
    }
    s.in.emplace_back().shape = lead;
    s.attrs = {{"window", window}, {forward ? "places" : "image", last}, {"include_pad", include}, {"divisor", by}};
  };
  for (bool include : {true, false}) add({2, 3, 6, 8}, {3, 4}, {2, 2, 2, 2, 0, 0, 1, 1}, include, Attr());
  add({2, 3, 6, 8}, {3, 4}, {2, 2, 2, 2, 0, 0, 1, 1}, true, Attr(Dim(5)));
  add({7, 9}, {4, 8}, {3, 2, 2, 1, 1, 0, 1, 1}, true, Attr(Dim(5)));
  return out;
}

}  // namespace

void def_avg_pool2d(Op& op) {
  op.schema(
        "avg_pool2d(input: Float, kernel_size: dims, stride: dims? = None, padding: dims = 0, ceil_mode: bool = false, "
        "count_include_pad: bool = true, divisor_override: int? = None) -> Float @nn")
      .doc("The mean of each window of the images; stride is kernel_size when None.")
      .example(">>> thixo.nn.functional.avg_pool2d(thixo.tensor([[[1., 2.], [3., 4.]]]), 2)\ntensor([[[2.5000]]])")
      .compose([](const Call& c) {
        if (!c.none("divisor_override") && c.integer("divisor_override") == 0) {
          throw c.error(ErrorKind::Value, "divisor_override is 0");
        }
        const Window w(c, false);
        return Values{window_mean(c.in[0], w.attr(), window_places(c, w), c.flag("count_include_pad"),
                                  divisor_of(c, "divisor_override"))};
      })
      .samples(avg_pool_samples);
}

void def_window_mean(Op& op) {
  op.schema("window_mean(input: Float, window: size, places: size, include_pad: bool, divisor: int?) -> Float @private")
      .doc("The sum of each window over the last two dims, divided by the divisor or by how much it covers.")
      .infer([](Infer& c) {
        Shape s = c.shape(0);
        s[s.size() - 2] = c.list("places")[0];
        s[s.size() - 1] = c.list("places")[1];
        c.result(c.dtype(0), std::move(s));
      })
      .nest([](NestCtx& c) {
        const Window w(c.list("window"));
        const int r = c.rank(0) - 2;
        const DType t = compute_type(c.dtype(0));
        Expr oy = c.out_axis(r), ox = c.out_axis(r + 1);
        Expr ky = c.reduce_axis(w.kernel[0]), kx = c.reduce_axis(w.kernel[1]);
        Expr y = w.at(0, oy, ky), x = w.at(1, ox, kx);
        Expr v = c.load_if(inside(c.shape(0), y, x), 0, image_index(c, y, x), constant(0.0, compute_type(c.dtype(0))));
        Expr by = divisor(c, w, c.shape(0), oy, ox, t);
        c.combine = Combine::Sum;
        c.values = {cast(v, t)};
        c.finish = [by](Expr sum) { return sum / by; };
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        const Shape& x = k.shape(0);
        return Values{window_share(c.g(), k.list("window"), Shape{x[x.size() - 2], x[x.size() - 1]},
                                   k.flag("include_pad"), divisor_of(k, "divisor"))};
      })
      .batch(batch_leading)
      .samples([] { return window_samples(true); });
}

void def_window_share(Op& op) {
  op.schema("window_share(g: Float, window: size, image: size, include_pad: bool, divisor: int?) -> Float @private")
      .doc("The gradient of window_mean: an element gets its share of every window that covers it.")
      .infer([](Infer& c) {
        Shape s = c.shape(0);
        s[s.size() - 2] = c.list("image")[0];
        s[s.size() - 1] = c.list("image")[1];
        c.result(c.dtype(0), std::move(s));
      })
      .nest([](NestCtx& c) {
        const Window w(c.list("window"));
        const int r = c.rank(0) - 2;
        const DType t = compute_type(c.dtype(0));
        const Cover down = windows_over(c, w, 0, c.out_axis(r), c.shape(0)[r]);
        const Cover across = windows_over(c, w, 1, c.out_axis(r + 1), c.shape(0)[r + 1]);
        Expr exists = down.exists & across.exists;
        Expr g =
            cast(c.load_if(exists, 0, image_index(c, down.at, across.at), constant(0.0, compute_type(c.dtype(0)))), t);
        c.combine = Combine::Sum;
        c.values = {select(exists, g / divisor(c, w, c.out[0].shape, down.at, across.at, t), constant(0.0, t))};
      })
      .kernel("window_share")
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        const Shape& g = k.shape(0);
        return Values{window_mean(c.g(), k.list("window"), Shape{g[g.size() - 2], g[g.size() - 1]},
                                  k.flag("include_pad"), divisor_of(k, "divisor"))};
      })
      .batch(batch_leading)
      .samples([] { return window_samples(false); });
}

}  // namespace thixo::ops
