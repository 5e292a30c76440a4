// The operators of thixo.Tensor: Python's number protocol as calls of ops.
#include <algorithm>

#include "py.h"

namespace thixo::py {
namespace {

/// A name as a template argument.
template <size_t N> struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }  // NOLINT
};

/// The op of that name, looked up once.
template <Name kName> const OpDef* op() {
  static const OpDef* const d = [] {
    const OpDef* found = op_named(kName.text);
    if (found == nullptr)
      throw InternalError(std::string("the binding asks for an op '") + kName.text + "' that is not there");
    return found;
  }();
  return d;
}
template <Name kName> PyObject* unary(PyObject* a) { return call_unary(op<kName>(), a); }
template <Name kName> PyObject* binary(PyObject* a, PyObject* b) { return call_binary(op<kName>(), a, b); }
template <Name kName> PyObject* in_place(PyObject* a, PyObject* b) { return call_binary_inplace(op<kName>(), a, b); }

// pow(a, b, modulus) is for ints alone.
PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  return modulus == Py_None ? binary<"pow">(a, b) : Py_NewRef(Py_NotImplemented);
}
PyObject* power_in_place(PyObject* a, PyObject* b, PyObject*) { return in_place<"pow">(a, b); }

PyObject* compare(PyObject* a, PyObject* b, int kind) {
  switch (kind) {
    case Py_LT: return binary<"lt">(a, b);
    case Py_LE: return binary<"le">(a, b);
    case Py_EQ: return binary<"eq">(a, b);
    case Py_NE: return binary<"ne">(a, b);
    case Py_GT: return binary<"gt">(a, b);
    default: return binary<"ge">(a, b);
  }
}

PyObject* positive(PyObject* a) { return Py_NewRef(a); }
int truth(PyObject* a) {
  return guarded_int([&] {
    Tensor t = unwrap(a);
    if (t.numel().value() != 1) {
      throw ValueError("the truth of a tensor with " + std::to_string(t.numel().value()) + " elements is ambiguous")
          .fix("use any() or all()");
    }
    return t.item_scalar().to_complex() != std::complex<double>(0) ? 1 : 0;
  });
}

/// f(the value as a Python number).
PyObject* converted(PyObject* a, PyObject* (*f)(PyObject*)) {
  return guarded([&] {
    const nb::object value = nb::steal(from_scalar(unwrap(a).item_scalar()));
    return f(value.ptr());
  });
}
PyObject* to_python_float(PyObject* a) { return converted(a, PyNumber_Float); }
PyObject* to_python_int(PyObject* a) { return converted(a, PyNumber_Long); }
PyObject* index(PyObject* a) {
  return guarded([&]() -> PyObject* {
    const DType t = unwrap(a).dtype();
    if (!is_int(t) && t != DType::Bool) throw nb::type_error("only integer tensors of one element can be an index");
    return to_python_int(a);
  });
}

template <class F> PyType_Slot slot(int id, F f) { return {id, reinterpret_cast<void*>(f)}; }

}  // namespace

std::vector<PyType_Slot> operator_slots() {
  return {
      slot(Py_tp_richcompare, compare),
      slot(Py_nb_add, binary<"add">),
      slot(Py_nb_subtract, binary<"sub">),
      slot(Py_nb_multiply, binary<"mul">),
      slot(Py_nb_true_divide, binary<"div">),
      slot(Py_nb_floor_divide, binary<"floor_divide">),
      slot(Py_nb_remainder, binary<"remainder">),
      slot(Py_nb_power, power),
      slot(Py_nb_matrix_multiply, binary<"matmul">),
      slot(Py_nb_and, binary<"bitwise_and">),
      slot(Py_nb_or, binary<"bitwise_or">),
      slot(Py_nb_xor, binary<"bitwise_xor">),
      slot(Py_nb_inplace_add, in_place<"add">),
      slot(Py_nb_inplace_subtract, in_place<"sub">),
      slot(Py_nb_inplace_multiply, in_place<"mul">),
      slot(Py_nb_inplace_true_divide, in_place<"div">),
      slot(Py_nb_inplace_floor_divide, in_place<"floor_divide">),
      slot(Py_nb_inplace_remainder, in_place<"remainder">),
      slot(Py_nb_inplace_power, power_in_place),
      slot(Py_nb_inplace_and, in_place<"bitwise_and">),
      slot(Py_nb_inplace_or, in_place<"bitwise_or">),
      slot(Py_nb_inplace_xor, in_place<"bitwise_xor">),
      slot(Py_nb_negative, unary<"neg">),
      slot(Py_nb_positive, positive),
      slot(Py_nb_absolute, unary<"abs">),
      slot(Py_nb_invert, unary<"bitwise_not">),
      slot(Py_nb_bool, truth),
      slot(Py_nb_float, to_python_float),
      slot(Py_nb_int, to_python_int),
      slot(Py_nb_index, index),
  };
}

}  // namespace thixo::py
