#include "ops/pool/window.h"

#include <string>

#include "ops/conv/conv.h"

namespace thixo::ops {

Shape Window::attr() const {
  Shape s;
  for (const Dim* v : {kernel, stride, pad, dilation}) {
    s.push_back(v[0]);
    s.push_back(v[1]);
  }
  return s;
}

Window::Window(const Shape& attr) {
  size_t i = 0;
  for (Dim* v : {kernel, stride, pad, dilation}) {
    v[0] = attr[i++];
    v[1] = attr[i++];
  }
}

Window::Window(const Call& call, bool dilated) {
  if (call.rank(0) != 3 && call.rank(0) != 4) {
    throw call.error(ErrorKind::Shape, "input has " + std::to_string(call.rank(0)) + " dims")
        .need("[batch, channels, height, width], or the same without batch");
  }
  const bool own_stride = !call.none("stride") && !call.list("stride").empty();
  for (size_t i = 0; i < 2; ++i) {
    kernel[i] = pair_attr(call, "kernel_size", i, 1);
    stride[i] = own_stride ? pair_attr(call, "stride", i, 1) : kernel[i];
    pad[i] = pair_attr(call, "padding", i, 0);
    dilation[i] = dilated ? pair_attr(call, "dilation", i, 1) : Dim(1);
    const Dim room = call.shape(0)[static_cast<size_t>(call.rank(0)) - 2 + i] + pad[i] + pad[i];
    const std::string what = i == 0 ? "height " : "width ";
    if (pad[i] * 2 > kernel[i]) {
      throw call
          .error(ErrorKind::Value,
                 "padding " + pad[i].str() + " is more than half of the window's " + what + kernel[i].str())
          .need("padding <= kernel_size / 2");
    }
    if (reach(static_cast<int>(i)) > room) {
      throw call.error(ErrorKind::Shape, "the window's " + what + reach(static_cast<int>(i)).str() +
                                             " is larger than the padded input's " + room.str());
    }
  }
}

Shape window_places(const Call& call, const Window& w) {
  Shape out;
  for (int i = 0; i < 2; ++i) {
    const Dim size = call.shape(0)[static_cast<size_t>(call.rank(0) - 2 + i)],
              free = size + w.pad[i] + w.pad[i] - w.reach(i);
    Dim n = free / w.stride[i] + 1;
    if (call.flag("ceil_mode")) {
      n = (free + w.stride[i] - 1) / w.stride[i] + 1;
      // The last window must start inside the image or the padding before it.
      if ((n - 1) * w.stride[i] >= size + w.pad[i]) n = n - 1;
    }
    out.push_back(n);
  }
  return out;
}

std::vector<Expr> image_index(const NestCtx& c, Expr y, Expr x) {
  std::vector<Expr> at;
  for (int d = 0; d + 2 < static_cast<int>(c.out[0].shape.size()); ++d) at.push_back(c.out_axis(d));
  at.push_back(y);
  at.push_back(x);
  return at;
}

Expr inside(const Shape& image, Expr y, Expr x) {
  const Dim h = image[image.size() - 2], w = image[image.size() - 1];
  return (y >= constant_int(0)) & (y < size(h)) & (x >= constant_int(0)) & (x < size(w));
}

Cover windows_over(NestCtx& c, const Window& w, int dim, Expr place, Dim windows) {
  // The last window that starts at or before the place, and as many before it as may still reach it.
  Expr back = c.reduce_axis((w.reach(dim) + w.stride[dim] - 1) / w.stride[dim]);
  Expr from = place + size(w.pad[dim]), at = floor_div(from, size(w.stride[dim])) - back;
  Expr reached = from - at * size(w.stride[dim]) < size(w.reach(dim));
  return {at, (at >= constant_int(0)) & (at < size(windows)) & reached};
}

}  // namespace thixo::ops
