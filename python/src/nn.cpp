// Modules: the C++ ones as Python classes, and Python subclasses that C++ can call.
#include "thixo/nn.h"

#include <nanobind/trampoline.h>

#include "py.h"

namespace thixo::py {
namespace {

PyTypeObject* g_parameter = nullptr;  // thixo.nn.Parameter

/// A parameter that Python has not seen yet becomes an nn.Parameter.
nb::object wrap_parameter(const Tensor& t) {
  if (!t.defined() || t.object()->bound() != nullptr || g_parameter == nullptr) return nb::steal(wrap(t));
  return nb::steal(wrap_as(g_parameter, t));
}

/// A module whose Python subclass may override forward, the name and extra_repr.
template <class Base> struct Bound : Base {
  NB_TRAMPOLINE(Base, 3);
  Tensor forward(const Tensor& x) override { NB_OVERRIDE(forward, x); }
  std::string extra_repr() const override { NB_OVERRIDE(extra_repr); }
  std::string type_name() const override {
    nb::gil_scoped_acquire gil;
    nb::handle self = nb::find(static_cast<const nn::Module*>(this));
    return self.is_valid() ? nb::cast<std::string>(self.type().attr("__name__")) : Base::type_name();
  }
};

nb::object child_object(const Ref<nn::Module>& m) { return m ? nb::cast(m.get()) : nb::none(); }

/// What Module.__getattr__ finds when Python's own lookup fails.
nb::object find_member(nn::Module& m, const std::string& name) {
  if (const Ref<nn::Module>* child = m.find_child(name)) return child_object(*child);
  for (const std::string& p : m.parameter_names()) {
    if (p == name) return wrap_parameter(*m.find_tensor(name));
  }
  if (const Tensor* t = m.find_tensor(name)) return nb::steal(wrap(*t));
  throw nb::attribute_error(("'" + m.type_name() + "' object has no attribute '" + name + "'").c_str());
}

nb::list pairs(const std::vector<nn::Named<Tensor>>& v, bool parameters) {
  nb::list l;
  for (const auto& [name, t] : v) l.append(nb::make_tuple(name, parameters ? wrap_parameter(t) : nb::steal(wrap(t))));
  return l;
}

void add_module(nb::module_& m) {
  nb::class_<nn::Module, Bound<nn::Module>>(m, "Module", nb::dynamic_attr(), nb::is_weak_referenceable(),
                                            nb::intrusive_ptr<nn::Module>([](nn::Module* o, PyObject* self) noexcept {
                                              int64_t held = o->bind(self);
                                              for (int64_t i = 0; i < held; ++i) Py_INCREF(self);
                                            }))
      .def(nb::init<>())
      .def("forward", [](nn::Module& self, const Tensor& x) { return self.nn::Module::forward(x); })
      .def("_find", find_member)
      .def("_kind",
           [](nn::Module& self, const std::string& n) {
             auto has = [&](const std::vector<std::string>& v) { return std::find(v.begin(), v.end(), n) != v.end(); };
             return has(self.child_names())       ? "module"
                    : has(self.parameter_names()) ? "parameter"
                    : has(self.buffer_names())    ? "buffer"
                                                  : "";
           })
      .def(
          "register_parameter",
          [](nn::Module& self, const std::string& n, const Tensor& t) { self.register_parameter(n, t); },
          nb::arg("name"), nb::arg("param").none())
      .def(
          "register_buffer",
          [](nn::Module& self, const std::string& n, const Tensor& t, bool persistent) {
            self.register_buffer(n, t, persistent);
          },
          nb::arg("name"), nb::arg("tensor").none(), nb::arg("persistent") = true)
      .def(
          "register_module",
          [](nn::Module& self, const std::string& n, nn::Module* c) { self.register_module(n, Ref<nn::Module>(c)); },
          nb::arg("name"), nb::arg("module").none())
      .def("_unregister", [](nn::Module& self, const std::string& n) { return self.unregister(n); })
      .def("_named_children",
           [](nn::Module& self) {
             nb::list l;
             for (const auto& [name, c] : self.named_children()) l.append(nb::make_tuple(name, child_object(c)));
             return l;
           })
      .def("_named_modules",
           [](nn::Module& self) {
             nb::list l;
             for (const auto& [name, c] : self.named_modules()) l.append(nb::make_tuple(name, nb::cast(c)));
             return l;
           })
      .def("_named_parameters",
           [](nn::Module& self, bool recurse) { return pairs(self.named_parameters(recurse), true); })
      .def("_named_buffers", [](nn::Module& self, bool recurse) { return pairs(self.named_buffers(recurse), false); })
      .def("_member_names",
           [](nn::Module& self) {
             std::vector<std::string> all = self.parameter_names();
             for (const auto& n : self.buffer_names()) all.push_back(n);
             for (const auto& n : self.child_names()) all.push_back(n);
             return all;
           })
      .def(
          "get_submodule",
          [](nn::Module& self, const std::string& path) { return nb::cast(&self.get_submodule(path)); },
          nb::arg("target"))
      .def_prop_ro("training", &nn::Module::training)
      .def("_train", [](nn::Module& self, bool on) { self.train(on); })
      .def("_to_dtype", [](nn::Module& self, nb::object t) { self.to(to_dtype(t.ptr())); })
      .def("_to_channels_last", [](nn::Module& self) { self.to(MemoryFormat::ChannelsLast); })
      .def("_requires_grad", [](nn::Module& self, bool on) { self.requires_grad_(on); })
      .def(
          "zero_grad", [](nn::Module& self, bool none) { self.zero_grad(none); }, nb::arg("set_to_none") = true)
      .def("_state", [](nn::Module& self) { return pairs(self.state_dict(), false); })
      .def("_load_state",
           [](nn::Module& self, const std::vector<std::pair<std::string, Tensor>>& s, bool strict) {
             nn::LoadReport r = self.load_state_dict(s, strict);
             return nb::make_tuple(r.missing, r.unexpected);
           })
      .def(
          "save", [](nn::Module& self, const std::string& path) { self.save(path); }, nb::arg("path"),
          "Writes the state_dict as a safetensors file.")
      .def(
          "load",
          [](nn::Module& self, const std::string& path, bool strict) {
            nn::LoadReport r = self.load(path, strict);
            return nb::make_tuple(r.missing, r.unexpected);
          },
          nb::arg("path"), nb::arg("strict") = true)
      .def("extra_repr", [](nn::Module& self) { return self.nn::Module::extra_repr(); })
      .def("__repr__", [](nn::Module& self) { return self.str(); });
}

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

/// Where a Bound<Impl> is made: nanobind keeps room for one wherever it keeps an Impl.
template <class Impl> void* bound(Impl* self) { return self; }

/// A class for Impl whose one-tensor forward is C++'s own.
template <class Impl> nb::class_<Impl, nn::Module, Bound<Impl>> layer(nb::module_& m, const char* name) {
  nb::class_<Impl, nn::Module, Bound<Impl>> c(m, name, nb::dynamic_attr());
  c.def("forward", [](Impl& self, const Tensor& x) { return self.Impl::forward(x); }, nb::arg("input"));
  c.def("extra_repr", [](Impl& self) { return self.Impl::extra_repr(); });
  return c;
}

}  // namespace

void add_layers(nb::module_& m);

void add_nn(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("_nn");
  m.def("_set_parameter_type",
        [](nb::type_object t) { g_parameter = reinterpret_cast<PyTypeObject*>(t.release().ptr()); });
  add_module(m);
  add_layers(m);
}

void add_layers(nb::module_& m) {
  using nb::arg;
  nb::none none;
  layer<nn::LinearImpl>(m, "Linear")
      .def(
          "__init__",
          [](nn::LinearImpl* self, int64_t in, int64_t out, bool bias, nb::object, nb::object dtype) {
            new (bound(self)) Bound<nn::LinearImpl>(in, out, nn::LinearOptions{bias, maybe_dtype(dtype)});
          },
          arg("in_features"), arg("out_features"), arg("bias") = true, arg("device") = none, arg("dtype") = none)
      .def_ro("in_features", &nn::LinearImpl::in_features)
      .def_ro("out_features", &nn::LinearImpl::out_features);
  layer<nn::Conv2dImpl>(m, "Conv2d")
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
  auto batch_norm = [&]<class Impl>(const char* name, Impl*) {
    layer<Impl>(m, name)
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
  batch_norm("BatchNorm1d", static_cast<nn::BatchNorm1dImpl*>(nullptr));
  batch_norm("BatchNorm2d", static_cast<nn::BatchNorm2dImpl*>(nullptr));
  layer<nn::LayerNormImpl>(m, "LayerNorm")
      .def(
          "__init__",
          [](nn::LayerNormImpl* self, nb::object shape, double eps, bool affine, bool bias, nb::object,
             nb::object dtype) {
            new (bound(self))
                Bound<nn::LayerNormImpl>(int_list(shape), nn::LayerNormOptions{eps, affine, bias, maybe_dtype(dtype)});
          },
          arg("normalized_shape"), arg("eps") = 1e-5, arg("elementwise_affine") = true, arg("bias") = true,
          arg("device") = none, arg("dtype") = none);
  layer<nn::RMSNormImpl>(m, "RMSNorm")
      .def(
          "__init__",
          [](nn::RMSNormImpl* self, nb::object shape, std::optional<double> eps, bool affine, nb::object,
             nb::object dtype) {
            new (bound(self))
                Bound<nn::RMSNormImpl>(int_list(shape), nn::RMSNormOptions{eps, affine, maybe_dtype(dtype)});
          },
          arg("normalized_shape"), arg("eps") = none, arg("elementwise_affine") = true, arg("device") = none,
          arg("dtype") = none);
  layer<nn::EmbeddingImpl>(m, "Embedding")
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
  auto plain = [&]<class Impl>(const char* name, Impl*) {
    layer<Impl>(m, name).def(
        "__init__", [](Impl* self, bool) { new (bound(self)) Bound<Impl>(); }, arg("inplace") = false);
  };
  plain("Identity", static_cast<nn::IdentityImpl*>(nullptr));
  plain("ReLU", static_cast<nn::ReLUImpl*>(nullptr));
  plain("SiLU", static_cast<nn::SiLUImpl*>(nullptr));
  plain("Sigmoid", static_cast<nn::SigmoidImpl*>(nullptr));
  plain("Tanh", static_cast<nn::TanhImpl*>(nullptr));
  layer<nn::GELUImpl>(m, "GELU").def(
      "__init__",
      [](nn::GELUImpl* self, const std::string& approximate) {
        new (bound(self)) Bound<nn::GELUImpl>(nn::GELUOptions{approximate});
      },
      arg("approximate") = "none");
  layer<nn::SoftmaxImpl>(m, "Softmax")
      .def(
          "__init__", [](nn::SoftmaxImpl* self, int64_t dim) { new (bound(self)) Bound<nn::SoftmaxImpl>(dim); },
          arg("dim"));
  layer<nn::DropoutImpl>(m, "Dropout")
      .def(
          "__init__",
          [](nn::DropoutImpl* self, double p, bool) {
            new (bound(self)) Bound<nn::DropoutImpl>(nn::DropoutOptions(p));
          },
          arg("p") = 0.5, arg("inplace") = false);
  layer<nn::FlattenImpl>(m, "Flatten")
      .def(
          "__init__",
          [](nn::FlattenImpl* self, int64_t start, int64_t end) {
            new (bound(self)) Bound<nn::FlattenImpl>(nn::FlattenOptions{start, end});
          },
          arg("start_dim") = 1, arg("end_dim") = -1);
  layer<nn::MaxPool2dImpl>(m, "MaxPool2d")
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
  layer<nn::AvgPool2dImpl>(m, "AvgPool2d")
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
  layer<nn::SequentialImpl>(m, "_Sequential")
      .def("__init__",
           [list_of](nn::SequentialImpl* self, const std::vector<nn::Module*>& v) {
             new (bound(self)) Bound<nn::SequentialImpl>(list_of(v));
           })
      .def("_append", [](nn::SequentialImpl& self, nn::Module* c) { self.append(Ref<nn::Module>(c)); });
  layer<nn::ModuleListImpl>(m, "_ModuleList")
      .def("__init__",
           [list_of](nn::ModuleListImpl* self, const std::vector<nn::Module*>& v) {
             new (bound(self)) Bound<nn::ModuleListImpl>(list_of(v));
           })
      .def("_append", [](nn::ModuleListImpl& self, nn::Module* c) { self.append(Ref<nn::Module>(c)); });
}

}  // namespace thixo::py
