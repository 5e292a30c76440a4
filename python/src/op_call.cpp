// Calling ops: the callables that stand for them, the choice of an overload, and the number protocol.
#include <structmember.h>

#include <optional>

#include "op_parse.h"

namespace thixo::py {
namespace {

struct OpFunction {
  PyObject_HEAD vectorcallfunc call;
  std::vector<Signature>* overloads;
  PyObject* name;
  PyObject* doc;
  PyTypeObject* result_type;  // of several named results
  OpForm form;
};

PyTypeObject* g_function_type = nullptr;
PyTypeObject* g_method_type = nullptr;

PyObject* wrap_results(const OpFunction* f, const Schema& sc, const OpResults& values) {
  if (sc.results.size() == 1 && !sc.results[0].list) return wrap(values[0]);
  bool list = sc.results[0].list;
  size_t n = list ? values.size() : static_cast<size_t>(sc.visible_results());
  if (n == 1 && !list) return wrap(values[0]);
  if (list || f->result_type == nullptr) {
    PyObject* t = PyTuple_New(static_cast<Py_ssize_t>(n));
    for (size_t i = 0; i < n; ++i) PyTuple_SET_ITEM(t, static_cast<Py_ssize_t>(i), wrap(values[i]));
    return t;
  }
  PyObject* t = PyStructSequence_New(f->result_type);
  for (size_t i = 0; i < n; ++i) PyStructSequence_SetItem(t, static_cast<Py_ssize_t>(i), wrap(values[i]));
  return t;
}

OpResults called(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs) {
  Unlocked unlocked(in);
  return call_op(op, in, attrs, SourceLoc());
}

PyObject* run(const OpFunction* f, const Signature& s, const Parse& p) {
  if (f->form == OpForm::InPlace || p.inplace()) {
    {
      Unlocked unlocked(p.in());
      call_op_inplace(*s.op, p.in(), p.attrs(), SourceLoc());
    }
    return wrap(p.in()[0]);
  }
  if (p.out() != nullptr) {
    const Tensor out = unwrap(p.out());
    {
      Unlocked unlocked(p.in());
      call_op_out(*s.op, p.in(), p.attrs(), std::span<const Tensor>(&out, 1), SourceLoc());
    }
    return Py_NewRef(p.out());
  }
  OpResults values = called(*s.op, p.in(), p.attrs());
  if (p.requires_grad()) values[0].requires_grad_();
  return wrap_results(f, *s.schema, values);
}

PyObject* op_vectorcall(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  auto* f = reinterpret_cast<OpFunction*>(self);
  auto nargs = static_cast<size_t>(PyVectorcall_NARGS(nargsf));
  return guarded([&]() -> PyObject* {
    if (f->form != OpForm::Function && (nargs == 0 || !is_tensor(args[0])))
      throw nb::type_error("an op method needs a Tensor before the dot");
    std::string reasons;
    for (int pass = f->overloads->size() > 1 ? 0 : 1; pass < 2; ++pass) {
      const TensorAsNumber tensors = pass == 0 ? TensorAsNumber::No : TensorAsNumber::Yes;
      reasons.clear();
      for (const Signature& s : *f->overloads) {
        std::optional<Parse> p;
        try {
          p.emplace(s, f->form, tensors, args, nargs, kwnames);
        } catch (const nb::builtin_exception& e) {
          if (e.type() != nb::exception_type::type_error) throw;
          reasons += std::string(reasons.empty() ? "" : "\n") + e.what() + "\n  " + signature_text(s, f->form);
          continue;
        }
        return run(f, s, *p);
      }
    }
    throw nb::type_error(reasons.c_str());
  });
}

PyObject* method_get(PyObject* self, PyObject* object, PyObject*) {
  return object == nullptr ? Py_NewRef(self) : PyMethod_New(self, object);
}
PyObject* op_repr(PyObject* self) {
  return PyUnicode_FromFormat("<thixo op %U>", reinterpret_cast<OpFunction*>(self)->name);
}
PyObject* op_name(PyObject* self, void*) { return Py_NewRef(reinterpret_cast<OpFunction*>(self)->name); }
PyObject* op_doc_string(PyObject* self, void*) { return Py_NewRef(reinterpret_cast<OpFunction*>(self)->doc); }
PyObject* op_module(PyObject*, void*) { return PyUnicode_FromString("thixo"); }
PyObject* op_schemas(PyObject* self, void*) {
  auto* f = reinterpret_cast<OpFunction*>(self);
  nb::list l;
  for (const Signature& s : *f->overloads) l.append(nb::cast(s.schema->text));
  return l.release().ptr();
}

PyMemberDef op_members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(OpFunction, call), READONLY, nullptr}, {}};
PyGetSetDef op_getset[] = {
    {"__name__", op_name, nullptr, nullptr, nullptr},       {"__qualname__", op_name, nullptr, nullptr, nullptr},
    {"__doc__", op_doc_string, nullptr, nullptr, nullptr},  {"__module__", op_module, nullptr, nullptr, nullptr},
    {"__schemas__", op_schemas, nullptr, nullptr, nullptr}, {}};

PyTypeObject* make_type(const char* name, bool method) {
  std::vector<PyType_Slot> slots = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                    {Py_tp_repr, reinterpret_cast<void*>(op_repr)},
                                    {Py_tp_members, op_members},
                                    {Py_tp_getset, op_getset}};
  if (method) slots.push_back({Py_tp_descr_get, reinterpret_cast<void*>(method_get)});
  slots.push_back({0, nullptr});
  unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | (method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0);
  PyType_Spec spec{name, sizeof(OpFunction), 0, flags, slots.data()};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

/// A named tuple for ops with several visible results: thixo.return_types.max.
PyTypeObject* result_type(const Schema& sc) {
  if (sc.results.size() < 2 || sc.visible_results() < 2) return nullptr;
  auto* fields = new std::vector<PyStructSequence_Field>();  // names live as long as the type: for ever
  for (const ResultDecl& r : sc.results) {
    if (!r.hidden) fields->push_back({r.name.c_str(), nullptr});
  }
  auto n = static_cast<int>(fields->size());
  fields->push_back({nullptr, nullptr});
  auto* name = new std::string("thixo.return_types." + sc.name);
  PyStructSequence_Desc desc{name->c_str(), nullptr, fields->data(), n};
  return PyStructSequence_NewType(&desc);
}

std::string doc_text(const std::vector<Signature>& overloads, OpForm form) {
  std::string d;
  for (const Signature& s : overloads) d += signature_text(s, form) + "\n";
  for (const Signature& s : overloads) {
    d += "\n" + op_doc(*s.op) + "\n";
    if (!op_source(*s.op).empty()) d += "\nSource: " + op_source(*s.op) + "\n";
    if (!op_example(*s.op).empty()) d += "\n" + op_example(*s.op) + "\n";
  }
  return d;
}

}  // namespace

PyObject* make_op_function(std::vector<const OpDef*> overloads, OpForm form) {
  if (g_function_type == nullptr) {
    g_function_type = make_type("thixo._thixo.OpFunction", false);
    g_method_type = make_type("thixo._thixo.OpMethod", true);
  }
  auto* f = PyObject_New(OpFunction, form == OpForm::Function ? g_function_type : g_method_type);
  f->call = op_vectorcall;
  f->overloads = new std::vector<Signature>();
  for (const OpDef* op : overloads) f->overloads->push_back(make_signature(op));
  find_defaults(*f->overloads);
  f->form = form;
  const Schema& sc = *f->overloads->front().schema;
  f->name = PyUnicode_FromString((sc.name + (form == OpForm::InPlace ? "_" : "")).c_str());
  f->doc = PyUnicode_FromString(doc_text(*f->overloads, form).c_str());
  f->result_type = nullptr;
  for (const Signature& s : *f->overloads) {
    if (PyTypeObject* t = result_type(*s.schema)) f->result_type = t;
  }
  return reinterpret_cast<PyObject*>(f);
}

namespace {

bool is_operand(PyObject* o) { return is_tensor(o) || is_number(o); }

/// An operand as it is, a NumPy array as a tensor; none where o is neither.
nb::object operand_or_array(PyObject* o) {
  if (is_operand(o)) return nb::borrow(o);
  const bool array = PyObject_CheckBuffer(o) != 0 && PyObject_HasAttrString(o, "__array_interface__") != 0;
  return array ? nb::steal(wrap(tensor_from(o, nullptr))) : nb::object();
}

/// The call with arrays as tensors; NotImplemented where an operand is none of ours.
PyObject* call_with_arrays(PyObject* (*call)(const OpDef*, PyObject*, PyObject*), const OpDef* op, PyObject* a,
                           PyObject* b) {
  return guarded([&] {
    const nb::object x = operand_or_array(a), y = operand_or_array(b);
    return x.is_valid() && y.is_valid() ? call(op, x.ptr(), y.ptr()) : Py_NewRef(Py_NotImplemented);
  });
}

}  // namespace

PyObject* call_binary(const OpDef* op, PyObject* a, PyObject* b) {
  if (!is_operand(a) || !is_operand(b)) return call_with_arrays(call_binary, op, a, b);
  return guarded([&] {
    const Schema& sc = op_schema(*op);
    const char* name = sc.name.c_str();
    const Tensor in[] = {to_operand(a, name, sc.operands[0].name.c_str()),
                         to_operand(b, name, sc.operands[1].name.c_str())};
    SmallVec<Attr, 2> attrs;
    for (const AttrDecl& d : sc.attrs) attrs.push_back(d.def);
    return wrap(called(*op, in, attrs)[0]);
  });
}

PyObject* call_unary(const OpDef* op, PyObject* a) {
  return guarded([&] {
    const Tensor in[] = {unwrap(a)};
    return wrap(called(*op, in, {})[0]);
  });
}

PyObject* call_binary_inplace(const OpDef* op, PyObject* a, PyObject* b) {
  if (!is_tensor(a)) return Py_NewRef(Py_NotImplemented);
  if (!is_operand(b)) return call_with_arrays(call_binary_inplace, op, a, b);
  return guarded([&] {
    const Schema& sc = op_schema(*op);
    const Tensor in[] = {unwrap(a), to_operand(b, sc.name.c_str(), sc.operands[1].name.c_str())};
    SmallVec<Attr, 2> attrs;
    for (const AttrDecl& d : sc.attrs) attrs.push_back(d.def);
    {
      Unlocked unlocked(in);
      call_op_inplace(*op, in, attrs, SourceLoc());
    }
    return Py_NewRef(a);
  });
}

}  // namespace thixo::py
