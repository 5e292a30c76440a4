// The Python type thixo.Tensor: identity with the C++ record, attributes. operators.cpp has the operators.
#include <structmember.h>

#include <algorithm>
#include <unordered_map>

#include "py.h"
#include "thixo/autograd.h"

namespace thixo::py {

PyTypeObject* tensor_type = nullptr;

namespace {

// ---- identity and life ----

struct Gil {  // C++ threads may drop the last C++ reference
  PyGILState_STATE state = PyGILState_Ensure();
  ~Gil() { PyGILState_Release(state); }
};
void retain_python(void* self) noexcept {
  if (PyGILState_Check() != 0) {
    Py_INCREF(static_cast<PyObject*>(self));
    return;
  }
  Gil gil;
  Py_INCREF(static_cast<PyObject*>(self));
}
void release_python(void* self) noexcept {
  if (Py_IsInitialized() == 0) return;  // the process ends: memory goes with it
  if (PyGILState_Check() != 0) {
    Py_DECREF(static_cast<PyObject*>(self));
    return;
  }
  Gil gil;
  Py_DECREF(static_cast<PyObject*>(self));
}

void wait_without_gil(void (*block)(void*), void* arg) {
  if (Py_IsInitialized() == 0 || PyGILState_Check() == 0) return block(arg);
  nb::gil_scoped_release unlocked;
  block(arg);
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  const auto& t = *reinterpret_cast<PyTensor*>(self);
  Py_VISIT(t.dict);
  Py_VISIT(Py_TYPE(self));
  return t.custom ? visit_function(t, visit, arg) : 0;
}
int tensor_clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<PyTensor*>(self)->dict);
  return 0;
}
void tensor_dealloc(PyObject* self) {
  auto* t = reinterpret_cast<PyTensor*>(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (t->weak != nullptr) PyObject_ClearWeakRefs(self);
  Py_CLEAR(t->dict);
  if (t->object != nullptr) t->object->unbind();
  type->tp_free(self);
  Py_DECREF(type);
}

/// Binds `object` to a new Python object of `type`; the C++ references so far become Python's.
PyObject* bind_new(PyTypeObject* type, Object* object) {
  auto* self = reinterpret_cast<PyTensor*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  self->object = object;
  int64_t held = object->bind(self);
  Py_SET_REFCNT(reinterpret_cast<PyObject*>(self), Py_REFCNT(reinterpret_cast<PyObject*>(self)) + held);
  return reinterpret_cast<PyObject*>(self);
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0)
      throw nb::type_error("Tensor() takes no keyword arguments; use thixo.tensor(data, dtype=...)");
    PyObject* data = PyTuple_GET_SIZE(args) == 1 ? PyTuple_GET_ITEM(args, 0) : nullptr;
    Tensor t;
    if (data == nullptr || PyLong_Check(data)) {
      t = empty(PyTuple_GET_SIZE(args) == 0 ? Shape{Dim(0)} : to_shape(args));
    } else {
      t = is_tensor(data) ? unwrap(data).detach() : tensor_from(data, nullptr).to(default_dtype());
    }
    return wrap_as(type, t);
  });
}
int tensor_init(PyObject*, PyObject*, PyObject*) { return 0; }

Py_ssize_t tensor_length(PyObject* self) {
  return guarded_int([&]() -> Py_ssize_t {
    Tensor t = unwrap(self);
    if (t.dim() == 0) throw nb::type_error("len() of a 0-d tensor");
    return t.size(0).value();
  });
}
Py_hash_t tensor_hash(PyObject* self) { return static_cast<Py_hash_t>(reinterpret_cast<uintptr_t>(self) >> 4); }
PyObject* tensor_repr(PyObject* self) {
  return guarded([&] { return PyUnicode_FromString(unwrap(self).str().c_str()); });
}
PyObject* tensor_iter(PyObject* self) {
  return guarded([&]() -> PyObject* {
    Tensor t = unwrap(self);
    if (t.dim() == 0) throw nb::type_error("iteration over a 0-d tensor");
    int64_t n = t.size(0);
    PyObject* rows = PyTuple_New(n);
    for (int64_t i = 0; i < n; ++i) PyTuple_SET_ITEM(rows, i, wrap(t[i]));
    PyObject* it = PyObject_GetIter(rows);
    Py_DECREF(rows);
    return it;
  });
}

// ---- attributes ----

PyObject* get_shape(PyObject* s, void*) {
  return guarded([&] { return from_shape(unwrap(s).shape()); });
}
PyObject* get_dtype(PyObject* s, void*) { return from_dtype(unwrap(s).dtype()); }
PyObject* get_device(PyObject* s, void*) { return nb::cast(unwrap(s).device()).release().ptr(); }
PyObject* get_ndim(PyObject* s, void*) { return PyLong_FromLongLong(unwrap(s).dim()); }
PyObject* get_requires_grad(PyObject* s, void*) { return PyBool_FromLong(unwrap(s).requires_grad()); }
int set_requires_grad(PyObject* s, PyObject* v, void*) {
  return guarded_int([&] {
    Tensor t = unwrap(s);
    t.requires_grad_(v != nullptr && PyObject_IsTrue(v) != 0);
    return 0;
  });
}
PyObject* get_grad(PyObject* s, void*) { return wrap(unwrap(s).grad()); }
int set_grad(PyObject* s, PyObject* v, void*) {
  return guarded_int([&] {
    Tensor t = unwrap(s);
    if (v != nullptr && v != Py_None && !is_tensor(v)) throw nb::type_error("grad must be a Tensor or None");
    t.set_grad(v == nullptr || v == Py_None ? Tensor() : unwrap(v));
    return 0;
  });
}
PyObject* get_is_leaf(PyObject* s, void*) { return PyBool_FromLong(unwrap(s).is_leaf()); }
PyObject* get_grad_fn(PyObject* s, void*) {
  return guarded([&] { return wrap_grad_fn(unwrap(s)); });
}
PyObject* get_transposed(PyObject* s, void*) {
  return guarded([&]() -> PyObject* {
    Tensor t = unwrap(s);
    Shape reversed;
    for (int64_t d = t.dim(); d-- > 0;) reversed.push_back(d);
    return wrap(t.dim() < 2 ? t : t.permute(reversed));
  });
}
PyObject* get_m_transposed(PyObject* s, void*) {
  return guarded([&] { return wrap(unwrap(s).transpose(-2, -1)); });
}
PyObject* get_data(PyObject* s, void*) {
  return guarded([&] { return wrap(unwrap(s).detach()); });
}
int set_data(PyObject* s, PyObject* v, void*) {
  return guarded_int([&] {
    if (v == nullptr || !is_tensor(v)) throw nb::type_error("data must be a Tensor");
    set_data(unwrap(s), unwrap(v));
    return 0;
  });
}
PyObject* get_version(PyObject* s, void*) { return PyLong_FromUnsignedLong(unwrap(s).version()); }
PyObject* get_base(PyObject* s, void*) { return wrap(unwrap(s).base()); }
PyObject* get_itemsize(PyObject* s, void*) { return PyLong_FromSize_t(item_size(unwrap(s).dtype())); }
PyObject* get_nbytes(PyObject* s, void*) { return PyLong_FromSize_t(unwrap(s).nbytes()); }

PyGetSetDef getset[] = {
    {"shape", get_shape, nullptr, "sizes, a thixo.Size", nullptr},
    {"dtype", get_dtype, nullptr, "element type", nullptr},
    {"device", get_device, nullptr, "where the data is", nullptr},
    {"ndim", get_ndim, nullptr, "number of dims", nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad, "whether a gradient is wanted", nullptr},
    {"grad", get_grad, set_grad, "the accumulated gradient, or None", nullptr},
    {"is_leaf", get_is_leaf, nullptr, "not made by a recorded op", nullptr},
    {"grad_fn", get_grad_fn, nullptr, "what made this tensor in the recorded graph, or None", nullptr},
    {"T", get_transposed, nullptr, "all dims in the opposite order", nullptr},
    {"mT", get_m_transposed, nullptr, "the last two dims swapped", nullptr},
    {"data", get_data, set_data, "the same values without history", nullptr},
    {"_version", get_version, nullptr, "writes to the storage so far", nullptr},
    {"_base", get_base, nullptr, "what this is a view of, or None", nullptr},
    {"itemsize", get_itemsize, nullptr, "bytes of one element", nullptr},
    {"nbytes", get_nbytes, nullptr, "bytes of all elements", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {}};
PyMemberDef members[] = {{"__dictoffset__", T_PYSSIZET, offsetof(PyTensor, dict), READONLY, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(PyTensor, weak), READONLY, nullptr},
                         {}};

template <class F> void* slot(F f) { return reinterpret_cast<void*>(f); }

}  // namespace

PyObject* wrap(const Tensor& t) {
  if (!t.defined()) return Py_NewRef(Py_None);
  if (void* self = t.object()->bound()) return Py_NewRef(static_cast<PyObject*>(self));
  return bind_new(tensor_type, t.object());
}

PyObject* wrap_as(PyTypeObject* type, const Tensor& t) {
  Tensor own = t.object()->bound() != nullptr ? t.detach() : t;
  PyObject* self = bind_new(type, own.object());
  return self;
}

void add_tensor_type(nb::module_& m) {
  set_binding_hooks({retain_python, release_python, wait_without_gil});
  std::vector<PyType_Slot> slots = {
      {Py_tp_new, slot(tensor_new)},
      {Py_tp_init, slot(tensor_init)},
      {Py_tp_dealloc, slot(tensor_dealloc)},
      {Py_tp_traverse, slot(tensor_traverse)},
      {Py_tp_clear, slot(tensor_clear)},
      {Py_tp_repr, slot(tensor_repr)},
      {Py_tp_hash, slot(tensor_hash)},
      {Py_tp_iter, slot(tensor_iter)},
      {Py_tp_getset, getset},
      {Py_tp_members, members},
      {Py_tp_doc, const_cast<char*>(
                      "A multi-dimensional array with gradients.\n\n>>> thixo.tensor([1., 2.]) * 3\ntensor([3., 6.])")},
      {Py_mp_length, slot(tensor_length)},
      {Py_mp_subscript, slot(tensor_subscript)},
      {Py_mp_ass_subscript, slot(tensor_assign)}};
  for (const PyType_Slot& s : operator_slots()) slots.push_back(s);
  slots.push_back({0, nullptr});
  PyType_Spec spec{"thixo.Tensor", sizeof(PyTensor), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                   slots.data()};
  tensor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (tensor_type == nullptr) throw nb::python_error();
  m.attr("Tensor") = nb::handle(reinterpret_cast<PyObject*>(tensor_type));
}

// Every op that has a method or an in-place form, by name; overloads of one name stand together.
void add_op_methods() {
  std::vector<std::string> order;
  std::unordered_map<std::string, std::vector<const OpDef*>> methods, inplace;
  for (int i = 0; i < op_count(); ++i) {
    const OpDef& d = op_at(i);
    const Schema& s = op_schema(d);
    if (s.inplace) inplace[s.name].push_back(&d);
    if (s.is_private || s.nn || s.creation || s.operands.empty()) continue;
    bool receiver = std::any_of(s.operands.begin(), s.operands.end(), [](const OperandDecl& o) { return !o.list; });
    if (receiver) methods[s.name].push_back(&d);
  }
  auto* type = reinterpret_cast<PyObject*>(tensor_type);
  auto put = [&](const std::string& name, std::vector<const OpDef*> overloads, OpForm form) {
    if (PyDict_GetItemString(tensor_type->tp_dict, name.c_str()) != nullptr) return;  // written by hand
    PyObject* f = make_op_function(std::move(overloads), form);
    PyObject_SetAttrString(type, name.c_str(), f);
    Py_DECREF(f);
  };
  for (auto& [name, overloads] : methods) put(name, overloads, OpForm::Method);
  for (auto& [name, overloads] : inplace) put(name + "_", overloads, OpForm::InPlace);
}

}  // namespace thixo::py
