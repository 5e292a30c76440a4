// The layers: each C++ class with its constructor's arguments.
#include "nn.h"

namespace thixo::py {
namespace {

IntList int_list(nb::handle o) {
  IntList l;
  for (Dim d : to_shape(o.ptr())) l.push_back(d.value());
  return l;
}
std::optional<DType> maybe_dtype(nb::handle o) { return o.is_none() ? std::nullopt : std::optional(to_dtype(o.ptr())); }
nn::Padding padding(nb::handle o) {
  if (nb::isinstance<nb::str>(o)) return nn::Padding(nb::cast<std::string>(o).c_str());
  return nn::Padding(int_list(o));
}

}  // namespace

void add_layers(nb::module_& m) {
  using nb::arg;
  nb::none none;
  layer<nn::LinearImpl>(m, "Linear",
                        "x @ weight.T + bias.\n\n>>> thixo.nn.Linear(3, 2)(thixo.ones(5, 3)).shape\nthixo.Size([5, 2])")
      .def(
          "__init__",
          [](nn::LinearImpl* self, int64_t in, int64_t out, bool bias, nb::object, nb::object dtype) {
            new (bound(self)) Bound<nn::LinearImpl>(in, out, nn::LinearOptions{bias, maybe_dtype(dtype)});
          },
          arg("in_features"), arg("out_features"), arg("bias") = true, arg("device") = none, arg("dtype") = none)
      .def_ro("in_features", &nn::LinearImpl::in_features)
      .def_ro("out_features", &nn::LinearImpl::out_features);
  layer<nn::Conv2dImpl>(m, "Conv2d",
                        "2-D convolution over [N, C, H, W].\n\n>>> thixo.nn.Conv2d(1, 4, 3, padding=1)(thixo.ones(2, "
                        "1, 8, 8)).shape\nthixo.Size([2, 4, 8, 8])")
      .def(
          "__init__",
          [](nn::Conv2dImpl* self, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object pad,
             nb::object dilation, int64_t groups, bool bias, const std::string& mode, nb::object, nb::object dtype) {
            new (bound(self))
                Bound<nn::Conv2dImpl>(in, out, int_list(kernel),
                                      nn::Conv2dOptions{int_list(stride), padding(pad), int_list(dilation), groups,
                                                        bias, mode, maybe_dtype(dtype)});
          },
          arg("in_channels"), arg("out_channels"), arg("kernel_size"), arg("stride") = 1, arg("padding") = 0,
          arg("dilation") = 1, arg("groups") = 1, arg("bias") = true, arg("padding_mode") = "zeros",
          arg("device") = none, arg("dtype") = none)
      .def_ro("in_channels", &nn::Conv2dImpl::in_channels)
      .def_ro("out_channels", &nn::Conv2dImpl::out_channels);
  auto batch_norm = [&]<class Impl>(const char* name, const char* doc, Impl*) {
    layer<Impl>(m, name, doc)
        .def(
            "__init__",
            [](Impl* self, int64_t features, double eps, std::optional<double> momentum, bool affine, bool track,
               nb::object, nb::object dtype) {
              new (bound(self))
                  Bound<Impl>(features, nn::BatchNormOptions{eps, momentum, affine, track, maybe_dtype(dtype)});
            },
            arg("num_features"), arg("eps") = 1e-5, arg("momentum").none() = 0.1, arg("affine") = true,
            arg("track_running_stats") = true, arg("device") = nb::none(), arg("dtype") = nb::none())
        .def_ro("num_features", &Impl::num_features);
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
      .def(
          "__init__",
          [](nn::LayerNormImpl* self, nb::object shape, double eps, bool affine, bool bias, nb::object,
             nb::object dtype) {
            new (bound(self))
                Bound<nn::LayerNormImpl>(int_list(shape), nn::LayerNormOptions{eps, affine, bias, maybe_dtype(dtype)});
          },
          arg("normalized_shape"), arg("eps") = 1e-5, arg("elementwise_affine") = true, arg("bias") = true,
          arg("device") = none, arg("dtype") = none);
  layer<nn::RMSNormImpl>(m, "RMSNorm",
                         "Divided by the root of the mean square over the last dims, then scaled.\n\n>>> "
                         "thixo.nn.RMSNorm(2)(thixo.tensor([[3., 3.]])).detach()\ntensor([[1., 1.]])")
      .def(
          "__init__",
          [](nn::RMSNormImpl* self, nb::object shape, std::optional<double> eps, bool affine, nb::object,
             nb::object dtype) {
            new (bound(self))
                Bound<nn::RMSNormImpl>(int_list(shape), nn::RMSNormOptions{eps, affine, maybe_dtype(dtype)});
          },
          arg("normalized_shape"), arg("eps") = none, arg("elementwise_affine") = true, arg("device") = none,
          arg("dtype") = none);
  layer<nn::EmbeddingImpl>(m, "Embedding",
                           "One row of a table for each index.\n\n>>> thixo.nn.Embedding(10, 4)(thixo.tensor([1, 2, "
                           "3])).shape\nthixo.Size([3, 4])")
      .def(
          "__init__",
          [](nn::EmbeddingImpl* self, int64_t n, int64_t dim, std::optional<int64_t> padding_idx, nb::object,
             nb::object dtype) {
            nn::EmbeddingOptions o;
            o.padding_idx = padding_idx;
            o.dtype = maybe_dtype(dtype);
            new (bound(self)) Bound<nn::EmbeddingImpl>(n, dim, o);
          },
          arg("num_embeddings"), arg("embedding_dim"), arg("padding_idx") = none, arg("device") = none,
          arg("dtype") = none);
  auto plain = [&]<class Impl>(const char* name, const char* doc, Impl*) {
    layer<Impl>(m, name, doc)
        .def("__init__", [](Impl* self, bool) { new (bound(self)) Bound<Impl>(); }, arg("inplace") = false);
  };
  plain("Identity", "The input itself.\n\n>>> thixo.nn.Identity()(thixo.ones(1))\ntensor([1.])",
        static_cast<nn::IdentityImpl*>(nullptr));
  plain("ReLU", "max(x, 0).\n\n>>> thixo.nn.ReLU()(thixo.tensor([-1., 2.]))\ntensor([0., 2.])",
        static_cast<nn::ReLUImpl*>(nullptr));
  plain("SiLU", "x * sigmoid(x).\n\n>>> thixo.nn.SiLU()(thixo.tensor([0.]))\ntensor([0.])",
        static_cast<nn::SiLUImpl*>(nullptr));
  plain("Sigmoid", "1 / (1 + exp(-x)).\n\n>>> thixo.nn.Sigmoid()(thixo.tensor([0.]))\ntensor([0.5000])",
        static_cast<nn::SigmoidImpl*>(nullptr));
  plain("Tanh", "The hyperbolic tangent.\n\n>>> thixo.nn.Tanh()(thixo.tensor([0.]))\ntensor([0.])",
        static_cast<nn::TanhImpl*>(nullptr));
  layer<nn::GELUImpl>(m, "GELU",
                      "x times the normal distribution function of x.\n\n>>> thixo.nn.GELU()(thixo.tensor([0., "
                      "1.]))\ntensor([0.0000, 0.8413])")
      .def(
          "__init__",
          [](nn::GELUImpl* self, const std::string& approximate) {
            new (bound(self)) Bound<nn::GELUImpl>(nn::GELUOptions{approximate});
          },
          arg("approximate") = "none");
  layer<nn::SoftmaxImpl>(
      m, "Softmax",
      "exp(x) over its sum along a dim.\n\n>>> thixo.nn.Softmax(dim=0)(thixo.zeros(2))\ntensor([0.5000, 0.5000])")
      .def(
          "__init__", [](nn::SoftmaxImpl* self, int64_t dim) { new (bound(self)) Bound<nn::SoftmaxImpl>(dim); },
          arg("dim"));
  layer<nn::DropoutImpl>(m, "Dropout",
                         "Zeros elements with probability p while training and scales the rest up.\n\n>>> "
                         "thixo.nn.Dropout(0.5).eval()(thixo.ones(2))\ntensor([1., 1.])")
      .def(
          "__init__",
          [](nn::DropoutImpl* self, double p, bool) {
            new (bound(self)) Bound<nn::DropoutImpl>(nn::DropoutOptions(p));
          },
          arg("p") = 0.5, arg("inplace") = false);
  layer<nn::FlattenImpl>(
      m, "Flatten",
      "Dims start_dim to end_dim as one.\n\n>>> thixo.nn.Flatten()(thixo.ones(2, 3, 4)).shape\nthixo.Size([2, 12])")
      .def(
          "__init__",
          [](nn::FlattenImpl* self, int64_t start, int64_t end) {
            new (bound(self)) Bound<nn::FlattenImpl>(nn::FlattenOptions{start, end});
          },
          arg("start_dim") = 1, arg("end_dim") = -1);
  layer<nn::MaxPool2dImpl>(
      m, "MaxPool2d",
      "The largest of each window.\n\n>>> thixo.nn.MaxPool2d(2)(thixo.arange(4.).view(1, 1, 2, 2))\ntensor([[[[3.]]]])")
      .def(
          "__init__",
          [](nn::MaxPool2dImpl* self, nb::object kernel, nb::object stride, nb::object pad, nb::object dilation,
             bool ceil) {
            nn::MaxPool2dOptions o;
            if (!stride.is_none()) o.stride = int_list(stride);
            o.padding = int_list(pad);
            o.dilation = int_list(dilation);
            o.ceil_mode = ceil;
            new (bound(self)) Bound<nn::MaxPool2dImpl>(int_list(kernel), o);
          },
          arg("kernel_size"), arg("stride") = none, arg("padding") = 0, arg("dilation") = 1, arg("ceil_mode") = false);
  layer<nn::AvgPool2dImpl>(m, "AvgPool2d",
                           "The mean of each window.\n\n>>> thixo.nn.AvgPool2d(2)(thixo.arange(4.).view(1, 1, 2, "
                           "2))\ntensor([[[[1.5000]]]])")
      .def(
          "__init__",
          [](nn::AvgPool2dImpl* self, nb::object kernel, nb::object stride, nb::object pad, bool ceil, bool count) {
            nn::AvgPool2dOptions o;
            if (!stride.is_none()) o.stride = int_list(stride);
            o.padding = int_list(pad);
            o.ceil_mode = ceil;
            o.count_include_pad = count;
            new (bound(self)) Bound<nn::AvgPool2dImpl>(int_list(kernel), o);
          },
          arg("kernel_size"), arg("stride") = none, arg("padding") = 0, arg("ceil_mode") = false,
          arg("count_include_pad") = true);
  auto list_of = [](const std::vector<nn::Module*>& v) { return std::vector<Ref<nn::Module>>(v.begin(), v.end()); };
  layer<nn::SequentialImpl>(m, "_Sequential", "")
      .def(
          "__init__",
          [list_of](nn::SequentialImpl* self, const std::vector<nn::Module*>& v) {
            new (bound(self)) Bound<nn::SequentialImpl>(list_of(v));
          },
          arg("modules") = std::vector<nn::Module*>())
      .def("_append", [](nn::SequentialImpl& self, nn::Module* c) { self.append(Ref<nn::Module>(c)); });
  layer<nn::ModuleListImpl>(m, "_ModuleList", "")
      .def(
          "__init__",
          [list_of](nn::ModuleListImpl* self, const std::vector<nn::Module*>& v) {
            new (bound(self)) Bound<nn::ModuleListImpl>(list_of(v));
          },
          arg("modules") = std::vector<nn::Module*>())
      .def("_append", [](nn::ModuleListImpl& self, nn::Module* c) { self.append(Ref<nn::Module>(c)); });
}

}  // namespace thixo::py
