// Calling ops: one argument parser for all of them, driven by the schemas; it writes the TypeErrors too.
#include <structmember.h>

#include <algorithm>
#include <optional>

#include "py.h"

namespace thixo::py {
namespace {

/// What the parser needs of one overload, with names as interned Python strings.
struct Signature {
  const OpDef* op;
  const Schema* schema;
  std::vector<PyObject*> names;  // per param
  std::vector<const Attr*> defaults;  // per attribute; null where there is none
  size_t positional = 0;         // params before the keyword-only ones
  int receiver = -1;             // param that a method is called on
  int rng = -1;                  // attribute index
  bool takes_out = false;
};

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

Signature make_signature(const OpDef* op) {
  Signature s{op, &op_schema(*op), {}, {}, 0, -1, -1, false};
  const Schema& sc = *s.schema;
  for (const ParamRef& p : sc.params) {
    const std::string& n =
        p.is_operand ? sc.operands[static_cast<size_t>(p.index)].name : sc.attrs[static_cast<size_t>(p.index)].name;
    bool rng = !p.is_operand && sc.attrs[static_cast<size_t>(p.index)].kind == AttrKind::Rng;
    if (rng) s.rng = p.index;
    s.names.push_back(PyUnicode_InternFromString(rng ? "generator" : n.c_str()));
    if (!p.keyword_only && !rng) ++s.positional;
  }
  for (size_t i = 0; i < sc.params.size(); ++i) {
    const ParamRef& p = sc.params[i];
    if (p.is_operand && sc.operands[static_cast<size_t>(p.index)].name == "input") s.receiver = static_cast<int>(i);
  }
  for (size_t i = 0; i < sc.params.size() && s.receiver < 0; ++i) {
    if (sc.params[i].is_operand) s.receiver = static_cast<int>(i);
  }
  s.takes_out = sc.visible_results() == 1 && !sc.results[0].list;
  return s;
}

/// Where one overload leaves a default out, so that C++ can tell them apart, Python takes it from the other: conv2d
/// with padding='same' has the stride of conv2d.
void find_defaults(std::vector<Signature>& overloads) {
  for (Signature& s : overloads) {
    for (const AttrDecl& a : s.schema->attrs) {
      const Attr* found = a.has_default || a.optional ? &a.def : nullptr;
      for (const Signature& other : overloads) {
        for (const AttrDecl& b : other.schema->attrs) {
          if (found == nullptr && b.name == a.name && b.kind == a.kind && b.has_default) found = &b.def;
        }
      }
      s.defaults.push_back(found);
    }
  }
}

std::string signature_text(const Signature& s, OpForm form) {
  std::string t = s.schema->text.substr(0, s.schema->text.find(" @"));
  return form == OpForm::InPlace ? s.schema->name + "_" + t.substr(t.find('(')) : t;
}

/// Whether a Tensor may stand for a number or an index. It does not where another overload takes it as an operand:
/// in clamp(x, min=t) t keeps its elements and its gradient.
enum class TensorAsNumber : uint8_t { No, Yes };

/// One call being parsed. Throws nb::type_error with the reason when the arguments do not fit the overload.
class Parse {
 public:
  Parse(const Signature& s, OpForm form, TensorAsNumber tensors, PyObject* const* args, size_t nargs, PyObject* kwnames)
      : s_(s), form_(form), tensors_(tensors) {
    slots_.resize(s.names.size(), nullptr);
    place_positional(args, nargs);
    if (kwnames != nullptr) place_keywords(args + nargs, kwnames);
    convert();
  }

  std::span<const Tensor> in() const { return in_; }
  std::span<const Attr> attrs() const { return attrs_; }
  PyObject* out() const { return out_; }
  bool requires_grad() const { return requires_grad_; }

 private:
  const char* op() const { return s_.schema->name.c_str(); }
  [[noreturn]] void fail(const std::string& why) const {
    throw nb::type_error((std::string(op()) + "(): " + why).c_str());
  }

  bool gathers(size_t param) const {  // x.view(2, 3): the last ints stand for one list
    const ParamRef& p = s_.schema->params[param];
    if (p.is_operand || param + 1 != static_cast<size_t>(s_.positional)) return false;
    AttrKind k = s_.schema->attrs[static_cast<size_t>(p.index)].kind;
    return k == AttrKind::Size || k == AttrKind::Dims;
  }

  void place_positional(PyObject* const* args, size_t nargs) {
    size_t next = 0, param = 0;
    bool method = form_ != OpForm::Function;
    if (method) slots_[static_cast<size_t>(s_.receiver)] = args[next++];
    for (; param < s_.positional && next < nargs; ++param) {
      if (method && static_cast<int>(param) == s_.receiver) continue;
      if (gathers(param) && PyLong_CheckExact(args[next]) && next + 1 < nargs && PyLong_CheckExact(args[next + 1])) {
        gather_param_ = static_cast<int>(param);
        while (next < nargs && PyLong_CheckExact(args[next])) gathered_.push_back(PyLong_AsLongLong(args[next++]));
        slots_[param] = Py_None;
        continue;
      }
      const ParamRef& p = s_.schema->params[param];
      bool list = p.is_operand && s_.schema->operands[static_cast<size_t>(p.index)].list;
      if (list && is_tensor(args[next]))
        fail("argument '" + s_.schema->operands[static_cast<size_t>(p.index)].name +
             "' must be a list or tuple of Tensors, not Tensor");
      slots_[param] = args[next++];
    }
    if (next < nargs)
      fail("takes " + std::to_string(s_.positional - (method ? 1 : 0)) + " positional arguments but " +
           std::to_string(nargs - (method ? 1 : 0)) + " were given");
  }

  void place_keywords(PyObject* const* values, PyObject* kwnames) {
    Py_ssize_t n = PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* key = PyTuple_GET_ITEM(kwnames, i);
      size_t param = find(key);
      if (param == s_.names.size()) {
        special(key, values[i]);
      } else if (slots_[param] != nullptr) {
        fail("got two values for argument '" + std::string(PyUnicode_AsUTF8(key)) + "'");
      } else {
        slots_[param] = values[i];
      }
    }
  }

  size_t find(PyObject* key) const {
    for (size_t i = 0; i < s_.names.size(); ++i) {
      if (s_.names[i] == key) return i;
    }
    const char* text = PyUnicode_AsUTF8(key);
    std::string_view name = text;
    // The array API's spellings beside PyTorch's.
    if (name == "axis") name = "dim";
    if (name == "keepdims") name = "keepdim";
    for (size_t i = 0; i < s_.names.size(); ++i) {
      if (name == PyUnicode_AsUTF8(s_.names[i])) return i;
    }
    return s_.names.size();
  }

  void special(PyObject* key, PyObject* value) {
    std::string_view name = PyUnicode_AsUTF8(key);
    if (name == "out" && s_.takes_out) {
      if (value != Py_None && !is_tensor(value)) fail("argument 'out' must be a Tensor");
      out_ = value == Py_None ? nullptr : value;
    } else if (name == "requires_grad" && s_.schema->creation) {
      requires_grad_ = PyObject_IsTrue(value) != 0;
    } else if ((name == "device" || name == "layout" || name == "pin_memory") && s_.schema->creation) {
      if (name == "device" && value != Py_None && !(to_device(value) == Device()))
        fail("only device 'cpu' is supported");
    } else {
      std::string near = nearest(std::string(name));
      fail("got an unexpected keyword argument '" + std::string(name) + "'" +
           (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
  }

  std::string nearest(const std::string& name) const {
    size_t best = 3;
    std::string found;
    for (PyObject* n : s_.names) {
      std::string candidate = PyUnicode_AsUTF8(n);
      size_t d = distance(name, candidate);
      if (d < best) {
        best = d;
        found = candidate;
      }
    }
    return found;
  }
  static size_t distance(const std::string& a, const std::string& b) {  // Levenshtein
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
      size_t corner = row[0];
      row[0] = i;
      for (size_t j = 1; j <= b.size(); ++j) {
        size_t up = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] == b[j - 1] ? 0 : 1)});
        corner = up;
      }
    }
    return row[b.size()];
  }

  void convert() {
    const Schema& sc = *s_.schema;
    attrs_.resize(sc.attrs.size());
    for (size_t i = 0; i < sc.params.size(); ++i) {
      const ParamRef& p = sc.params[i];
      if (p.is_operand) {
        operand(sc.operands[static_cast<size_t>(p.index)], slots_[i]);
      } else {
        attribute(static_cast<size_t>(p.index), i);
      }
    }
    if (s_.rng >= 0) {
      Generator* g = nullptr;
      for (size_t i = 0; i < sc.params.size(); ++i) {
        bool mine = !sc.params[i].is_operand && sc.params[i].index == s_.rng;
        if (mine && slots_[i] != nullptr && slots_[i] != Py_None) g = nb::cast<Generator*>(nb::handle(slots_[i]));
      }
      attrs_[static_cast<size_t>(s_.rng)] = RngKey{};
      attrs_[static_cast<size_t>(s_.rng)] = draw_rng(*s_.op, in_, attrs_, g);
    }
  }

  void operand(const OperandDecl& d, PyObject* o) {
    if (d.list) {
      if (o == nullptr || !is_sequence(o))
        fail("argument '" + d.name + "' must be a list or tuple of Tensors" +
             (o == nullptr ? ", and is missing" : std::string(", not ") + Py_TYPE(o)->tp_name));
      for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(o); ++k) {
        PyObject* item = PySequence_Fast_GET_ITEM(o, k);
        in_.push_back(d.optional && item == Py_None ? Tensor() : to_operand(item, op(), d.name.c_str()));
      }
    } else if (o == nullptr || o == Py_None) {
      if (!d.optional)
        fail(o == nullptr ? "missing argument '" + d.name + "'"
                          : "argument '" + d.name + "' must be a Tensor, not None");
      in_.push_back(Tensor());
    } else {
      in_.push_back(to_operand(o, op(), d.name.c_str()));
    }
  }

  void attribute(size_t k, size_t param) {
    const AttrDecl& d = s_.schema->attrs[k];
    if (d.kind == AttrKind::Rng) return;
    if (gather_param_ == static_cast<int>(param)) {
      Shape list;
      for (int64_t v : gathered_) list.push_back(v);
      attrs_[k] = std::move(list);
    } else if (slots_[param] == nullptr) {
      if (s_.defaults[k] == nullptr) fail("missing argument '" + d.name + "'");
      attrs_[k] = *s_.defaults[k];
    } else if (tensors_ == TensorAsNumber::No && is_tensor(slots_[param])) {
      fail("argument '" + d.name + "' is no operand");
    } else {
      attrs_[k] = to_attr(slots_[param], d, op());
    }
  }

  const Signature& s_;
  OpForm form_;
  TensorAsNumber tensors_;
  SmallVec<PyObject*, 12> slots_;
  SmallVec<Tensor, 4> in_;
  SmallVec<Attr, 4> attrs_;
  SmallVec<int64_t, 8> gathered_;
  int gather_param_ = -1;
  PyObject* out_ = nullptr;
  bool requires_grad_ = false;
};

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
  if (f->form == OpForm::InPlace) {
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

PyObject* call_binary(const OpDef* op, PyObject* a, PyObject* b) {
  if (!(is_tensor(a) || is_number(a)) || !(is_tensor(b) || is_number(b))) return Py_NewRef(Py_NotImplemented);
  return guarded([&] {
    const Schema& sc = op_schema(*op);
    const char* name = sc.name.c_str();
    const Tensor in[] = {to_operand(a, name, "input"), to_operand(b, name, "other")};
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
  if (!is_tensor(a) || !(is_tensor(b) || is_number(b))) return Py_NewRef(Py_NotImplemented);
  return guarded([&] {
    const Schema& sc = op_schema(*op);
    const Tensor in[] = {unwrap(a), to_operand(b, sc.name.c_str(), "other")};
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
