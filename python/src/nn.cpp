// Modules: the C++ ones as Python classes, and Python subclasses that C++ can call.
#include "nn.h"

namespace thixo::py {
namespace {

PyTypeObject* g_parameter = nullptr;  // thixo.nn.Parameter

bool is_parameter(const Tensor& t) {
  void* self = t.defined() ? t.object()->bound() : nullptr;
  return self != nullptr && g_parameter != nullptr &&
         PyObject_TypeCheck(static_cast<PyObject*>(self), g_parameter) != 0;
}

/// A parameter that Python has not seen yet becomes an nn.Parameter.
nb::object wrap_parameter(const Tensor& t) {
  if (!t.defined() || t.object()->bound() != nullptr || g_parameter == nullptr) return nb::steal(wrap(t));
  return nb::steal(wrap_as(g_parameter, t));
}

// ---- garbage collection: a module refers to its children and tensors from C++ ----

/// What refers from C++ to Python objects, once for each reference. A child that Python never saw is looked into when
/// nobody else refers to it.
int visit_members(nn::Module& m, visitproc visit, void* arg) {
  auto tensors = [&](const std::vector<std::string>& names) {
    for (const std::string& n : names) {
      const Tensor* t = m.find_tensor(n);
      if (t != nullptr && t->defined()) Py_VISIT(static_cast<PyObject*>(t->object()->bound()));
    }
    return 0;
  };
  if (int r = tensors(m.parameter_names())) return r;
  if (int r = tensors(m.buffer_names())) return r;
  for (const std::string& n : m.child_names()) {
    const Ref<nn::Module>* child = m.find_child(n);
    if (child == nullptr || !*child) continue;
    if (void* bound = (*child)->bound()) {
      Py_VISIT(static_cast<PyObject*>(bound));
    } else if ((*child)->use_count() == 1) {
      if (int r = visit_members(**child, visit, arg)) return r;
    }
  }
  return 0;
}

int traverse_module(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  PyObject** dict = _PyObject_GetDictPtr(self);
  if (dict != nullptr) Py_VISIT(*dict);
  return nb::inst_ready(self) ? visit_members(*nb::inst_ptr<nn::Module>(self), visit, arg) : 0;
}

int clear_module(PyObject* self) {
  PyObject** dict = _PyObject_GetDictPtr(self);
  if (dict != nullptr) Py_CLEAR(*dict);
  if (!nb::inst_ready(self)) return 0;
  auto& m = *nb::inst_ptr<nn::Module>(self);
  for (const auto& names : {m.child_names(), m.parameter_names(), m.buffer_names()}) {
    for (const std::string& n : names) m.unregister(n);
  }
  return 0;
}

}  // namespace

PyType_Slot module_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse_module)},
                              {Py_tp_clear, reinterpret_cast<void*>(clear_module)},
                              {0, nullptr}};

namespace {

nb::object child_object(const Ref<nn::Module>& m) { return m ? nb::cast(m.get()) : nb::none(); }

/// What Module.__getattr__ finds when Python's own lookup fails.
nb::object find_member(nn::Module& m, const std::string& name) {
  if (const Ref<nn::Module>* child = m.find_child(name)) return child_object(*child);
  if (const Tensor* t = m.find_tensor(name)) {
    if (!t->defined() || t->object()->bound() != nullptr) return nb::steal(wrap(*t));
    const std::vector<std::string> names = m.parameter_names();
    return std::find(names.begin(), names.end(), name) != names.end() ? wrap_parameter(*t) : nb::steal(wrap(*t));
  }
  throw nb::attribute_error(("'" + m.type_name() + "' object has no attribute '" + name + "'").c_str());
}

nb::list pairs(const std::vector<nn::Named<Tensor>>& v, bool parameters) {
  nb::list l;
  for (const auto& [name, t] : v) l.append(nb::make_tuple(name, parameters ? wrap_parameter(t) : nb::steal(wrap(t))));
  return l;
}

void add_module(nb::module_& m) {
  nb::class_<nn::Module, Bound<nn::Module>>(
      m, "Module", nb::dynamic_attr(), nb::is_weak_referenceable(), nb::type_slots(module_slots),
      "What networks are made of: parameters, buffers and modules by name, and a forward.\n\n>>> class "
      "Twice(thixo.nn.Module):\n...     def forward(self, x): return x * 2\n>>> Twice()(thixo.ones(1))\ntensor([2.])",
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
          "_register_parameter",  // an nn.Parameter says itself whether it is frozen
          [](nn::Module& self, const std::string& n, const Tensor& t, std::optional<bool> requires_grad) {
            self.register_parameter(n, t, requires_grad.value_or(!is_parameter(t) || t.requires_grad()));
          },
          nb::arg("name"), nb::arg("param").none(), nb::arg("requires_grad") = nb::none())
      .def(
          "_register_buffer",
          [](nn::Module& self, const std::string& n, const Tensor& t, bool persistent) {
            self.register_buffer(n, t, persistent);
          },
          nb::arg("name"), nb::arg("tensor").none(), nb::arg("persistent") = true)
      .def(
          "_register_module",
          [](nn::Module& self, const std::string& n, nn::Module* c) { self.register_module(n, Ref<nn::Module>(c)); },
          nb::arg("name"), nb::arg("module").none())
      .def(
          "_swap",
          [](nn::Module& self, const std::string& n, const Tensor& t) {
        // For a call with other values: as it is, no leaf is made of it.
            const Tensor* place = self.find_tensor(n);
            if (place == nullptr) throw nb::key_error(n.c_str());
            Tensor before = *place;
            *const_cast<Tensor*>(place) = t;
            return before;
          },
          nb::arg("name"), nb::arg("value").none())
      .def("_is_member", [](nn::Module& self, const std::string& n) { return self.is_member(n); })
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
           [](nn::Module& self, bool recurse, bool once) { return pairs(self.named_parameters(recurse, once), true); })
      .def("_named_buffers",
           [](nn::Module& self, bool recurse, bool once) { return pairs(self.named_buffers(recurse, once), false); })
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
      .def("_modes", &nn::Module::modes)
      .def_prop_rw("training", &nn::Module::training, &nn::Module::set_training)
      .def(
          "train",
          [](nb::object self, bool mode) {
            nb::cast<nn::Module&>(self).nn::Module::train(mode);
            return self;
          },
          nb::arg("mode") = true, "Sets training mode here and below; returns the module.")
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
          "save", [](nn::Module& self, const Path& path) { self.save(path); }, nb::arg("path"),
          "Writes the state_dict as a safetensors file.")
      .def(
          "_load_file",
          [](nn::Module& self, const Path& path, bool strict) {
            nn::LoadReport r = self.load(path, strict);
            return nb::make_tuple(r.missing, r.unexpected);
          },
          nb::arg("path"), nb::arg("strict") = true)
      .def("extra_repr", [](nn::Module& self) { return self.nn::Module::extra_repr(); })
      .def("__repr__", [](nn::Module& self) { return self.str(); });
}

}  // namespace

void add_nn(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("_nn");
  m.def("_set_parameter_type",
        [](nb::type_object t) { g_parameter = reinterpret_cast<PyTypeObject*>(t.release().ptr()); });
  m.def("_ready", [](nb::handle module) { return nb::inst_ready(module); });
  add_module(m);
  add_layers(m);
  add_simple_layers(m);
}

}  // namespace thixo::py
