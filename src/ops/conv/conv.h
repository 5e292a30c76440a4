// The geometry of a 2-d convolution, shared by its three ops and, as numbers, by the backends.
#pragma once

#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {

/// input [n, c, h, w], weight [o, c / groups, kh, kw], result [n, o, oh, ow]. Without a batch dim n is 1.
struct Conv2d {
  bool batched = true;
  Dim n = 1, c, h, w, o, kh, kw, oh, ow, groups;
  Dim stride[2], pad[2], dilation[2];
  Shape input() const { return batched ? Shape{n, c, h, w} : Shape{c, h, w}; }
  Shape weight() const { return Shape{o, c / groups, kh, kw}; }
  Shape result() const { return batched ? Shape{n, o, oh, ow} : Shape{o, oh, ow}; }
};

/// Reads and checks a call of conv2d (operands input, weight), conv2d_input_grad (g, weight) or
/// conv2d_weight_grad (g, input).
Conv2d conv2d_of(const Call& call);
Conv2d conv2d_input_grad_of(const Call& call);
Conv2d conv2d_weight_grad_of(const Call& call);

/// Entry i (0 or 1) of an attribute that is one number for both spatial dims or two. ValueError otherwise, and
/// when the entry is below `least`.
Dim pair_attr(const Call& call, std::string_view name, size_t i, int64_t least);

/// The attributes that the three ops share, to hand on to another of them. conv2d.padding has no list of paddings.
struct ConvAttrs {
  IntList stride, padding, dilation;
  Dim groups;
  explicit ConvAttrs(const Call& call);
};

// Batching rules: a batch of images joins the batch; a batch of weights becomes groups.
BatchResult conv2d_batch(const BatchArgs& b);
BatchResult conv2d_input_grad_batch(const BatchArgs& b);
BatchResult conv2d_weight_grad_batch(const BatchArgs& b);

}  // namespace thixo::ops
