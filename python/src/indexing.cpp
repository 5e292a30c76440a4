// x[...] and x[...] = value.
#include "py.h"

namespace thixo::py {
namespace {

/// An end or a step of a slice: as in Python, a number of any size, cut to 64 bits.
std::optional<int64_t> bound(PyObject* o) {
  if (o == Py_None) return std::nullopt;
  const Py_ssize_t i = PyNumber_AsSsize_t(o, nullptr);
  if (i == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return i;
}

constexpr SourceLoc kNowhere;  // the place in Python is found when an error is raised

TensorIndex entry(PyObject* o) {
  if (PyBool_Check(o)) return TensorIndex(tensor_from(o, nullptr), kNowhere);
  if (PyLong_Check(o)) return TensorIndex(to_int(o), kNowhere);
  if (o == Py_None) return TensorIndex(NewAxis, kNowhere);
  if (o == Py_Ellipsis) return TensorIndex(Ellipsis, kNowhere);
  if (PySlice_Check(o)) {
    auto* s = reinterpret_cast<PySliceObject*>(o);
    std::optional<int64_t> step = bound(s->step);
    return TensorIndex(Slice(bound(s->start), bound(s->stop), step.value_or(1)), kNowhere);
  }
  if (is_tensor(o)) return TensorIndex(unwrap(o), kNowhere);
  if (PyIndex_Check(o) && PySequence_Check(o) == 0) return TensorIndex(*bound(o), kNowhere);
  const nb::object list = PyRange_Check(o) ? nb::steal(PySequence_List(o)) : nb::borrow(o);
  Tensor t = tensor_from(list.ptr(), nullptr);  // lists and arrays of indices or a mask
  return TensorIndex(is_sequence(list.ptr()) && t.numel() == 0 ? t.to(DType::I64) : t, kNowhere);
}

std::vector<TensorIndex> entries(PyObject* key) {
  std::vector<TensorIndex> out;
  if (PyTuple_Check(key)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) out.push_back(entry(PyTuple_GET_ITEM(key, i)));
  } else {
    out.push_back(entry(key));
  }
  return out;
}

}  // namespace

PyObject* tensor_subscript(PyObject* self, PyObject* key) {
  return guarded([&] {
    if (PyLong_CheckExact(key)) return wrap(unwrap(self).select(0, to_int(key), kNowhere));
    return wrap(unwrap(self).index(std::span<const TensorIndex>(entries(key))));
  });
}

int tensor_assign(PyObject* self, PyObject* key, PyObject* value) {
  return guarded_int([&] {
    if (value == nullptr) throw nb::type_error("elements of a tensor cannot be deleted");
    Tensor v =
        is_tensor(value) || is_number(value) ? to_operand(value, "index_put_", "value") : tensor_from(value, nullptr);
    Tensor t = unwrap(self);
    t.index_put_(std::span<const TensorIndex>(entries(key)), TensorArg(v, kNowhere));
    return 0;
  });
}

}  // namespace thixo::py
