// Data from and to Python: nested sequences, buffers (NumPy and others) and DLPack.
#include "py.h"

namespace thixo::py {
namespace {

// ---- nested sequences ----

struct Nested {
  Shape shape;
  DType kind = DType::Bool;  // the highest category of the leaves: Bool, I64, F64, C128
  bool numpy = false;  // among the leaves are NumPy's float64 or complex128: the result keeps their digits
  bool any = false;
};

void measure(PyObject* o, size_t depth, Nested* n) {
  if (!is_sequence(o)) {
    if (depth != n->shape.size()) throw ValueError("tensor: nested sequences of different depth");
    DType t = is_tensor(o)         ? unwrap(o).dtype()
              : PyBool_Check(o)    ? DType::Bool
              : PyLong_Check(o)    ? DType::I64
              : PyComplex_Check(o) ? DType::C128
                                   : DType::F64;
    if (!is_tensor(o) && !is_number(o))
      throw nb::type_error((std::string("tensor: an element must be a number, not ") + Py_TYPE(o)->tp_name).c_str());
    n->numpy |= (PyFloat_Check(o) && !PyFloat_CheckExact(o)) || (PyComplex_Check(o) && !PyComplex_CheckExact(o));
    if (!is_tensor(o) && !PyLong_Check(o) && !PyFloat_Check(o) && !PyComplex_Check(o)) t = to_scalar(o).kind();
    DType widest = t == DType::Bool ? t : is_int(t) ? DType::I64 : is_float(t) ? DType::F64 : DType::C128;
    n->kind = promote_types(n->kind, widest);  // it begins as the least, Bool
    n->any = true;
    return;
  }
  Py_ssize_t size = PySequence_Fast_GET_SIZE(o);
  if (depth == n->shape.size()) {
    if (n->any) throw ValueError("tensor: nested sequences of different depth");
    n->shape.push_back(static_cast<int64_t>(size));
    if (n->shape.size() > kMaxRank)
      throw ValueError("tensor: more than " + std::to_string(kMaxRank) + " nested sequences");
  } else if (!(n->shape[depth] == static_cast<int64_t>(size))) {
    throw ValueError("tensor: expected a sequence of length " + n->shape[depth].str() + " at depth " +
                     std::to_string(depth) + ", got length " + std::to_string(size));
  }
  for (Py_ssize_t i = 0; i < size; ++i) measure(PySequence_Fast_GET_ITEM(o, i), depth + 1, n);
}

template <class T> void fill(PyObject* o, T*& to) {
  if (is_sequence(o)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) fill(PySequence_Fast_GET_ITEM(o, i), to);
    return;
  }
  Scalar s = to_scalar(o);
  if constexpr (std::is_same_v<T, std::complex<double>>) {
    *to++ = s.to_complex();
  } else if constexpr (std::is_same_v<T, double>) {
    *to++ = s.to_double();
  } else {
    *to++ = static_cast<T>(s.to_int());
  }
}

template <class T> Tensor filled(PyObject* o, const Nested& n) {
  Tensor t = empty(n.shape, {.dtype = dtype_of<T>});
  T* to = t.data<T>();
  fill<T>(o, to);
  return t;
}

Tensor from_nested(PyObject* data, PyObject* dtype) {
  Nested n;
  measure(data, 0, &n);
  if (!n.any) n.kind = DType::F64;  // an empty list
  Tensor t = n.kind == DType::Bool  ? filled<bool>(data, n)
             : n.kind == DType::I64 ? filled<int64_t>(data, n)
             : n.kind == DType::F64 ? filled<double>(data, n)
                                    : filled<std::complex<double>>(data, n);
  if (dtype != nullptr && dtype != Py_None) return t.to(to_dtype(dtype));
  if (n.numpy) return t;
  if (n.kind == DType::F64) return t.to(default_dtype());
  return n.kind == DType::C128 ? t.to(complex_type(default_dtype())) : t;
}

// ---- buffers ----

std::optional<DType> dtype_of_format(const char* f, Py_ssize_t size) {
  std::string s = f == nullptr ? "B" : f;
  if (!s.empty() && (s[0] == '@' || s[0] == '=' || s[0] == '<')) s.erase(0, 1);
  if (s == "Zf") return DType::C64;
  if (s == "Zd") return DType::C128;
  if (s.size() != 1) return std::nullopt;
  switch (s[0]) {
    case '?': return DType::Bool;
    case 'e': return DType::F16;
    case 'f': return DType::F32;
    case 'd': return DType::F64;
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q': return size == 1 ? DType::I8 : size == 2 ? DType::I16 : size == 4 ? DType::I32 : DType::I64;
    case 'B':
    case 'H':
    case 'I':
    case 'L':
    case 'Q': return size == 1 ? DType::U8 : size == 2 ? DType::U16 : size == 4 ? DType::U32 : DType::U64;
    default: return std::nullopt;
  }
}

/// Shares the memory of an object with the buffer protocol; it is kept alive by the tensor.
Tensor from_buffer(PyObject* o, bool writes = true) {
  auto* b = new Py_buffer();
  if (PyObject_GetBuffer(o, b, PyBUF_STRIDES | PyBUF_FORMAT | PyBUF_WRITABLE) != 0) {
    PyErr_Clear();
    const char* warning = "the array is read-only, but a tensor over it can be written to, with undefined behaviour";
    if (writes && PyObject_CheckBuffer(o) != 0 && PyErr_WarnEx(PyExc_UserWarning, warning, 1) != 0) {
      delete b;
      throw nb::python_error();
    }
    if (PyObject_GetBuffer(o, b, PyBUF_STRIDES | PyBUF_FORMAT) != 0) {
      delete b;
      throw nb::python_error();
    }
  }
  auto release = [b] {
    PyGILState_STATE s = PyGILState_Ensure();
    PyBuffer_Release(b);
    PyGILState_Release(s);
    delete b;
  };
  try {
    std::optional<DType> t = dtype_of_format(b->format, b->itemsize);
    if (!t)
      throw DTypeError(std::string("from_numpy: elements of format '") + (b->format != nullptr ? b->format : "") +
                       "' are not supported")
          .fix("convert the array to native byte order and a number type");
    Shape shape;
    Strides strides;
    for (int d = 0; d < b->ndim; ++d) {
      shape.push_back(static_cast<int64_t>(b->shape[d]));
      if (b->strides[d] < 0)
        throw ValueError("from_numpy: negative strides are not supported").fix("call .copy() on the array first");
      if (b->strides[d] % b->itemsize != 0)
        throw ValueError("from_numpy: strides must be whole elements").fix("call .copy() on the array first");
      strides.push_back(static_cast<int64_t>(b->strides[d] / b->itemsize));
    }
    return from_blob(b->buf, shape, strides, *t, release);
  } catch (...) {
    release();
    throw;
  }
}

}  // namespace

Tensor tensor_from(PyObject* data, PyObject* dtype) {
  bool has_dtype = dtype != nullptr && dtype != Py_None;
  if (is_tensor(data)) {
    Tensor t = unwrap(data).detach();
    return has_dtype && to_dtype(dtype) != t.dtype() ? t.to(to_dtype(dtype)) : t.clone();
  }
  if (!is_sequence(data) && PyObject_CheckBuffer(data) != 0 && !PyBytes_Check(data)) {
    Tensor t = from_buffer(data, false);
    return has_dtype && to_dtype(dtype) != t.dtype() ? t.to(to_dtype(dtype)) : t.clone();
  }
  if (is_sequence(data) && PySequence_Fast_GET_SIZE(data) > 0) {
    PyObject* first = PySequence_Fast_GET_ITEM(data, 0);
    if (!is_sequence(first) && !is_number(first) && !is_tensor(first) && PyObject_HasAttrString(first, "tolist") != 0) {
      nb::list rows;  // a list of arrays
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(data); ++i)
        rows.append(nb::handle(PySequence_Fast_GET_ITEM(data, i)).attr("tolist")());
      return from_nested(rows.ptr(), dtype);
    }
  }
  return from_nested(data, dtype);
}

void add_arrays(nb::module_& m) {
  m.def(
      "tensor",
      [](nb::object data, nb::object dtype, nb::object device, bool requires_grad) {
        if (!device.is_none() && !(to_device(device.ptr()) == Device()))
          throw nb::value_error("only device 'cpu' is supported");
        Tensor t = tensor_from(data.ptr(), dtype.ptr());
        if (requires_grad) t.requires_grad_();
        return t;
      },
      nb::arg("data"), nb::kw_only(), nb::arg("dtype") = nb::none(), nb::arg("device") = nb::none(),
      nb::arg("requires_grad") = false,
      "A new tensor with a copy of the data: numbers, nested sequences, arrays or a tensor.\n\n"
      ">>> thixo.tensor([1, 2.5])\ntensor([1.0000, 2.5000])");
  m.def(
      "from_numpy",
      [](nb::object a) {
        if (PyObject_CheckBuffer(a.ptr()) == 0 || PyBytes_Check(a.ptr())) {
          throw nb::type_error(
              (std::string("from_numpy(): an array is needed, not ") + Py_TYPE(a.ptr())->tp_name).c_str());
        }
        return from_buffer(a.ptr());
      },
      nb::arg("ndarray"),
      "A tensor over the memory of an array, without a copy.\n\n"
      ">>> import numpy\n>>> a = numpy.zeros(2, 'f')\n>>> thixo.from_numpy(a).add_(1)\ntensor([1., 1.])\n"
      ">>> a.tolist()\n[1.0, 1.0]");
  m.def("_make_subclass", [](nb::type_object cls, const Tensor& t, bool requires_grad) {
    nb::object o = nb::steal(wrap_as(reinterpret_cast<PyTypeObject*>(cls.ptr()), t.detach()));
    unwrap(o.ptr()).requires_grad_(requires_grad);
    return o;
  });
}

}  // namespace thixo::py
