// The largest value of each window. The gradient needs its place, which is found again from the input: one more pass
// over the windows instead of eight bytes kept for each.
#include "ops/batching.h"
#include "ops/pool/window.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

Shape with_last(const Shape& s, const Shape& last) {
  Shape out = s;
  out[out.size() - 2] = last[0];
  out[out.size() - 1] = last[1];
  return out;
}

/// value(inside, row, column) combined over the window of each result element.
void window_nest(NestCtx& c, Combine combine, const std::function<Expr(Expr, Expr, Expr)>& value) {
  const Window w(c.list("window"));
  const int r = static_cast<int>(c.out[0].shape.size()) - 2;
  Expr ky = c.reduce_axis(w.kernel[0]), kx = c.reduce_axis(w.kernel[1]);
  Expr y = w.at(0, c.out_axis(r), ky), x = w.at(1, c.out_axis(r + 1), kx);
  c.combine = combine;
  c.values = {value(inside(c.shape(0), y, x), y, x)};
}

/// Where the first largest value of each window stands; g is of that many windows.
Tensor largest_place(const Tensor& x, const Shape& g, const Shape& window) {
  Tensor most = window_max(x, window, Shape{g[g.size() - 2], g[g.size() - 1]});
  return window_place(x, most, window);
}

/// Kernel 2, stride 2 and a window with everything uneven: rows, columns.
const Shape kPlainWindow{2, 2, 2, 2, 0, 0, 1, 1}, kOddWindow{3, 2, 2, 1, 1, 0, 1, 2};

std::vector<std::pair<std::string, Attr>> pool_attrs(Shape kernel, Attr stride, Shape padding, Shape dilation,
                                                     bool ceil) {
  return {
      {"kernel_size", kernel}, {"stride", stride}, {"padding", padding}, {"dilation", dilation}, {"ceil_mode", ceil}};
}

std::vector<Sample> max_pool_samples() {
  std::vector<Sample> out;
  auto add = [&](Shape x, std::vector<std::pair<std::string, Attr>> attrs, std::string bad = {}) {
    Sample& s = out.emplace_back();
    s.in.emplace_back().shape = std::move(x);
    s.in[0].distinct = true;
    s.attrs = std::move(attrs);
    s.bad = std::move(bad);
  };
  add({2, 3, 6, 8}, pool_attrs({2}, Attr(), {0}, {1}, false));
  add({1, 2, 7, 9}, pool_attrs({3, 2}, Shape{2, 1}, {1, 0}, {1}, false));
  add({2, 7, 7}, pool_attrs({3}, Shape{2}, {1}, {1}, true));
  add({1, 2, 9, 9}, pool_attrs({2}, Shape{2}, {0}, {2}, true));
  add({0, 2, 4, 4}, pool_attrs({2}, Attr(), {0}, {1}, false));
  add({1, 1, 4, 4}, pool_attrs({2}, Attr(), {2}, {1}, false), "padding 2 is more than half of the window's height 2");
  add({1, 1, 2, 4}, pool_attrs({3}, Attr(), {0}, {1}, false),
      "the window's height 3 is larger than the padded input's 2");
  add({4, 4}, pool_attrs({2}, Attr(), {0}, {1}, false), "input has 2 dims");
  return out;
}

Sample window_sample(std::vector<SampleTensor> in, std::vector<std::pair<std::string, Attr>> attrs) {
  Sample s;
  s.in = std::move(in);
  s.attrs = std::move(attrs);
  return s;
}

SampleTensor distinct(Shape s) {
  SampleTensor t;
  t.shape = std::move(s);
  t.distinct = true;
  return t;
}

/// Places that windows of kPlainWindow over 6 x 8 images have chosen.
SampleTensor places() {
  SampleTensor t;
  t.shape = {2, 3, 3, 4};
  t.dtype = DType::I64;
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 4; ++x) t.values.push_back((2 * y + x % 2) * 8 + 2 * x + y % 2);
  }
  return t;
}

}  // namespace

void def_max_pool2d(Op& op) {
  op.schema(
        "max_pool2d(input: Real, kernel_size: dims, stride: dims? = None, padding: dims = 0, dilation: dims = 1, "
        "ceil_mode: bool = false) -> Real @nn")
      .doc("The largest value of each window of the images; nan wins; stride is kernel_size when None.")
      .example(">>> thixo.nn.functional.max_pool2d(thixo.tensor([[[1., 2.], [3., 4.]]]), 2)\ntensor([[[4.]]])")
      .compose([](const Call& c) {
        const Window w(c, true);
        return Values{window_max(c.in[0], w.attr(), window_places(c, w))};
      })
      .samples(max_pool_samples);
}

void def_max_pool2d_with_indices(Op& op) {
  op.schema(
        "max_pool2d_with_indices(input: Real, kernel_size: dims, stride: dims? = None, padding: dims = 0, dilation: "
        "dims = 1, ceil_mode: bool = false) -> (values: Real, indices: Index) @nn")
      .doc("max_pool2d, and where in its image (row * width + column) each value stands.")
      .example(
          ">>> thixo.nn.functional.max_pool2d_with_indices(thixo.arange(4.).view(1, 1, 2, 2), 2).indices\n"
          "tensor([[[[3]]]])")
      .compose([](const Call& c) {
        const Window w(c, true);
        Tensor y = window_max(c.in[0], w.attr(), window_places(c, w));
        return Values{y, window_place(c.in[0], y, w.attr())};
      })
      .samples(max_pool_samples);
}

void def_window_max(Op& op) {
  op.schema("window_max(input: Real, window: size, places: size) -> Real @private")
      .doc("The largest value of each window over the last two dims.")
      .infer([](Infer& c) { c.result(c.dtype(0), with_last(c.shape(0), c.list("places"))); })
      .nest([](NestCtx& c) {
        const DType t = compute_type(c.dtype(0));
        const Combine largest = t == DType::Bool ? Combine::Or : Combine::Max;
        window_nest(c, largest, [&](Expr in, Expr y, Expr x) {
          Expr v = c.load_if(in, 0, image_index(c, y, x), constant(0.0, compute_type(c.dtype(0))));
          return select(in, cast(v, t), neutral(largest, t));
        });
      })
      .grad([](GradCtx& c) { return Values{window_max_backward(c.g(), c.in(0), c.call().list("window"))}; })
      .batch(batch_leading)
      .samples([] {
        return std::vector<Sample>{
            window_sample({distinct({2, 3, 6, 8})}, {{"window", kPlainWindow}, {"places", Shape{3, 4}}}),
            window_sample({distinct({7, 9})}, {{"window", kOddWindow}, {"places", Shape{4, 7}}})};
      });
}

void def_window_max_backward(Op& op) {
  op.schema("window_max_backward(g: Float, input: Float, window: size) -> Float @private")
      .doc("The gradient of window_max: the first largest element of each window gets what the window is given.")
      .infer([](Infer& c) { c.result(c.dtype(1), c.shape(1)); })
      .compose([](const Call& c) {
        const Shape& x = c.shape(1);
        Tensor place = largest_place(c.in[1], c.shape(0), c.list("window"));
        return Values{window_give(c.in[0], place, c.list("window"), Shape{x[x.size() - 2], x[x.size() - 1]})};
      })
      .kernel("window_max_backward")
      .grad([](GradCtx& c) {
        const Shape window = c.call().list("window");
        return Values{window_take(c.g(), largest_place(c.in(1), c.call().shape(0), window), window), Tensor()};
      })
      .batch(batch_leading)
      .samples([] {
        return std::vector<Sample>{window_sample({{{2, 3, 3, 4}}, distinct({2, 3, 6, 8})}, {{"window", kPlainWindow}}),
                                   window_sample({{{4, 7}}, distinct({7, 9})}, {{"window", kOddWindow}})};
      });
}

void def_window_place(Op& op) {
  op.schema("window_place(input: Real, output: Real, window: size) -> Index @private")
      .doc("Where in its image (row * width + column) the first value equal to output stands in each window.")
      .infer([](Infer& c) { c.result(DType::I64, c.shape(1)); })
      .nest([](NestCtx& c) {
        const int r = c.rank(1) - 2;
        Expr most = c.load(1, image_index(c, c.out_axis(r), c.out_axis(r + 1)));
        Expr width = c.dim_size(0, c.rank(0) - 1);
        window_nest(c, Combine::Min, [&](Expr in, Expr y, Expr x) {
          Expr v = c.load_if(in, 0, image_index(c, y, x), constant(0.0, compute_type(c.dtype(0))));
          Expr same = eq(v, most);
          if (is_float(c.dtype(0))) same = same | (unary(ExprOp::IsNan, v) & unary(ExprOp::IsNan, most));
          return select(in & same, y * width + x, neutral(Combine::Min, DType::I64));
        });
      })
      .kernel("window_place")
      .no_grad()
      .batch(batch_leading)
      .samples([] {
        Sample s = window_sample({{{1, 1, 2, 4}}, {{1, 1, 1, 2}}}, {{"window", kPlainWindow}});
        s.in[0].values = {1, 5, 5, 2, 5, 0, 3, 5};
        s.in[1].values = {5, 5};
        return std::vector<Sample>{s};
      });
}

void def_window_give(Op& op) {
  op.schema("window_give(g: Number, place: Index, window: size, image: size) -> Number @private")
      .doc("An element gets what the windows give whose place it is.")
      .infer([](Infer& c) { c.result(c.dtype(0), with_last(c.shape(0), c.list("image"))); })
      .nest([](NestCtx& c) {
        const Window w(c.list("window"));
        const int r = c.rank(0) - 2;
        Expr y = c.out_axis(r), x = c.out_axis(r + 1);
        const Cover down = windows_over(c, w, 0, y, c.shape(0)[r]),
                    across = windows_over(c, w, 1, x, c.shape(0)[r + 1]);
        const DType t = compute_type(c.dtype(0));
        Expr exists = down.exists & across.exists;
        const std::vector<Expr> at = image_index(c, down.at, across.at);
        Expr place = c.load_if(exists, 1, at, constant_int(-1, c.dtype(1)));
        Expr g = c.load_if(exists, 0, at, constant(0.0, compute_type(c.dtype(0))));
        Expr own = y * size(c.out[0].shape[static_cast<size_t>(r) + 1]) + x;
        c.combine = Combine::Sum;
        c.values = {select(eq(cast(place, DType::I64), own), cast(g, t), constant(0.0, t))};
      })
      .kernel("window_give")
      .grad([](GradCtx& c) {
        Values out(2);
        out[0] = window_take(c.g(), c.in(1), c.call().list("window"));
        return out;
      })
      .batch(batch_leading)
      .samples([] {
        return std::vector<Sample>{
            window_sample({{{2, 3, 3, 4}}, places()}, {{"window", kPlainWindow}, {"image", Shape{6, 8}}})};
      });
}

void def_window_take(Op& op) {
  op.schema("window_take(input: Number, place: Index, window: size) -> Number @private")
      .doc("The values at the windows' places (row * width + column): the gradient of window_give.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(1)); })
      .nest([](NestCtx& c) {
        const int r = c.rank(0) - 2;
        Expr place = cast(c.load(1, image_index(c, c.out_axis(r), c.out_axis(r + 1))), DType::I64);
        Expr width = c.dim_size(0, r + 1);
        c.values = {c.load(0, image_index(c, floor_div(place, width), mod(place, width)))};
      })
      .grad([](GradCtx& c) {
        const Shape x = c.call().shape(0);
        Values out(2);
        out[0] = window_give(c.g(), c.in(1), c.call().list("window"), Shape{x[x.size() - 2], x[x.size() - 1]});
        return out;
      })
      .batch(batch_leading)
      .samples(
          [] { return std::vector<Sample>{window_sample({{{2, 3, 6, 8}}, places()}, {{"window", kPlainWindow}})}; });
}

}  // namespace thixo::ops
