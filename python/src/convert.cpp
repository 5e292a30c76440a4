// Python objects to the values of a call and back.
#include <cstring>
#include <unordered_map>

#include "py.h"

namespace thixo::py {
namespace {

std::array<PyObject*, kDTypeCount> g_dtypes{};
PyObject* g_size = nullptr;  // thixo.Size

struct PyDType {
  DType t;
};

[[noreturn]] void type_error(const std::string& text) { throw nb::type_error(text.c_str()); }

std::string kind_text(const AttrDecl& d) {
  switch (d.kind) {
    case AttrKind::Bool: return "a bool";
    case AttrKind::Int:
    case AttrKind::Dim: return "an int";
    case AttrKind::Float: return "a float";
    case AttrKind::Scalar: return "a number";
    case AttrKind::Dims:
    case AttrKind::Size: return "an int or a sequence of ints";
    case AttrKind::DType: return "a dtype such as thixo.float32";
    case AttrKind::Device: return "a device such as 'cpu'";
    case AttrKind::Rng: return "a thixo.Generator";
    case AttrKind::String: return "a str";
    case AttrKind::Enum: {
      std::string s = "one of";
      for (const std::string& c : d.choices) s += " '" + c + "'";
      return s;
    }
    case AttrKind::Chain: break;
  }
  return "another type";
}

}  // namespace

int64_t to_int(PyObject* o) {
  PyObject* i = PyNumber_Index(o);
  if (i == nullptr) throw nb::python_error();
  int64_t v = PyLong_AsLongLong(i);
  Py_DECREF(i);
  if (v == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return v;
}

bool path_from(PyObject* o, std::string* text) noexcept {
  nb::object path = nb::steal(PyOS_FSPath(o));
  if (path.is_valid() && PyUnicode_Check(path.ptr()) != 0) path = nb::steal(PyUnicode_EncodeFSDefault(path.ptr()));
  if (!path.is_valid()) {
    PyErr_Clear();
    return false;
  }
  text->assign(PyBytes_AS_STRING(path.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(path.ptr())));
  return true;
}

bool is_number(PyObject* o) {
  if (PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o)) return true;
  if (is_tensor(o) || PyUnicode_Check(o) || is_sequence(o)) return false;
  // NumPy scalars, without importing NumPy: numbers that are no arrays.
  return PyObject_HasAttrString(o, "dtype") != 0 && PyObject_HasAttrString(o, "item") != 0 && PySequence_Check(o) == 0;
}

Scalar to_scalar(PyObject* o) {
  if (PyBool_Check(o)) return o == Py_True;
  if (PyFloat_Check(o)) return PyFloat_AS_DOUBLE(o);
  if (PyLong_Check(o)) return to_int(o);
  if (PyComplex_Check(o)) return std::complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o));
  if (is_tensor(o)) return unwrap(o).item_scalar();
  if (!is_number(o)) type_error(std::string("a number is needed, not ") + Py_TYPE(o)->tp_name);
  nb::object item = nb::handle(o).attr("item")();
  return to_scalar(item.ptr());
}

PyObject* from_scalar(const Scalar& s) {
  switch (s.kind()) {
    case DType::Bool: return PyBool_FromLong(s.to_int() != 0);
    case DType::I64:
      return s.beyond_int() ? PyLong_FromUnsignedLongLong(static_cast<uint64_t>(s.to_int()))
                            : PyLong_FromLongLong(s.to_int());
    case DType::F64: return PyFloat_FromDouble(s.to_double());
    default: return PyComplex_FromDoubles(s.to_complex().real(), s.to_complex().imag());
  }
}

bool is_sequence(PyObject* o) { return PyTuple_Check(o) || PyList_Check(o); }

Shape to_shape(PyObject* o) {
  Shape s;
  if (PyIndex_Check(o)) {
    s.push_back(to_int(o));
    return s;
  }
  if (!is_sequence(o)) type_error(std::string("an int or a sequence of ints is needed, not ") + Py_TYPE(o)->tp_name);
  Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  for (Py_ssize_t i = 0; i < n; ++i) s.push_back(to_int(PySequence_Fast_GET_ITEM(o, i)));
  return s;
}

PyObject* from_shape(const Shape& s) {
  PyObject* t = PyTuple_New(static_cast<Py_ssize_t>(s.size()));
  for (size_t i = 0; i < s.size(); ++i)
    PyTuple_SET_ITEM(t, static_cast<Py_ssize_t>(i), PyLong_FromLongLong(s[i].value()));
  if (g_size == nullptr) return t;
  PyObject* size = PyObject_CallOneArg(g_size, t);
  Py_DECREF(t);
  return size;
}

DType to_dtype(PyObject* o) {
  PyDType* d = nullptr;
  if (nb::try_cast<PyDType*>(nb::handle(o), d) && d != nullptr) return d->t;
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return DType::F64;
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::Bool;
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return DType::I64;
  if (o == reinterpret_cast<PyObject*>(&PyComplex_Type)) return DType::C128;
  if (PyUnicode_Check(o)) return dtype_from_name(PyUnicode_AsUTF8(o));
  type_error(std::string("a dtype such as thixo.float32 is needed, not ") + Py_TYPE(o)->tp_name);
}

PyObject* from_dtype(DType t) { return Py_NewRef(g_dtypes[static_cast<size_t>(t)]); }

Device to_device(PyObject* o) {
  if (PyUnicode_Check(o)) return Device::parse(PyUnicode_AsUTF8(o));
  return nb::cast<Device>(nb::handle(o));
}

Tensor to_operand(PyObject* o, const char* op, const char* name) {
  if (is_tensor(o)) return unwrap(o);
  if (is_number(o)) return TensorArg(to_scalar(o), SourceLoc()).tensor();
  type_error(std::string(op) + "(): argument '" + name + "' must be a Tensor or a number, not " + Py_TYPE(o)->tp_name);
}

TensorList tensors_of(nb::handle o, const char* function, const char* name) {
  if (is_tensor(o.ptr())) return {unwrap(o.ptr())};
  TensorList out;
  for (nb::handle t : nb::iter(o)) {
    if (!is_tensor(t.ptr())) {
      type_error(std::string(function) + ": " + name + " has a " + Py_TYPE(t.ptr())->tp_name +
                 ", where tensors belong");
    }
    out.push_back(unwrap(t.ptr()));
  }
  return out;
}

Attr to_attr(PyObject* o, const AttrDecl& d, const char* op) {
  auto wrong = [&]() -> Attr {
    type_error(std::string(op) + "(): argument '" + d.name + "' must be " + kind_text(d) +
               (d.optional ? " or None" : "") + ", not " +
               (PyUnicode_Check(o) ? "'" + std::string(PyUnicode_AsUTF8(o)) + "'" : std::string(Py_TYPE(o)->tp_name)));
  };
  if (o == Py_None) return d.optional ? Attr() : d.kind == AttrKind::Rng ? Attr(RngKey{}) : wrong();
  switch (d.kind) {
    case AttrKind::Bool:
      if (PyBool_Check(o)) return o == Py_True;
      if (PyLong_Check(o)) return to_int(o) != 0;
      return wrong();
    case AttrKind::Int:
    case AttrKind::Dim: return PyIndex_Check(o) && !PyBool_Check(o) ? Attr(Dim(to_int(o))) : wrong();
    case AttrKind::Float: return is_number(o) && !PyComplex_Check(o) ? Attr(to_scalar(o).to_double()) : wrong();
    case AttrKind::Scalar: return is_number(o) || is_tensor(o) ? Attr(to_scalar(o)) : wrong();
    case AttrKind::Dims:
    case AttrKind::Size: return !PyBool_Check(o) && (PyIndex_Check(o) || is_sequence(o)) ? Attr(to_shape(o)) : wrong();
    case AttrKind::DType: return to_dtype(o);
    case AttrKind::Device: return to_device(o);
    case AttrKind::String: return PyUnicode_Check(o) ? Attr(std::string(PyUnicode_AsUTF8(o))) : wrong();
    case AttrKind::Enum: {
      if (!PyUnicode_Check(o)) return wrong();
      std::string s = PyUnicode_AsUTF8(o);
      // PyTorch's names: thixo.contiguous_format is "contiguous" in a schema.
      if (d.name == "memory_format" && s.ends_with("_format")) s.resize(s.size() - std::strlen("_format"));
      return std::find(d.choices.begin(), d.choices.end(), s) != d.choices.end() ? Attr(s) : wrong();
    }
    default: return wrong();
  }
}

void add_dtypes(nb::module_& m) {
  nb::class_<PyDType>(m, "dtype",
                      "An element type: thixo.float32, thixo.int64, ...\n\n>>> thixo.ones(1).dtype.itemsize\n4")
      .def("__repr__", [](const PyDType& d) { return "thixo." + std::string(dtype_name(d.t)); })
      .def("__hash__", [](const PyDType& d) { return static_cast<Py_hash_t>(d.t) + 1; })
      .def(
          "__eq__",
          [](const PyDType& d, nb::handle o) {
            PyDType* e = nullptr;
            return nb::try_cast<PyDType*>(o, e) && e != nullptr && e->t == d.t;
          },
          nb::arg("other").none())
      .def("__reduce__", [](const PyDType& d) { return std::string(dtype_name(d.t)); })
      .def_prop_ro("itemsize", [](const PyDType& d) { return item_size(d.t); })
      .def_prop_ro("is_floating_point", [](const PyDType& d) { return is_float(d.t); })
      .def_prop_ro("is_complex", [](const PyDType& d) { return is_complex(d.t); })
      .def_prop_ro("is_signed", [](const PyDType& d) { return !is_unsigned(d.t) && d.t != DType::Bool; })
      .def_prop_ro("_index", [](const PyDType& d) { return static_cast<int>(d.t); });
  for (int i = 0; i < kDTypeCount; ++i) {
    auto t = static_cast<DType>(i);
    nb::object o = nb::cast(PyDType{t});
    g_dtypes[static_cast<size_t>(i)] = o.ptr();
    m.attr(std::string(dtype_name(t)).c_str()) = o;
    o.release();  // lives as long as the process
  }
  nb::class_<Device>(m, "device",
                     "Where data is: cpu, or meta for shapes without data.\n\n>>> thixo.device('cpu').type\n'cpu'")
      .def(nb::new_([](const std::string& type, std::optional<int> index) {
             return Device::parse(index ? type + ":" + std::to_string(*index) : type);
           }),
           nb::arg("type"), nb::arg("index") = nb::none())
      .def("__reduce__", [](const Device& d) { return nb::make_tuple(nb::type<Device>(), nb::make_tuple(d.str())); })
      .def("__repr__", [](const Device& d) { return "device(type='" + d.str() + "')"; })
      .def("__str__", &Device::str)
      .def(
          "__eq__",
          [](const Device& d, nb::handle o) {
            Device* e = nullptr;
            if (nb::isinstance<nb::str>(o)) return d.str() == nb::cast<std::string>(o);
            return nb::try_cast<Device*>(o, e) && e != nullptr && *e == d;
          },
          nb::arg("other").none())
      .def("__hash__", [](const Device& d) { return static_cast<Py_hash_t>(d.type) * 256 + d.index; })
      .def_prop_ro("type", [](const Device& d) { return d.type == DeviceType::Cpu ? "cpu" : "meta"; });
  m.def("_set_size_type", [](nb::object t) { g_size = t.release().ptr(); });
  m.def(
      "get_default_dtype", [] { return nb::steal(from_dtype(default_dtype())); },
      "The dtype of new floating-point tensors.\n\n>>> thixo.get_default_dtype()\nthixo.float32");
  m.def(
      "set_default_dtype", [](nb::object t) { set_default_dtype(to_dtype(t.ptr())); }, nb::arg("d"),
      "The dtype of new floating-point tensors from now on.\n\n>>> thixo.set_default_dtype(thixo.float64)\n>>> "
      "thixo.tensor(1.).dtype\nthixo.float64\n>>> thixo.set_default_dtype(thixo.float32)");
  m.def(
      "promote_types",
      [](nb::object a, nb::object b) {
        return nb::steal(from_dtype(promote_types(to_dtype(a.ptr()), to_dtype(b.ptr()))));
      },
      nb::arg("type1"), nb::arg("type2"),
      "The dtype that both convert to in arithmetic.\n\n>>> thixo.promote_types(thixo.int64, "
      "thixo.float16)\nthixo.float16");
  m.def(
      "can_cast", [](nb::object a, nb::object b) { return can_cast(to_dtype(a.ptr()), to_dtype(b.ptr())); },
      nb::arg("from_"), nb::arg("to"),
      "Whether an in-place op may write a result of the first dtype into the second.\n\n>>> "
      "thixo.can_cast(thixo.float32, thixo.int64)\nFalse");
}

}  // namespace thixo::py
