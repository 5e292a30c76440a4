// Pooling over windows of images, composed of one strided slice for each place in the window.
#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

struct Window {
  int64_t kernel[2], stride[2], pad[2], dilation[2], out[2], size[2];
};

int64_t entry(const Shape& s, size_t d) { return s[s.size() == 1 ? 0 : d].value(); }

Window window_of(const Call& c) {
  Window w{};
  if (c.rank(0) != 3 && c.rank(0) != 4) {
    throw c.error(ErrorKind::Shape, "input has " + std::to_string(c.rank(0)) + " dims").need("[C, H, W] or [N, C, H, W]");
  }
  const Shape &kernel = c.list("kernel_size"), &stride = c.list("stride"), &pad = c.list("padding");
  const bool dilated = c.op->name() == "max_pool2d";
  for (size_t d = 0; d < 2; ++d) {
    w.size[d] = c.shape(0)[c.shape(0).size() - 2 + d].value();
    w.kernel[d] = entry(kernel, d);
    w.stride[d] = stride.empty() ? w.kernel[d] : entry(stride, d);
    w.pad[d] = entry(pad, d);
    w.dilation[d] = dilated ? entry(c.list("dilation"), d) : 1;
    const char* side = d == 0 ? "height" : "width";
    if (w.kernel[d] < 1 || w.stride[d] < 1 || w.dilation[d] < 1) throw c.error(ErrorKind::Value, "kernel_size, stride and dilation must be at least 1");
    if (w.pad[d] < 0 || 2 * w.pad[d] > w.kernel[d]) {
      throw c.error(ErrorKind::Value, "padding " + std::to_string(w.pad[d]) + " is more than half of the window's " + side + " " + std::to_string(w.kernel[d]));
    }
    const int64_t reach = w.dilation[d] * (w.kernel[d] - 1) + 1, room = w.size[d] + 2 * w.pad[d] - reach;
    if (room < 0) {
      throw c.error(ErrorKind::Shape, std::string("the window's ") + side + " " + std::to_string(reach) + " is larger than the padded input's " +
                                          std::to_string(w.size[d] + 2 * w.pad[d]));
    }
    w.out[d] = room / w.stride[d] + 1;
  }
  return w;
}

/// Slices of x, one for each place in the window, combined in row-major order.
Tensor over_window(const Tensor& x, const Window& w, double outside, const std::function<Tensor(const Tensor&, const Tensor&)>& combine) {
  Tensor wide = w.pad[0] + w.pad[1] == 0 ? x : pad(x, Shape{w.pad[1], w.pad[1], w.pad[0], w.pad[0]}, "constant", Scalar(outside));
  Tensor result;
  for (int64_t i = 0; i < w.kernel[0]; ++i) {
    for (int64_t j = 0; j < w.kernel[1]; ++j) {
      const int64_t y = i * w.dilation[0], z = j * w.dilation[1];
      Tensor part = wide.slice(-2, Dim(y), Dim(y + (w.out[0] - 1) * w.stride[0] + 1), w.stride[0])
                        .slice(-1, Dim(z), Dim(z + (w.out[1] - 1) * w.stride[1] + 1), w.stride[1]);
      result = result.defined() ? combine(result, part) : part;
    }
  }
  return w.kernel[0] * w.kernel[1] == 1 ? result.clone() : result;
}

void refuse_ceil(const Call& c) {
  if (c.flag("ceil_mode")) throw c.error(ErrorKind::NotImplemented, "ceil_mode=True is not supported").fix("pad the input so that the windows fit");
}

std::vector<Sample> pool_samples() {
  return {{.in = {{{2, 3, 6, 8}}}, .attrs = {{"kernel_size", Shape{2}}}},
          {.in = {{{1, 2, 7, 9}}}, .attrs = {{"kernel_size", Shape{3, 2}}, {"stride", Shape{2, 1}}, {"padding", Shape{1, 0}}}},
          {.in = {{{2, 7, 7}}}, .attrs = {{"kernel_size", Shape{3}}, {"stride", Shape{2}}}},
          {.in = {{{1, 1, 4, 4}}}, .attrs = {{"kernel_size", Shape{2}}, {"padding", Shape{2}}}, .bad = "padding 2 is more than half of the window's height 2"},
          {.in = {{{1, 1, 2, 4}}}, .attrs = {{"kernel_size", Shape{3}}}, .bad = "the window's height 3 is larger than the padded input's 2"},
          {.in = {{{4, 4}}}, .attrs = {{"kernel_size", Shape{2}}}, .bad = "input has 2 dims"}};
}

}  // namespace

void def_max_pool2d(Op& op) {
  op.schema(
        "max_pool2d(input: Float, kernel_size: dims, stride: dims = [], padding: dims = [0], dilation: dims = [1], "
        "ceil_mode: bool = false) -> Float @nn")
      .doc("The largest value of each window; windows are `stride` apart (kernel_size unless given).")
      .example(">>> thixo.nn.functional.max_pool2d(thixo.ones(1, 1, 2, 2), 2)\ntensor([[[[1.]]]])")
      .compose([](const Call& c) {
        refuse_ceil(c);
        return Values{over_window(c.in[0], window_of(c), -HUGE_VAL, [](const Tensor& a, const Tensor& b) { return maximum(a, b); })};
      })
      .samples(pool_samples);
}

void def_avg_pool2d(Op& op) {
  op.schema(
        "avg_pool2d(input: Float, kernel_size: dims, stride: dims = [], padding: dims = [0], ceil_mode: bool = false, "
        "count_include_pad: bool = true) -> Float @nn")
      .doc("The mean of each window; padding counts as zeros unless count_include_pad is false.")
      .example(">>> thixo.nn.functional.avg_pool2d(thixo.ones(1, 1, 2, 2), 2)\ntensor([[[[1.]]]])")
      .compose([](const Call& c) {
        refuse_ceil(c);
        const Window w = window_of(c);
        auto add = [](const Tensor& a, const Tensor& b) { return a + b; };
        Tensor sum = over_window(c.in[0], w, 0, add);
        if (c.flag("count_include_pad") || w.pad[0] + w.pad[1] == 0) return Values{sum / static_cast<double>(w.kernel[0] * w.kernel[1])};
        Tensor counts = over_window(ones({Dim(1), Dim(w.size[0]), Dim(w.size[1])}, {.dtype = c.dtype(0)}), w, 0, add);
        return Values{sum / counts};
      })
      .samples(pool_samples);
}

}  // namespace thixo::ops
