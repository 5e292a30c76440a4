#include "op_parse.h"

#include <algorithm>

namespace thixo::py {
namespace {

/// Levenshtein's: edits from a to b.
size_t distance(const std::string& a, const std::string& b) {
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

bool truth(PyObject* o) {
  const int t = PyObject_IsTrue(o);
  if (t < 0) throw nb::python_error();
  return t == 1;
}

/// An int, or what stands for one: a NumPy integer, a tensor of one integer.
bool is_size(PyObject* o) {
  if (PyLong_CheckExact(o)) return true;
  if (is_tensor(o)) return unwrap(o).dim() == 0 && is_int(unwrap(o).dtype());
  return PyIndex_Check(o) != 0 && PyBool_Check(o) == 0;
}

}  // namespace

Parse::Parse(const Signature& s, OpForm form, TensorAsNumber tensors, PyObject* const* args, size_t nargs,
             PyObject* kwnames)
    : s_(s), form_(form), tensors_(tensors) {
  slots_.resize(s.names.size(), nullptr);
  place_positional(args, nargs);
  if (kwnames != nullptr) place_keywords(args + nargs, kwnames);
  convert();
}

void Parse::fail(const std::string& why) const { throw nb::type_error((std::string(op()) + "(): " + why).c_str()); }

/// x.view(2, 3): the last ints stand for one list.
bool Parse::gathers(size_t param) const {
  const ParamRef& p = s_.schema->params[param];
  if (p.is_operand || param + 1 != static_cast<size_t>(s_.positional)) return false;
  AttrKind k = s_.schema->attrs[static_cast<size_t>(p.index)].kind;
  return k == AttrKind::Size || k == AttrKind::Dims;
}

void Parse::place_positional(PyObject* const* args, size_t nargs) {
  size_t next = 0, param = 0;
  bool method = form_ != OpForm::Function;
  if (method) slots_[static_cast<size_t>(s_.receiver)] = args[next++];
  for (; param < s_.positional && next < nargs; ++param) {
    if (method && static_cast<int>(param) == s_.receiver) continue;
    if (gathers(param) && is_size(args[next]) && next + 1 < nargs && is_size(args[next + 1])) {
      gather_param_ = static_cast<int>(param);
      while (next < nargs && is_size(args[next])) gathered_.push_back(to_int(args[next++]));
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

void Parse::place_keywords(PyObject* const* values, PyObject* kwnames) {
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

size_t Parse::find(PyObject* key) const {
  for (size_t i = 0; i < s_.names.size(); ++i) {
    if (s_.names[i] == key) return i;
  }
  auto place = [&](std::string_view name) {
    size_t i = 0;
    while (i < s_.names.size() && name != PyUnicode_AsUTF8(s_.names[i])) ++i;
    return i;
  };
  // Where an op lacks the name: the array API's spellings beside PyTorch's, PyTorch's older name of what is 1 or 0, and
  // a number as scatter's source.
  static constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
      {"axis", "dim"}, {"keepdims", "keepdim"}, {"unbiased", "correction"}, {"value", "src"}};
  const std::string_view name = PyUnicode_AsUTF8(key);
  size_t found = place(name);
  for (const auto& [other, ours] : kOthers) {
    if (found == s_.names.size() && name == other) found = place(ours);
  }
  return found;
}

void Parse::special(PyObject* key, PyObject* value) {
  std::string_view name = PyUnicode_AsUTF8(key);
  if (name == "out" && s_.takes_out) {
    if (value != Py_None && !is_tensor(value)) fail("argument 'out' must be a Tensor");
    out_ = value == Py_None ? nullptr : value;
  } else if (name == "requires_grad" && s_.schema->creation) {
    requires_grad_ = truth(value);
  } else if (name == "inplace" && s_.schema->inplace) {
    inplace_ = truth(value);
  } else if ((name == "device" || name == "layout" || name == "pin_memory") && s_.schema->creation) {
    if (name == "device" && value != Py_None && !(to_device(value) == Device())) fail("only device 'cpu' is supported");
  } else {
    std::string near = nearest(std::string(name));
    fail("got an unexpected keyword argument '" + std::string(name) + "'" +
         (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
}

std::string Parse::nearest(const std::string& name) const {
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

void Parse::convert() {
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

void Parse::operand(const OperandDecl& d, PyObject* o) {
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
      fail(o == nullptr ? "missing argument '" + d.name + "'" : "argument '" + d.name + "' must be a Tensor, not None");
    in_.push_back(Tensor());
  } else {
    in_.push_back(to_operand(o, op(), d.name.c_str()));
  }
}

void Parse::attribute(size_t k, size_t param) {
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

}  // namespace thixo::py
