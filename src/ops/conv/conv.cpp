#include "ops/conv/conv.h"

#include <string>

namespace thixo::ops {

Dim pair_attr(const Call& call, std::string_view name, size_t i, int64_t least) {
  const Shape& v = call.list(name);
  if (v.size() != 1 && v.size() != 2) {
    throw call.error(ErrorKind::Value, std::string(name) + " has " + std::to_string(v.size()) + " numbers")
        .need("one number, or one for the height and one for the width");
  }
  const Dim d = v.size() == 1 ? v[0] : v[i];
  if (!d.is_symbolic() && d.value() < least) {
    throw call.error(ErrorKind::Value, std::string(name) + " is " + d.str())
        .need(std::string(name) + " >= " + std::to_string(least));
  }
  return d;
}

namespace {

void read_attrs(const Call& call, Conv2d& v) {
  for (size_t i = 0; i < 2; ++i) {
    v.stride[i] = pair_attr(call, "stride", i, 1);
    v.pad[i] = pair_attr(call, "padding", i, 0);
    v.dilation[i] = pair_attr(call, "dilation", i, 1);
  }
  v.groups = call.integer("groups");
  if (!v.groups.is_symbolic() && v.groups.value() < 1)
    throw call.error(ErrorKind::Value, "groups is " + v.groups.str()).need("groups >= 1");
}

/// Reads a tensor of images, with or without a batch dim; `what` is its name.
void read_images(const Call& call, int k, const char* what, bool& batched, Dim& n, Dim& c, Dim& h, Dim& w) {
  const Shape& s = call.shape(k);
  if (s.size() != 3 && s.size() != 4) {
    throw call.error(ErrorKind::Shape, std::string(what) + " has " + std::to_string(s.size()) + " dims")
        .need("[batch, channels, height, width], or the same without batch")
        .fix("add the missing dims with unsqueeze");
  }
  batched = s.size() == 4;
  const size_t at = batched ? 1 : 0;
  n = batched ? s[0] : Dim(1);
  c = s[at];
  h = s[at + 1];
  w = s[at + 2];
}

Dim result_size(const Call& call, Dim in, Dim kernel, Dim stride, Dim pad, Dim dilation, const char* what) {
  const Dim reach = dilation * (kernel - 1) + 1, room = in + pad + pad;
  if (!reach.is_symbolic() && !room.is_symbolic() && reach.value() > room.value()) {
    throw call
        .error(ErrorKind::Shape, "the kernel's " + std::string(what) + " " + reach.str() +
                                     " is larger than the padded input's " + room.str())
        .need("dilation * (kernel - 1) + 1 <= size + 2 * padding");
  }
  return (room - reach) / stride + 1;
}

void finish(const Call& call, Conv2d& v) {
  v.oh = result_size(call, v.h, v.kh, v.stride[0], v.pad[0], v.dilation[0], "height");
  v.ow = result_size(call, v.w, v.kw, v.stride[1], v.pad[1], v.dilation[1], "width");
}

void require_groups(const Call& call, const Conv2d& v) {
  if (!(v.o % v.groups == 0)) {
    throw call.error(ErrorKind::Shape, v.o.str() + " output channels do not divide into " + v.groups.str() + " groups")
        .need("weight.shape[0] % groups == 0");
  }
}

void require_result(const Call& call, const Conv2d& v, Dim oh, Dim ow) {
  if (!(oh == v.oh && ow == v.ow)) {
    throw call.error(ErrorKind::Shape, "g is an image of " + oh.str() + "x" + ow.str() +
                                           " but the convolution's result is " + v.oh.str() + "x" + v.ow.str());
  }
}

}  // namespace

Conv2d conv2d_of(const Call& call) {
  Conv2d v;
  read_attrs(call, v);
  read_images(call, 0, "input", v.batched, v.n, v.c, v.h, v.w);
  const Shape& w = call.shape(1);
  if (w.size() != 4) {
    throw call.error(ErrorKind::Shape, "weight has " + std::to_string(w.size()) + " dims")
        .need("weight.shape == [out_channels, in_channels / groups, height, width]");
  }
  v.o = w[0];
  v.kh = w[2];
  v.kw = w[3];
  if (!(v.c == w[1] * v.groups)) {
    throw call
        .error(ErrorKind::Shape, "input has " + v.c.str() + " channels but weight expects " + (w[1] * v.groups).str())
        .need(v.groups == 1 ? "input.shape[1] == weight.shape[1]" : "input.shape[1] == weight.shape[1] * groups")
        .fix("make the layer with in_channels=" + v.c.str());
  }
  require_groups(call, v);
  finish(call, v);
  return v;
}

Conv2d conv2d_input_grad_of(const Call& call) {
  Conv2d v;
  Dim oh, ow;
  read_attrs(call, v);
  read_images(call, 0, "g", v.batched, v.n, v.o, oh, ow);
  const Shape &w = call.shape(1), &in = call.list("input_size");
  if (w.size() != 4 || in.size() != call.shape(0).size() || !(w[0] == v.o)) {
    throw call.error(ErrorKind::Shape, "weight " + shape_str(w) + " and input_size " + shape_str(in) +
                                           " do not belong to g " + shape_str(call.shape(0)));
  }
  const size_t at = v.batched ? 1 : 0;
  v.c = in[at];
  v.h = in[at + 1];
  v.w = in[at + 2];
  v.kh = w[2];
  v.kw = w[3];
  finish(call, v);
  require_result(call, v, oh, ow);
  return v;
}

Conv2d conv2d_weight_grad_of(const Call& call) {
  Conv2d v;
  Dim oh, ow, n;
  bool batched = true;
  read_attrs(call, v);
  read_images(call, 0, "g", batched, n, v.o, oh, ow);
  read_images(call, 1, "input", v.batched, v.n, v.c, v.h, v.w);
  v.kh = pair_attr(call, "kernel_size", 0, 1);
  v.kw = pair_attr(call, "kernel_size", 1, 1);
  if (batched != v.batched || !(n == v.n)) {
    throw call.error(ErrorKind::Shape, "g " + shape_str(call.shape(0)) + " and input " + shape_str(call.shape(1)) +
                                           " have different batches");
  }
  finish(call, v);
  require_result(call, v, oh, ow);
  return v;
}

}  // namespace thixo::ops
