// Methods of Tensor that are no ops: queries, conversions, autograd.
#include "py.h"
#include "thixo/autograd.h"

namespace thixo::py {
namespace {

MemoryFormat to_format(const std::string& name) {
  if (name == "channels_last") return MemoryFormat::ChannelsLast;
  if (name == "preserve_format" || name == "preserve") return MemoryFormat::Preserve;
  if (name == "contiguous_format" || name == "contiguous") return MemoryFormat::Contiguous;
  throw ValueError("unknown memory_format '" + name + "'").fix("contiguous_format, channels_last or preserve_format");
}

/// x.to(dtype), x.to(device), x.to(other), x.to(memory_format=...)
Tensor convert(const Tensor& t, nb::args args, nb::kwargs kwargs) {
  Tensor out = t;
  bool copy = false;
  auto apply = [&](nb::handle a) {
    if (a.is_none() || nb::isinstance<nb::bool_>(a)) return;  // non_blocking
    Device d;
    if (is_tensor(a.ptr())) {
      out = out.to(unwrap(a.ptr()).dtype());
    } else if (nb::isinstance<nb::str>(a) || nb::try_cast<Device>(a, d)) {
      out = out.to(to_device(a.ptr()));
    } else {
      out = out.to(to_dtype(a.ptr()));
    }
  };
  for (nb::handle a : args) apply(a);
  for (auto [k, v] : kwargs) {
    std::string key = nb::cast<std::string>(k);
    if (key == "dtype" || key == "device" || key == "other") {
      apply(v);
    } else if (key == "memory_format") {
      out = out.to(to_format(nb::cast<std::string>(nb::str(v))));
    } else if (key == "copy") {
      copy = nb::cast<bool>(v);
    } else if (key != "non_blocking") {
      throw nb::type_error(("to(): got an unexpected keyword argument '" + key + "'").c_str());
    }
  }
  return copy && out.is_same(t) ? out.clone() : out;
}

nb::object tolist(const Tensor& t) {
  if (t.dim() == 0) return nb::steal(from_scalar(t.item_scalar()));
  nb::list l;
  int64_t n = t.size(0);
  for (int64_t i = 0; i < n; ++i) l.append(tolist(t[i]));
  return l;
}

nb::dict array_interface(const Tensor& t) {
  static const char* types[] = {"<f8", "<f4", "<f2", nullptr, "<i8", "<i4", "<i2", "|i1",
                                "|u1", "<u2", "<u4", "<u8",   "|b1", "<c8", "<c16"};
  const char* type = types[static_cast<int>(t.dtype())];
  if (type == nullptr) throw DTypeError("numpy: NumPy has no bfloat16").fix("convert with .float() first");
  if (t.requires_grad())
    throw ValueError("numpy: the tensor requires a gradient, which an array cannot carry")
        .fix("use x.detach().numpy()");
  nb::list shape, strides;
  for (size_t d = 0; d < t.shape().size(); ++d) {
    shape.append(t.shape()[d].value());
    strides.append(t.strides()[d].value() * static_cast<int64_t>(item_size(t.dtype())));
  }
  nb::dict d;
  d["version"] = 3;
  d["typestr"] = type;
  d["shape"] = nb::tuple(shape);
  d["strides"] = nb::tuple(strides);
  d["data"] = nb::make_tuple(reinterpret_cast<uintptr_t>(t.raw_data()), false);
  return d;
}

template <class F, class... Extra> void method(const char* name, F&& f, const Extra&... extra) {
  nb::handle cls(reinterpret_cast<PyObject*>(tensor_type));
  cls.attr(name) = nb::cpp_function(std::forward<F>(f), nb::scope(cls), nb::name(name), nb::is_method(), extra...);
}

}  // namespace

void add_methods_by_hand() {
  method(
      "item", [](const Tensor& t) { return nb::steal(from_scalar(t.item_scalar())); },
      "The value of a tensor of one element as a Python number.\n\n>>> thixo.tensor([2.5]).item()\n2.5");
  method("tolist", tolist, "Nested lists of numbers.\n\n>>> thixo.arange(3).tolist()\n[0, 1, 2]");
  method("dim", [](const Tensor& t) { return t.dim(); }, "The number of dims.\n\n>>> thixo.ones(2, 3).dim()\n2");
  method(
      "numel", [](const Tensor& t) { return t.numel().value(); },
      "The number of elements.\n\n>>> thixo.ones(2, 3).numel()\n6");
  method(
      "element_size", [](const Tensor& t) { return item_size(t.dtype()); },
      "Bytes of one element.\n\n>>> thixo.ones(1).element_size()\n4");
  method(
      "storage_offset", [](const Tensor& t) { return t.storage_offset(); },
      "Where the first element stands in the storage, in elements.\n\n>>> thixo.arange(5)[2:].storage_offset()\n2");
  method(
      "data_ptr", [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.raw_data()); },
      "The address of the first element.\n\n>>> x = thixo.ones(2)\n>>> x[1:].data_ptr() - x.data_ptr()\n4");
  method(
      "is_contiguous",
      [](const Tensor& t, nb::object f) {
        return t.is_contiguous(f.is_none() ? MemoryFormat::Contiguous : to_format(nb::cast<std::string>(nb::str(f))));
      },
      nb::arg("memory_format") = nb::none(),
      "Whether the elements stand in memory in the order of the format, without gaps.\n\n>>> thixo.ones(2, "
      "3).t().is_contiguous()\nFalse");
  method(
      "is_floating_point", [](const Tensor& t) { return is_float(t.dtype()); },
      "Whether the dtype is a floating-point type.\n\n>>> thixo.ones(1).is_floating_point()\nTrue");
  method(
      "is_complex", [](const Tensor& t) { return is_complex(t.dtype()); },
      "Whether the dtype is complex.\n\n>>> thixo.ones(1).is_complex()\nFalse");
  method(
      "size",
      [](const Tensor& t, std::optional<int64_t> d) {
        return d ? nb::object(nb::int_(t.size(*d).value())) : nb::steal(from_shape(t.shape()));
      },
      nb::arg("dim") = nb::none(), "The sizes, or one of them.\n\n>>> thixo.ones(2, 3).size(-1)\n3");
  method(
      "stride",
      [](const Tensor& t, std::optional<int64_t> d) -> nb::object {
        if (d) return nb::int_(t.stride(*d));
        nb::list l;
        for (Dim s : t.strides()) l.append(s.value());
        return nb::tuple(l);
      },
      nb::arg("dim") = nb::none(),
      "Elements between neighbours along each dim, or along one.\n\n>>> thixo.ones(2, 3).stride()\n(3, 1)");
  method("to", convert,
         "Another dtype, device or memory format; the same tensor when nothing changes.\n\n>>> "
         "thixo.ones(1).to(thixo.int64)\ntensor([1])");
  method(
      "contiguous",
      [](const Tensor& t, nb::object f) {
        return t.contiguous(f.is_none() ? MemoryFormat::Contiguous : to_format(nb::cast<std::string>(nb::str(f))));
      },
      nb::arg("memory_format") = nb::none(),
      "The same values in the order of the format; the same tensor when they are so already.\n\n>>> thixo.ones(2, "
      "3).t().contiguous().stride()\n(2, 1)");
  method(
      "clone",
      [](const Tensor& t, nb::object f) {
        return t.clone(f.is_none() ? MemoryFormat::Preserve : to_format(nb::cast<std::string>(nb::str(f))));
      },
      nb::arg("memory_format") = nb::none(),
      "A copy, which the gradient passes through.\n\n>>> x = thixo.ones(2)\n>>> y = x.clone().add_(1)\n>>> "
      "x\ntensor([1., 1.])");
  method(
      "copy_",
      [](nb::object self, nb::object src, bool) {
        Tensor t = unwrap(self.ptr());
        t.copy_(TensorArg(to_operand(src.ptr(), "copy_", "src"), SourceLoc()));
        return self;
      },
      nb::arg("src"), nb::arg("non_blocking") = false,
      "Takes over the values of another tensor, in place.\n\n>>> thixo.zeros(2).copy_(thixo.tensor([1, "
      "2]))\ntensor([1., 2.])");
  method(
      "fill_",
      [](nb::object self, nb::object value) {
        Tensor t = unwrap(self.ptr());
        if (is_tensor(value.ptr()) && unwrap(value.ptr()).dim() == 0) {
          t.copy_(unwrap(value.ptr()));  // its gradient is the sum of all
        } else {
          t.fill_(to_scalar(value.ptr()));
        }
        return self;
      },
      nb::arg("value"), "Sets all elements to a value, in place.\n\n>>> thixo.zeros(2).fill_(3)\ntensor([3., 3.])");
  method(
      "zero_",
      [](nb::object self) {
        Tensor t = unwrap(self.ptr());
        t.zero_();
        return self;
      },
      "Sets all elements to zero, in place.\n\n>>> thixo.ones(2).zero_()\ntensor([0., 0.])");
  method(
      "requires_grad_",
      [](nb::object self, bool on) {
        Tensor t = unwrap(self.ptr());
        t.requires_grad_(on);
        return self;
      },
      nb::arg("requires_grad") = true,
      "Whether a gradient is wanted; returns the tensor.\n\n>>> thixo.ones(1).requires_grad_().requires_grad\nTrue");
  method(
      "backward",
      [](const Tensor& t, std::optional<Tensor> gradient, std::optional<bool> retain, bool create, nb::object inputs) {
        autograd::BackwardOptions options{retain, create, {}};
        if (is_tensor(inputs.ptr())) {
          options.inputs.push_back(unwrap(inputs.ptr()));
        } else if (!inputs.is_none()) {
          options.inputs = nb::cast<TensorList>(nb::list(inputs));
        }
        Unlocked unlocked;
        autograd::backward({t}, gradient ? TensorList{*gradient} : TensorList{}, options);
      },
      nb::arg("gradient") = nb::none(), nb::arg("retain_graph") = nb::none(), nb::arg("create_graph") = false,
      nb::arg("inputs") = nb::none(),
      "Computes the gradients of this tensor with respect to the leaves that it was made from, or to those of "
      "`inputs`, "
      "and adds them to their .grad.",
      "Computes the gradients of this tensor with respect to the leaves that it was made from, or to those of "
      "`inputs`, "
      "and adds them to their .grad.\n\n>>> x = thixo.tensor([3.], requires_grad=True)\n>>> (x * "
      "x).sum().backward()\n>>> "
      "x.grad\ntensor([6.])");
  method(
      "detach", [](const Tensor& t) { return t.detach(SourceLoc()); },
      "The same values without history.\n\n>>> (thixo.ones(1, requires_grad=True) * 2).detach().requires_grad\nFalse");
  method(
      "detach_",
      [](nb::object self) {
        Tensor t = unwrap(self.ptr());
        t.detach_();
        return self;
      },
      "Forgets the history, in place.\n\n>>> (thixo.ones(1, requires_grad=True) * 2).detach_().requires_grad\nFalse");
  method(
      "retain_grad", [](Tensor t) { t.retain_grad(); },
      "Keeps the gradient of a tensor that is no leaf in its .grad.\n\n>>> y = thixo.ones(1, requires_grad=True) * "
      "2\n>>> y.retain_grad()\n>>> y.sum().backward()\n>>> y.grad\ntensor([1.])");
  method("_register_hook", [](const Tensor& t, nb::callable f) {
    // The Python function is released under the interpreter lock, wherever the last reference goes.
    std::shared_ptr<nb::callable> held(new nb::callable(f), [](nb::callable* p) {
      nb::gil_scoped_acquire gil;
      delete p;
    });
    return t.register_hook([held](const Tensor& g) {
      nb::gil_scoped_acquire gil;
      nb::object r = (*held)(g);
      if (r.is_none()) return Tensor();
      if (is_tensor(r.ptr())) return unwrap(r.ptr());
      const std::string text = std::string("a hook must return a Tensor or None, not a ") + Py_TYPE(r.ptr())->tp_name;
      throw nb::type_error(text.c_str());
    });
  });
  method("_remove_hook", [](const Tensor& t, int64_t id) { t.remove_hook(id); });
  nb::handle cls(reinterpret_cast<PyObject*>(tensor_type));
  nb::object property = nb::module_::import_("builtins").attr("property");
  cls.attr("__array_interface__") = property(nb::cpp_function(array_interface));
}

}  // namespace thixo::py
