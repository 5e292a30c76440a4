// Layers with parameters: each C++ class with its constructor's arguments, which are properties too.
#include "nn.h"

namespace thixo::py {

void add_layers(nb::module_& m) {
  using nb::arg;
  nb::none none;
  layer<nn::LinearImpl>(m, "Linear",
                        "x @ weight.T + bias.\n\n>>> thixo.nn.Linear(3, 2)(thixo.ones(5, 3)).shape\nthixo.Size([5, 2])")
      .init(
          [](nn::LinearImpl* self, int64_t in, int64_t out, bool bias, nb::object, nb::object dtype) {
            new (bound(self)) Bound<nn::LinearImpl>(in, out, nn::LinearOptions{bias, maybe_dtype(dtype)});
          },
          arg("in_features"), arg("out_features"), arg("bias") = true, arg("device") = none, arg("dtype") = none)
      .setting("in_features", [](auto& l) -> auto& { return l.in_features; })
      .setting("out_features", [](auto& l) -> auto& { return l.out_features; });
  layer<nn::Conv2dImpl>(m, "Conv2d",
                        "2-D convolution over [N, C, H, W].\n\n>>> thixo.nn.Conv2d(1, 4, 3, padding=1)(thixo.ones(2, "
                        "1, 8, 8)).shape\nthixo.Size([2, 4, 8, 8])")
      .init(
          [](nn::Conv2dImpl* self, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object pad,
             nb::object dilation, int64_t groups, bool bias, const std::string& mode, nb::object, nb::object dtype) {
            new (bound(self))
                Bound<nn::Conv2dImpl>(in, out, int_list(kernel),
                                      nn::Conv2dOptions{int_list(stride), to_padding(pad), int_list(dilation), groups,
                                                        bias, mode, maybe_dtype(dtype)});
          },
          arg("in_channels"), arg("out_channels"), arg("kernel_size"), arg("stride") = 1, arg("padding") = 0,
          arg("dilation") = 1, arg("groups") = 1, arg("bias") = true, arg("padding_mode") = "zeros",
          arg("device") = none, arg("dtype") = none)
      .setting("in_channels", [](auto& l) -> auto& { return l.in_channels; })
      .setting("out_channels", [](auto& l) -> auto& { return l.out_channels; })
      .fixed("kernel_size", [](auto& l) -> auto& { return l.kernel_size; })
      .setting("stride", [](auto& l) -> auto& { return l.options.stride; })
      .setting("padding", [](auto& l) -> auto& { return l.options.padding; })
      .setting("dilation", [](auto& l) -> auto& { return l.options.dilation; })
      .setting("groups", [](auto& l) -> auto& { return l.options.groups; })
      .fixed("padding_mode", [](auto& l) -> auto& { return l.options.padding_mode; });
  auto batch_norm = [&]<class Impl>(const char* name, const char* doc, Impl*) {
    layer<Impl>(m, name, doc)
        .init(
            [](Impl* self, int64_t features, double eps, std::optional<double> momentum, bool affine, bool track,
               nb::object, nb::object dtype) {
              new (bound(self))
                  Bound<Impl>(features, nn::BatchNormOptions{eps, momentum, affine, track, maybe_dtype(dtype)});
            },
            arg("num_features"), arg("eps") = 1e-5, arg("momentum").none() = 0.1, arg("affine") = true,
            arg("track_running_stats") = true, arg("device") = nb::none(), arg("dtype") = nb::none())
        .setting("num_features", [](auto& l) -> auto& { return l.num_features; })
        .setting("eps", [](auto& l) -> auto& { return l.options.eps; })
        .setting("momentum", [](auto& l) -> auto& { return l.options.momentum; })
        .fixed("affine", [](auto& l) -> auto& { return l.options.affine; })
        .setting("track_running_stats", [](auto& l) -> auto& { return l.options.track_running_stats; });
  };
  batch_norm("BatchNorm1d",
             "Mean 0 and variance 1 of each channel over the batch; running figures in eval mode.\n\n>>> "
             "thixo.nn.BatchNorm1d(3)(thixo.randn(4, 3)).shape\nthixo.Size([4, 3])",
             static_cast<nn::BatchNorm1dImpl*>(nullptr));
  batch_norm("BatchNorm2d",
             "Mean 0 and variance 1 of each channel over batch and places; running figures in eval mode.\n\n>>> "
             "thixo.nn.BatchNorm2d(3)(thixo.randn(2, 3, 4, 4)).shape\nthixo.Size([2, 3, 4, 4])",
             static_cast<nn::BatchNorm2dImpl*>(nullptr));
  layer<nn::LayerNormImpl>(m, "LayerNorm",
                           "Mean 0 and variance 1 over the last dims, then a scale and a shift.\n\n>>> "
                           "thixo.nn.LayerNorm(2)(thixo.tensor([[1., 3.]])).detach()\ntensor([[-1.0000,  1.0000]])")
      .init(
          [](nn::LayerNormImpl* self, nb::object shape, double eps, bool affine, bool bias, nb::object,
             nb::object dtype) {
            new (bound(self))
                Bound<nn::LayerNormImpl>(int_list(shape), nn::LayerNormOptions{eps, affine, bias, maybe_dtype(dtype)});
          },
          arg("normalized_shape"), arg("eps") = 1e-5, arg("elementwise_affine") = true, arg("bias") = true,
          arg("device") = none, arg("dtype") = none)
      .shape("normalized_shape", [](auto& l) -> auto& { return l.normalized_shape; })
      .setting("eps", [](auto& l) -> auto& { return l.options.eps; })
      .fixed("elementwise_affine", [](auto& l) -> auto& { return l.options.elementwise_affine; });
  layer<nn::RMSNormImpl>(m, "RMSNorm",
                         "Divided by the root of the mean square over the last dims, then scaled.\n\n>>> "
                         "thixo.nn.RMSNorm(2)(thixo.tensor([[3., 3.]])).detach()\ntensor([[1., 1.]])")
      .init(
          [](nn::RMSNormImpl* self, nb::object shape, std::optional<double> eps, bool affine, nb::object,
             nb::object dtype) {
            new (bound(self))
                Bound<nn::RMSNormImpl>(int_list(shape), nn::RMSNormOptions{eps, affine, maybe_dtype(dtype)});
          },
          arg("normalized_shape"), arg("eps") = none, arg("elementwise_affine") = true, arg("device") = none,
          arg("dtype") = none)
      .shape("normalized_shape", [](auto& l) -> auto& { return l.normalized_shape; })
      .setting("eps", [](auto& l) -> auto& { return l.options.eps; })
      .fixed("elementwise_affine", [](auto& l) -> auto& { return l.options.elementwise_affine; });
  layer<nn::EmbeddingImpl>(m, "Embedding",
                           "One row of a table for each index.\n\n>>> thixo.nn.Embedding(10, 4)(thixo.tensor([1, 2, "
                           "3])).shape\nthixo.Size([3, 4])")
      .init(
          [](nn::EmbeddingImpl* self, int64_t n, int64_t dim, std::optional<int64_t> padding_idx, nb::object,
             nb::object dtype) {
            nn::EmbeddingOptions o;
            o.padding_idx = padding_idx;
            o.dtype = maybe_dtype(dtype);
            new (bound(self)) Bound<nn::EmbeddingImpl>(n, dim, o);
          },
          arg("num_embeddings"), arg("embedding_dim"), arg("padding_idx") = none, arg("device") = none,
          arg("dtype") = none)
      .setting("num_embeddings", [](auto& l) -> auto& { return l.num_embeddings; })
      .setting("embedding_dim", [](auto& l) -> auto& { return l.embedding_dim; })
      .setting("padding_idx", [](auto& l) -> auto& { return l.padding_idx; });
}

}  // namespace thixo::py
