// Layers without parameters, and containers.
#include "nn.h"

namespace thixo::py {

void add_simple_layers(nb::module_& m) {
  using nb::arg;
  nb::none none;
  layer<nn::IdentityImpl>(m, "Identity", "The input itself.\n\n>>> thixo.nn.Identity()(thixo.ones(1))\ntensor([1.])")
      .init([](nn::IdentityImpl* self, nb::args, nb::kwargs) { new (bound(self)) Bound<nn::IdentityImpl>(); });
  auto in_place_or_not = [&]<class Impl>(const char* name, const char* doc, Impl*) {
    layer<Impl>(m, name, doc)
        .init([](Impl* self, bool inplace) { new (bound(self)) Bound<Impl>(nn::InplaceOptions{inplace}); },
              arg("inplace") = false)
        .setting("inplace", [](auto& l) -> auto& { return l.options.inplace; });
  };
  in_place_or_not("ReLU", "max(x, 0).\n\n>>> thixo.nn.ReLU()(thixo.tensor([-1., 2.]))\ntensor([0., 2.])",
                  static_cast<nn::ReLUImpl*>(nullptr));
  in_place_or_not("SiLU", "x * sigmoid(x).\n\n>>> thixo.nn.SiLU()(thixo.tensor([0.]))\ntensor([0.])",
                  static_cast<nn::SiLUImpl*>(nullptr));
  layer<nn::SigmoidImpl>(m, "Sigmoid",
                         "1 / (1 + exp(-x)).\n\n>>> thixo.nn.Sigmoid()(thixo.tensor([0.]))\ntensor([0.5000])")
      .init([](nn::SigmoidImpl* self) { new (bound(self)) Bound<nn::SigmoidImpl>(); });
  layer<nn::TanhImpl>(m, "Tanh", "The hyperbolic tangent.\n\n>>> thixo.nn.Tanh()(thixo.tensor([0.]))\ntensor([0.])")
      .init([](nn::TanhImpl* self) { new (bound(self)) Bound<nn::TanhImpl>(); });
  layer<nn::GELUImpl>(m, "GELU",
                      "x times the normal distribution function of x.\n\n>>> thixo.nn.GELU()(thixo.tensor([0., "
                      "1.]))\ntensor([0.0000, 0.8413])")
      .init([](nn::GELUImpl* self,
               const std::string& approximate) { new (bound(self)) Bound<nn::GELUImpl>(nn::GELUOptions{approximate}); },
            arg("approximate") = "none")
      .setting("approximate", [](auto& l) -> auto& { return l.options.approximate; });
  layer<nn::SoftmaxImpl>(
      m, "Softmax",
      "exp(x) over its sum along a dim.\n\n>>> thixo.nn.Softmax(dim=0)(thixo.zeros(2))\ntensor([0.5000, 0.5000])")
      .init([](nn::SoftmaxImpl* self, int64_t dim) { new (bound(self)) Bound<nn::SoftmaxImpl>(dim); }, arg("dim"))
      .setting("dim", [](auto& l) -> auto& { return l.dim; });
  layer<nn::DropoutImpl>(m, "Dropout",
                         "Zeros elements with probability p while training and scales the rest up.\n\n>>> "
                         "thixo.nn.Dropout(0.5).eval()(thixo.ones(2))\ntensor([1., 1.])")
      .init([](nn::DropoutImpl* self, double p,
               bool inplace) { new (bound(self)) Bound<nn::DropoutImpl>(nn::DropoutOptions(p, inplace)); },
            arg("p") = 0.5, arg("inplace") = false)
      .setting("p", [](auto& l) -> auto& { return l.p; })
      .setting("inplace", [](auto& l) -> auto& { return l.inplace; });
  layer<nn::FlattenImpl>(
      m, "Flatten",
      "Dims start_dim to end_dim as one.\n\n>>> thixo.nn.Flatten()(thixo.ones(2, 3, 4)).shape\nthixo.Size([2, 12])")
      .init([](nn::FlattenImpl* self, int64_t start,
               int64_t end) { new (bound(self)) Bound<nn::FlattenImpl>(nn::FlattenOptions{start, end}); },
            arg("start_dim") = 1, arg("end_dim") = -1)
      .setting("start_dim", [](auto& l) -> auto& { return l.options.start_dim; })
      .setting("end_dim", [](auto& l) -> auto& { return l.options.end_dim; });
  layer<nn::MaxPool2dImpl>(
      m, "MaxPool2d",
      "The largest of each window.\n\n>>> thixo.nn.MaxPool2d(2)(thixo.arange(4.).view(1, 1, 2, 2))\ntensor([[[[3.]]]])")
      .init(
          [](nn::MaxPool2dImpl* self, nb::object kernel, nb::object stride, nb::object pad, nb::object dilation,
             bool ceil) {
            nn::MaxPool2dOptions o;
            if (!stride.is_none()) o.stride = int_list(stride);
            o.padding = int_list(pad);
            o.dilation = int_list(dilation);
            o.ceil_mode = ceil;
            new (bound(self)) Bound<nn::MaxPool2dImpl>(int_list(kernel), o);
          },
          arg("kernel_size"), arg("stride") = none, arg("padding") = 0, arg("dilation") = 1, arg("ceil_mode") = false)
      .setting("kernel_size", [](auto& l) -> auto& { return l.kernel_size; })
      .setting("stride", [](auto& l) -> auto& { return l.options.stride; })
      .setting("padding", [](auto& l) -> auto& { return l.options.padding; })
      .setting("dilation", [](auto& l) -> auto& { return l.options.dilation; })
      .setting("ceil_mode", [](auto& l) -> auto& { return l.options.ceil_mode; });
  layer<nn::AvgPool2dImpl>(m, "AvgPool2d",
                           "The mean of each window.\n\n>>> thixo.nn.AvgPool2d(2)(thixo.arange(4.).view(1, 1, 2, "
                           "2))\ntensor([[[[1.5000]]]])")
      .init(
          [](nn::AvgPool2dImpl* self, nb::object kernel, nb::object stride, nb::object pad, bool ceil, bool count) {
            nn::AvgPool2dOptions o;
            if (!stride.is_none()) o.stride = int_list(stride);
            o.padding = int_list(pad);
            o.ceil_mode = ceil;
            o.count_include_pad = count;
            new (bound(self)) Bound<nn::AvgPool2dImpl>(int_list(kernel), o);
          },
          arg("kernel_size"), arg("stride") = none, arg("padding") = 0, arg("ceil_mode") = false,
          arg("count_include_pad") = true)
      .setting("kernel_size", [](auto& l) -> auto& { return l.kernel_size; })
      .setting("stride", [](auto& l) -> auto& { return l.options.stride; })
      .setting("padding", [](auto& l) -> auto& { return l.options.padding; })
      .setting("ceil_mode", [](auto& l) -> auto& { return l.options.ceil_mode; })
      .setting("count_include_pad", [](auto& l) -> auto& { return l.options.count_include_pad; });
  auto list_of = [](const std::vector<nn::Module*>& v) { return std::vector<Ref<nn::Module>>(v.begin(), v.end()); };
  layer<nn::SequentialImpl>(m, "_Sequential", "")
      .init([list_of](nn::SequentialImpl* self,
                      const std::vector<nn::Module*>& v) { new (bound(self)) Bound<nn::SequentialImpl>(list_of(v)); },
            arg("modules") = std::vector<nn::Module*>())
      .def("_append", [](nn::SequentialImpl& self, nn::Module* c) { self.append(Ref<nn::Module>(c)); });
  layer<nn::ModuleListImpl>(m, "_ModuleList", "")
      .init([list_of](nn::ModuleListImpl* self,
                      const std::vector<nn::Module*>& v) { new (bound(self)) Bound<nn::ModuleListImpl>(list_of(v)); },
            arg("modules") = std::vector<nn::Module*>())
      .def("_append", [](nn::ModuleListImpl& self, nn::Module* c) { self.append(Ref<nn::Module>(c)); });
}

}  // namespace thixo::py
