// 2-d convolution and its two gradients. It is linear in the input and in the weight, so the three ops are each
// other's gradients and close among themselves.
#include "ops/contract/contract.h"
#include "ops/conv/conv.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// Index of image `n`, channel `c`, row `y`, column `x`, with or without a batch dim.
std::vector<Expr> image_at(const Conv2d& v, Expr n, Expr c, Expr y, Expr x) {
  return v.batched ? std::vector<Expr>{n, c, y, x} : std::vector<Expr>{c, y, x};
}

/// Where output position o looks through tap k: o * stride - pad + k * dilation, and whether that is inside.
Expr looked_at(const Conv2d& v, int dim, Expr o, Expr k) {
  return o * size(v.stride[dim]) - size(v.pad[dim]) + k * size(v.dilation[dim]);
}
Expr inside(Expr i, Dim extent) { return (i >= constant_int(0)) & (i < size(extent)); }

void conv2d_nest(NestCtx& c) {
  const Conv2d v = conv2d_of(c);
  const int lead = v.batched ? 1 : 0;
  Expr n = v.batched ? c.out_axis(0) : constant_int(0), o = c.out_axis(lead), y = c.out_axis(lead + 1),
       x = c.out_axis(lead + 2);
  Expr i = c.reduce_axis(v.c / v.groups), ky = c.reduce_axis(v.kh), kx = c.reduce_axis(v.kw);
  Expr group = floor_div(o, size(v.o / v.groups)), iy = looked_at(v, 0, y, ky), ix = looked_at(v, 1, x, kx);
  Expr value = c.load_if(inside(iy, v.h) & inside(ix, v.w), 0, image_at(v, n, group * size(v.c / v.groups) + i, iy, ix),
                         constant(0.0, compute_type(c.dtype(0))));
  c.combine = Combine::Sum;
  c.values = {widened(value) * widened(c.load(1, {o, i, ky, kx}))};
  if (c.has(2)) {
    Expr bias = widened(c.load(2, {o}));
    c.finish = [bias](Expr sum) { return sum + bias; };
  }
}

void conv2d_input_grad_nest(NestCtx& c) {
  const Conv2d v = conv2d_input_grad_of(c);
  const int lead = v.batched ? 1 : 0;
  Expr n = v.batched ? c.out_axis(0) : constant_int(0), ch = c.out_axis(lead), iy = c.out_axis(lead + 1),
       ix = c.out_axis(lead + 2);
  Expr o = c.reduce_axis(v.o / v.groups), ky = c.reduce_axis(v.kh), kx = c.reduce_axis(v.kw);
  Expr per = size(v.c / v.groups), oc = floor_div(ch, per) * size(v.o / v.groups) + o;
  // Output row y saw input row iy through tap ky when iy + pad - ky * dilation is y * stride.
  Expr ty = iy + size(v.pad[0]) - ky * size(v.dilation[0]), tx = ix + size(v.pad[1]) - kx * size(v.dilation[1]);
  Expr y = floor_div(ty, size(v.stride[0])), x = floor_div(tx, size(v.stride[1]));
  Expr hit = inside(y, v.oh) & inside(x, v.ow) & eq(y * size(v.stride[0]), ty) & eq(x * size(v.stride[1]), tx);
  Expr g = c.load_if(hit, 0, image_at(v, n, oc, y, x), constant(0.0, compute_type(c.dtype(0))));
  c.combine = Combine::Sum;
  c.values = {widened(g) * widened(c.load(1, {oc, mod(ch, per), ky, kx}))};
}

void conv2d_weight_grad_nest(NestCtx& c) {
  const Conv2d v = conv2d_weight_grad_of(c);
  Expr o = c.out_axis(0), i = c.out_axis(1), ky = c.out_axis(2), kx = c.out_axis(3);
  Expr n = v.batched ? c.reduce_axis(v.n) : constant_int(0), y = c.reduce_axis(v.oh), x = c.reduce_axis(v.ow);
  Expr group = floor_div(o, size(v.o / v.groups)), iy = looked_at(v, 0, y, ky), ix = looked_at(v, 1, x, kx);
  Expr value = c.load_if(inside(iy, v.h) & inside(ix, v.w), 1, image_at(v, n, group * size(v.c / v.groups) + i, iy, ix),
                         constant(0.0, compute_type(c.dtype(1))));
  c.combine = Combine::Sum;
  c.values = {widened(c.load(0, image_at(v, n, o, y, x))) * widened(value)};
}

IntList kernel_of(const Shape& weight) { return IntList{weight[2], weight[3]}; }

Values conv2d_grad(GradCtx& c) {
  const ConvAttrs a(c.call());
  const Shape x = c.call().shape(0), w = c.call().shape(1);
  Values r{Tensor(), Tensor(), Tensor()};
  if (c.needs(0)) r[0] = conv2d_input_grad(c.g(), c.in(1), x, a.stride, a.padding, a.dilation, a.groups);
  if (c.needs(1)) r[1] = conv2d_weight_grad(c.g(), c.in(0), kernel_of(w), a.stride, a.padding, a.dilation, a.groups);
  if (c.call().has(2) && c.needs(2)) r[2] = c.g().sum(x.size() == 4 ? IntList{0, 2, 3} : IntList{1, 2});
  return r;
}

Values conv2d_input_grad_grad(GradCtx& c) {
  const ConvAttrs a(c.call());
  Values r{Tensor(), Tensor()};
  if (c.needs(0)) r[0] = conv2d(c.g(), c.in(1), Tensor(), a.stride, a.padding, a.dilation, a.groups);
  if (c.needs(1))
    r[1] = conv2d_weight_grad(c.in(0), c.g(), kernel_of(c.call().shape(1)), a.stride, a.padding, a.dilation, a.groups);
  return r;
}

Values conv2d_weight_grad_grad(GradCtx& c) {
  const ConvAttrs a(c.call());
  Values r{Tensor(), Tensor()};
  if (c.needs(0)) r[0] = conv2d(c.in(1), c.g(), Tensor(), a.stride, a.padding, a.dilation, a.groups);
  if (c.needs(1))
    r[1] = conv2d_input_grad(c.in(0), c.g(), c.call().shape(1), a.stride, a.padding, a.dilation, a.groups);
  return r;
}

/// Calls of conv2d (kind 0), conv2d_input_grad (1) and conv2d_weight_grad (2) of the same convolutions.
std::vector<Sample> conv_samples(int kind) {
  struct Case {
    Shape x, w, result, stride, padding, dilation;
    int64_t groups;
    bool bias;
  };
  const Case cases[] = {
      {{2, 3, 5, 6}, {4, 3, 3, 3}, {2, 4, 5, 6}, {1}, {1}, {1}, 1, true},
      {{1, 2, 7, 8}, {3, 2, 3, 2}, {1, 3, 3, 5}, {2}, {0, 1}, {1}, 1, false},
      {{2, 4, 8, 7}, {6, 2, 3, 3}, {2, 6, 3, 5}, {2, 1}, {1}, {2, 2}, 2, true},
      {{3, 5, 4}, {2, 3, 1, 1}, {2, 5, 4}, {1}, {0}, {1}, 1, true},
      {{2, 4, 5, 5}, {4, 1, 3, 3}, {2, 4, 3, 3}, {2}, {1}, {1}, 4, false},
      {{1, 17, 9, 19}, {18, 17, 3, 3}, {1, 18, 9, 19}, {1}, {1}, {1}, 1, true},
      {{0, 3, 5, 5}, {2, 3, 3, 3}, {0, 2, 3, 3}, {1}, {0}, {1}, 1, true},
      {{1, 2, 4, 3}, {2, 1, 2, 2}, {1, 2, 2, 4}, {2, 1}, {1}, {2, 1}, 2, false},
  };
  std::vector<Sample> out;
  for (const Case& k : cases) {
    Sample s;
    s.attrs = {{"stride", Attr(k.stride)},
               {"padding", Attr(k.padding)},
               {"dilation", Attr(k.dilation)},
               {"groups", Attr(Dim(k.groups))}};
    if (kind == 0) {
      s.in = {{k.x}, {k.w}, {Shape{k.w[0]}}};
      s.in[2].absent = !k.bias;
    } else if (kind == 1) {
      s.in = {{k.result}, {k.w}};
      s.attrs.emplace_back("input_size", Attr(k.x));
    } else {
      s.in = {{k.result}, {k.x}};
      s.attrs.emplace_back("kernel_size", Attr(Shape{k.w[2], k.w[3]}));
    }
    out.push_back(std::move(s));
  }
  return out;
}

void add_bad_samples(std::vector<Sample>& out) {
  auto bad = [&](Shape x, Shape w, Shape b, int64_t groups, int64_t stride, std::string text) {
    Sample s{{{std::move(x)}, {std::move(w)}, {std::move(b)}},
             {{"groups", Attr(Dim(groups))}, {"stride", Attr(Shape{stride})}},
             std::move(text)};
    s.in[2].absent = s.in[2].shape.empty();
    out.push_back(std::move(s));
  };
  bad({8, 3, 32, 32}, {64, 4, 3, 3}, {}, 1, 1, "input has 3 channels but weight expects 4");
  bad({2, 4, 5, 5}, {3, 2, 3, 3}, {}, 2, 1, "3 output channels do not divide into 2 groups");
  bad({2, 3, 5, 5}, {4, 3, 7, 7}, {}, 1, 1, "the kernel's height 7 is larger than the padded input's 5");
  bad({2, 3, 5, 5}, {4, 3, 3, 3}, {5}, 1, 1, "bias has shape [5] but there are 4 output channels");
  bad({2, 3, 5, 5}, {4, 3, 3, 3}, {}, 1, 0, "stride is 0");
  bad({3, 5}, {4, 3, 3, 3}, {}, 1, 1, "input has 2 dims");
  bad({2, 3, 5, 5}, {4, 3, 3}, {}, 1, 1, "weight has 3 dims");
  bad({2, 3, 5, 5}, {4, 3, 3, 3}, {}, 0, 1, "groups is 0");
  bad({2, 3, 5, 5}, {4, 3, 3, 3}, {}, 1, 1, "stride has 3 numbers");
  out.back().attrs[1].second = Shape{1, 1, 1};
}

}  // namespace

void def_conv2d(Op& op) {
  op.schema(
        "conv2d(input: Float, weight: Float, bias: Float?, stride: dims = 1, padding: dims = 0, dilation: dims = 1, "
        "groups: int = 1) -> Float @nn")
      .doc(
          "The cross-correlation of images [batch, channels, height, width] with a kernel [out, channels / groups, "
          "height, width].")
      .example(
          ">>> thixo.nn.functional.conv2d(thixo.ones(1, 1, 3, 3), thixo.ones(1, 1, 2, 2)).shape\nthixo.Size([1, 1, 2, "
          "2])")
      .infer([](Infer& c) {
        require_same_dtype(c, 0, 1);
        const Conv2d v = conv2d_of(c);
        if (c.has(2)) {
          require_same_dtype(c, 0, 2);
          if (c.rank(2) != 1 || !(c.shape(2)[0] == v.o)) {
            throw c
                .error(ErrorKind::Shape,
                       "bias has shape " + shape_str(c.shape(2)) + " but there are " + v.o.str() + " output channels")
                .need("bias.shape == [weight.shape[0]]");
          }
        }
        c.result(c.dtype(0), v.result());
      })
      .nest(conv2d_nest)
      .kernel("conv2d")
      .grad(conv2d_grad)
      .batch(conv2d_batch)
      .ulps(64, 64)
      .samples([] {
        std::vector<Sample> s = conv_samples(0);
        add_bad_samples(s);
        return s;
      });
}

void def_conv2d_input_grad(Op& op) {
  op.schema(
        "conv2d_input_grad(g: Float, weight: Float, input_size: size, stride: dims, padding: dims, dilation: dims, "
        "groups: int) -> Float @private")
      .doc("The gradient of conv2d with respect to its input: every result element gives back through its taps.")
      .infer([](Infer& c) {
        require_same_dtype(c, 0, 1);
        c.result(c.dtype(0), conv2d_input_grad_of(c).input());
      })
      .nest(conv2d_input_grad_nest)
      .kernel("conv2d_input_grad")
      .grad(conv2d_input_grad_grad)
      .batch(conv2d_input_grad_batch)
      .ulps(64, 64)
      .samples([] { return conv_samples(1); });
}

void def_conv2d_weight_grad(Op& op) {
  op.schema(
        "conv2d_weight_grad(g: Float, input: Float, kernel_size: dims, stride: dims, padding: dims, dilation: dims, "
        "groups: int) -> Float @private")
      .doc(
          "The gradient of conv2d with respect to its weight: products of results' gradients and inputs, summed over "
          "all images and places.")
      .infer([](Infer& c) {
        require_same_dtype(c, 0, 1);
        c.result(c.dtype(0), conv2d_weight_grad_of(c).weight());
      })
      .nest(conv2d_weight_grad_nest)
      .kernel("conv2d_weight_grad")
      .grad(conv2d_weight_grad_grad)
      .batch(conv2d_weight_grad_batch)
      .ulps(256, 256)
      .samples([] { return conv_samples(2); });
}

void def_conv2d_padding(Op& op) {
  op.schema(
        "conv2d.padding(input: Float, weight: Float, bias: Float?, stride: dims, padding: same|valid, dilation: dims = "
        "1, groups: int = 1) -> Float @nn")
      .doc(
          "conv2d with the padding by name: valid is none; same gives the result the input's height and width (stride "
          "1).")
      .example(
          ">>> thixo.nn.functional.conv2d(thixo.ones(1, 1, 3, 3), thixo.ones(1, 1, 3, 3), padding='same').shape\n"
          "thixo.Size([1, 1, 3, 3])")
      .compose([](const Call& c) {
        ConvAttrs a(c);
        if (c.text("padding") == "valid")
          return Values{conv2d(c.in[0], c.in[1], c.in[2], a.stride, 0, a.dilation, a.groups)};
        if (c.rank(1) != 4)
          throw c.error(ErrorKind::Shape, "weight has " + std::to_string(c.rank(1)) + " dims").need("4 dims");
        Dim before[2], after[2];
        for (size_t i = 0; i < 2; ++i) {
          if (!(pair_attr(c, "stride", i, 1) == 1))
            throw c.error(ErrorKind::Value, "padding='same' needs stride 1").fix("give the padding as numbers");
          const Dim total = pair_attr(c, "dilation", i, 1) * (c.shape(1)[2 + i] - 1);
          before[i] = total / 2;
          after[i] = total - before[i];
        }
        if (before[0] == after[0] && before[1] == after[1]) {
          return Values{
              conv2d(c.in[0], c.in[1], c.in[2], a.stride, IntList{before[0], before[1]}, a.dilation, a.groups)};
        }
        Tensor padded = pad(c.in[0], Shape{before[1], after[1], before[0], after[0]});
        return Values{conv2d(padded, c.in[1], c.in[2], a.stride, 0, a.dilation, a.groups)};
      })
      .samples([] {
        auto call = [](Shape w, const char* padding, int64_t stride, std::string bad = {}) {
          return Sample{{{{2, 3, 6, 5}}, {w}, {Shape{w[0]}}},
                        {{"stride", Attr(Shape{stride})}, {"padding", Attr(std::string(padding))}},
                        std::move(bad)};
        };
        return std::vector<Sample>{call({4, 3, 3, 3}, "same", 1), call({4, 3, 2, 4}, "same", 1),
                                   call({4, 3, 3, 3}, "valid", 2),
                                   call({4, 3, 3, 3}, "same", 2, "padding='same' needs stride 1")};
      });
}

}  // namespace thixo::ops
