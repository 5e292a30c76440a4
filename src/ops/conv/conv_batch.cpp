#include "ops/batching.h"
#include "ops/conv/conv.h"
#include "private_ops.h"

namespace thixo::ops {

ConvAttrs::ConvAttrs(const Call& call) : groups(call.integer("groups")) {
  for (Dim d : call.list("stride")) stride.push_back(d);
  for (Dim d : call.list("dilation")) dilation.push_back(d);
  if (const Shape* p = std::get_if<Shape>(&call.attr("padding"))) {
    for (Dim d : *p) padding.push_back(d);
  }
}

namespace {

/// [B, C, H, W] or [B, N, C, H, W] with the batch joined to the channels: [B*C, H, W] or [N, B*C, H, W].
Tensor into_channels(const Tensor& t) {
  const Shape s = t.shape();
  if (s.size() == 4) return t.reshape(Shape{s[0] * s[1], s[2], s[3]});
  return t.transpose(0, 1).reshape(Shape{s[1], s[0] * s[2], s[3], s[4]});
}

/// [B, C, H, W] as it is, [B, N, C, H, W] as [B*N, C, H, W].
Tensor into_images(const Tensor& t) {
  const Shape s = t.shape();
  return s.size() == 4 ? t : t.reshape(Shape{s[0] * s[1], s[2], s[3], s[4]});
}

/// The batch back out of the images; `batched` says whether an example has several.
Tensor out_of_images(const Tensor& t, Dim batch, bool batched) {
  const Shape s = t.shape();
  return batched ? t.reshape(Shape{batch, s[0] / batch, s[1], s[2], s[3]}) : t;
}

/// The batch back out of the channels, where it becomes dim 0 or 1.
BatchResult out_of_channels(const Tensor& t, Dim batch) {
  const Shape s = t.shape();
  if (s.size() == 3) return {{t.reshape(Shape{batch, s[0] / batch, s[1], s[2]})}, {0}};
  return {{t.reshape(Shape{s[0], batch, s[1] / batch, s[2], s[3]})}, {1}};
}

Tensor repeated(const Tensor& t, Dim batch) {
  Shape s = t.shape();
  s.insert(0, batch);
  return t.unsqueeze(0).expand(s);
}

/// A weight [B, O, ...] as [B*O, ...].
Tensor into_outputs(const Tensor& w) {
  const Shape s = w.shape();
  return w.reshape(Shape{s[0] * s[1], s[2], s[3], s[4]});
}

/// Both operands' batches as groups; an operand without a batch is shared where there is one group, else repeated.
struct Grouped {
  Tensor images, weight;
  Dim groups;
  Grouped(const BatchArgs& b, const ConvAttrs& a, bool share_images)
      : images(batch_first(b, 0)),
        weight(into_outputs(b.batch_dim[1] >= 0 ? batch_first(b, 1) : repeated(b.call.in[1], b.batch_size))) {
    groups = a.groups * b.batch_size;
    if (b.batch_dim[0] >= 0) {
      images = into_channels(images);
    } else if (share_images && a.groups == 1) {
      groups = 1;
    } else {
      images = into_channels(repeated(images, b.batch_size));
    }
  }
};

}  // namespace

BatchResult conv2d_batch(const BatchArgs& b) {
  const ConvAttrs a(b.call);
  const bool bias_batched = b.call.has(2) && b.batch_dim[2] >= 0;
  if (b.batch_dim[1] < 0 && !bias_batched) {
    Tensor x = batch_first(b, 0);
    Tensor y = conv2d(into_images(x), b.call.in[1], b.call.in[2], a.stride, a.padding, a.dilation, a.groups);
    return {{out_of_images(y, b.batch_size, x.dim() == 5)}, {0}};
  }
  const Grouped v(b, a, true);
  BatchResult r =
      out_of_channels(conv2d(v.images, v.weight, Tensor(), a.stride, a.padding, a.dilation, v.groups), b.batch_size);
  if (b.call.has(2)) {
    Tensor bias = bias_batched ? batch_first(b, 2) : b.call.in[2];
    r.values[0] = r.values[0] + bias.unsqueeze(-1).unsqueeze(-1);  // [B, O, 1, 1] or [O, 1, 1]
  }
  return r;
}

BatchResult conv2d_input_grad_batch(const BatchArgs& b) {
  const ConvAttrs a(b.call);
  Shape size = b.call.list("input_size");
  const bool batched = size.size() == 4;
  if (b.batch_dim[1] < 0) {
    if (batched) {
      size[0] *= b.batch_size;
    } else {
      size.insert(0, b.batch_size);
    }
    Tensor y = conv2d_input_grad(into_images(batch_first(b, 0)), b.call.in[1], size, a.stride, a.padding, a.dilation,
                                 a.groups);
    return {{out_of_images(y, b.batch_size, batched)}, {0}};
  }
  const Grouped v(b, a, false);
  size[batched ? 1 : 0] *= b.batch_size;
  return out_of_channels(conv2d_input_grad(v.images, v.weight, size, a.stride, a.padding, a.dilation, v.groups),
                         b.batch_size);
}

BatchResult conv2d_weight_grad_batch(const BatchArgs& b) {
  const ConvAttrs a(b.call);
  Tensor g = into_channels(b.batch_dim[0] >= 0 ? batch_first(b, 0) : repeated(b.call.in[0], b.batch_size));
  Tensor x = batch_first(b, 1);
  Dim groups = a.groups * b.batch_size;
  if (b.batch_dim[1] >= 0) {
    x = into_channels(x);
  } else if (a.groups == 1) {
    groups = 1;  // one input for all examples: their outputs are just more channels
  } else {
    x = into_channels(repeated(x, b.batch_size));
  }
  IntList kernel;
  for (Dim d : b.call.list("kernel_size")) kernel.push_back(d);
  Tensor w = conv2d_weight_grad(g, x, kernel, a.stride, a.padding, a.dilation, groups);
  const Shape s = w.shape();
  return {{w.reshape(Shape{b.batch_size, s[0] / b.batch_size, s[1], s[2], s[3]})}, {0}};
}

}  // namespace thixo::ops
