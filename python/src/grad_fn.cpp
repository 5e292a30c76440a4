// What Tensor.grad_fn gives: a node of the tape, of a type that is named after what made the tensor.
#include "py.h"

namespace thixo::py {
namespace {

struct GradFn {
  Ref<Object> node;
};

/// The subclass of _GradFn with this name: made when it is first asked for, kept by _GradFn.
nb::object type_named(const std::string& name) {
  const nb::handle base = nb::type<GradFn>();
  const nb::dict known = nb::borrow<nb::dict>(base.attr("_named"));
  if (!known.contains(name.c_str())) {
    nb::dict members;
    members["__module__"] = "thixo.autograd";
    known[name.c_str()] = base.type()(name, nb::make_tuple(base), members);
  }
  return known[name.c_str()];
}

}  // namespace

PyObject* wrap_grad_fn(const Tensor& t) {
  Ref<Object> node = t.grad_fn();
  if (!node) return Py_NewRef(Py_None);
  const nb::object type = type_named(t.grad_fn_name());
  nb::object made = nb::inst_alloc(type);
  new (nb::inst_ptr<GradFn>(made)) GradFn{std::move(node)};
  nb::inst_mark_ready(made);
  return made.release().ptr();
}

void add_grad_fn(nb::module_& m) {
  nb::class_<GradFn>(m, "_GradFn")
      .def("name", [](nb::handle self) { return self.type().attr("__name__"); })
      .def("__repr__",
           [](nb::handle self) {
             const auto at = reinterpret_cast<uintptr_t>(nb::inst_ptr<GradFn>(self)->node.get());
             return nb::str("<{} object at {:#x}>").format(self.type().attr("__name__"), at);
           })
      .def("__hash__", [](const GradFn& f) { return reinterpret_cast<uintptr_t>(f.node.get()) >> 4; })
      .def(
          "__eq__",
          [](const GradFn& a, nb::handle o) {
            GradFn* b = nullptr;
            return nb::try_cast<GradFn*>(o, b) && b != nullptr && b->node == a.node;
          },
          nb::arg("other").none());
  m.attr("_GradFn").attr("_named") = nb::dict();
}

}  // namespace thixo::py
