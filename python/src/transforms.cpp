// Autograd, function transforms and compile. Python functions cross as callables over lists of tensors; the package
// flattens arguments and results (thixo/_tree.py).
#include "py.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"
#include "thixo/func.h"
#include "thixo/profiler.h"

namespace thixo::py {
namespace {

/// A Python callable as a C++ one: entered with the interpreter lock, dropped with it too.
template <class R, class... A> std::function<R(A...)> callable(nb::callable f) {
  std::shared_ptr<nb::callable> held(new nb::callable(std::move(f)), [](nb::callable* p) {
    nb::gil_scoped_acquire gil;
    delete p;
  });
  return [held](A... a) -> R {
    nb::gil_scoped_acquire gil;
    nb::object r = (*held)(a...);
    if constexpr (!std::is_void_v<R>) return nb::cast<R>(r);
  };
}

/// A subclass of autograd.Function: its class and the context object of one call.
struct PythonFunction : autograd::Function {
  nb::object cls, ctx;
  PythonFunction(nb::object c, nb::object x) : cls(std::move(c)), ctx(std::move(x)) {}
  ~PythonFunction() override {
    nb::gil_scoped_acquire gil;
    cls.reset();
    ctx.reset();
  }
  std::string name() const override {
    nb::gil_scoped_acquire gil;
    return nb::cast<std::string>(cls.attr("__name__"));
  }
  TensorList forward(autograd::FunctionContext& c, const TensorList& inputs) override {
    nb::gil_scoped_acquire gil;
    return nb::cast<TensorList>(ctx.attr("_forward")(nb::cast(&c, nb::rv_policy::reference), inputs));
  }
  TensorList backward(autograd::FunctionContext& c, const TensorList& grads) override {
    nb::gil_scoped_acquire gil;
    return nb::cast<TensorList>(ctx.attr("_backward")(nb::cast(&c, nb::rv_policy::reference), grads));
  }
};

}  // namespace

int visit_function(const PyTensor& t, visitproc visit, void* arg) {
  auto* f = t.object == nullptr ? nullptr : dynamic_cast<PythonFunction*>(autograd::sole_function(*t.object));
  if (f == nullptr) return 0;
  Py_VISIT(f->cls.ptr());
  Py_VISIT(f->ctx.ptr());
  return 0;
}

namespace {

void add_autograd(nb::module_& m) {
  using nb::arg;
  m.def("_is_grad_enabled", &is_grad_enabled);
  m.def("_set_grad_enabled", &set_grad_enabled);
  m.def("_backward", [](const TensorList& t, const TensorList& g, std::optional<bool> retain, bool create,
                        const TensorList& inputs) {
    Unlocked unlocked;
    autograd::backward(t, g, {retain, create, inputs});
  });
  m.def("_grad", [](const TensorList& out, const TensorList& in, const TensorList& g, std::optional<bool> retain,
                    bool create, bool unused, bool zeros) {
    Unlocked unlocked;
    return autograd::grad(out, in, {g, retain, create, unused, zeros});
  });
  using List = TensorList;
  m.def("_gradcheck", [](nb::callable f, const List& in, double eps, double atol, double rtol) {
    return autograd::gradcheck(callable<List, const List&>(f), in, {eps, atol, rtol});
  });
  m.def("_gradgradcheck", [](nb::callable f, const List& in, const List& g, double eps, double atol, double rtol) {
    return autograd::gradgradcheck(callable<List, const List&>(f), in, g, {eps, atol, rtol});
  });
  m.def("_checkpoint",
        [](nb::callable f, const List& in) { return autograd::checkpoint(callable<List, const List&>(f), in); });
  nb::class_<autograd::FunctionContext>(m, "_FunctionContext")
      .def("save_for_backward", [](autograd::FunctionContext& c, const List& t) { c.save_for_backward(t); })
      .def("saved_tensors", &autograd::FunctionContext::saved_tensors)
      .def("needs_input_grad", [](autograd::FunctionContext& c, size_t k) { return c.needs_input_grad(k); })
      .def("mark_non_differentiable", &autograd::FunctionContext::mark_non_differentiable)
      .def("mark_dirty", &autograd::FunctionContext::mark_dirty)
      .def("set_materialize_grads", &autograd::FunctionContext::set_materialize_grads);
  m.def("_apply_function", [](nb::object cls, nb::object ctx, const List& inputs) {
    auto f = make_ref<PythonFunction>(std::move(cls), std::move(ctx));
    nb::object results = nb::cast(autograd::apply(std::move(f), inputs, SourceLoc()));
    for (nb::handle r : results) {
      if (is_tensor(r.ptr())) reinterpret_cast<PyTensor*>(r.ptr())->custom = true;
    }
    return results;
  });
  nb::class_<autograd::DetectAnomaly>(m, "_DetectAnomaly").def(nb::init<>());
  m.def("_post_accumulate_hook", [](const Tensor& t, nb::callable f) {
    return autograd::register_post_accumulate_grad_hook(t, callable<void, const Tensor&>(std::move(f)));
  });
}

void add_func(nb::module_& m) {
  using List = TensorList;
  auto fn = [](nb::callable f) { return func::Fn(callable<List, const List&>(std::move(f))); };
  m.def("_func_grad", [fn](nb::callable f, const List& in, const func::ArgNums& argnums, bool with_value) {
    return with_value ? func::grad_and_value(fn(f), argnums)(in) : func::grad(fn(f), argnums)(in);
  });
  using Dims = std::vector<std::optional<int64_t>>;
  m.def("_func_vmap", [fn](nb::callable f, const List& in, const Dims& in_dims, nb::callable out_dims,
                           const std::string& randomness, int64_t chunk_size) {
    auto to_dims = [](const Dims& from) {
      std::vector<int64_t> dims;
      for (std::optional<int64_t> d : from) dims.push_back(d.value_or(func::kNoBatch));
      return dims;
    };
    func::VmapOptions o;
    o.in_dims = to_dims(in_dims);
    o.choose_out_dims = [choose = callable<Dims>(std::move(out_dims)), to_dims] { return to_dims(choose()); };
    o.randomness = randomness;
    o.chunk_size = chunk_size;
    return func::vmap(fn(f), o)(in);
  });
  m.def("_func_vjp", [fn](nb::callable f, const List& in) {
    func::Vjp v = func::vjp(fn(f), in);
    return nb::make_tuple(v.outputs, nb::cpp_function([back = v.pullback](const List& g) { return back(g); }));
  });
  m.def("_func_jvp", [fn](nb::callable f, const List& in, const List& tangents) {
    func::Jvp r = func::jvp(fn(f), in, tangents);
    return nb::make_tuple(r.outputs, r.tangents);
  });
  m.def("_func_jacrev", [fn](nb::callable f, const List& in, const func::ArgNums& argnums) {
    return func::jacrev(fn(std::move(f)), argnums)(in);
  });
  m.def("_func_jacfwd", [fn](nb::callable f, const List& in, const func::ArgNums& argnums) {
    return func::jacfwd(fn(std::move(f)), argnums)(in);
  });
}

void add_profiler(nb::module_& m) {
  using Event = Profiler::Event;
  nb::class_<Event>(m, "_ProfilerEvent")
      .def_ro("name", &Event::name)
      .def_ro("part_of", &Event::part_of)
      .def_ro("shapes", &Event::shapes)
      .def_ro("start_ns", &Event::start_ns)
      .def_ro("total_ns", &Event::total_ns)
      .def_ro("self_ns", &Event::self_ns)
      .def_ro("depth", &Event::depth);
  nb::class_<Profiler>(m, "_Profiler")
      .def(nb::init<>())
      .def("stop", &Profiler::stop)
      .def("table", &Profiler::table, nb::arg("rows") = 30)
      .def(
          "export_chrome_trace", [](Profiler& p, const Path& path) { p.export_chrome_trace(path); }, nb::arg("path"))
      .def("events", [](const Profiler& p) { return p.events(); });
}

void add_compile(nb::module_& m) {
  nb::class_<CompiledFunction>(m, "_CompiledFunction")
      .def("__init__",
           [](CompiledFunction* self, nb::callable f) {
             auto call = callable<std::pair<TensorList, int64_t>, const TensorList&>(std::move(f));
             new (self) CompiledFunction([call](const TensorList& args, int64_t* form) {
               auto [tensors, number] = call(args);
               *form = number;
               return std::move(tensors);
             });
           })
      .def(
          "__call__",
          [](CompiledFunction& f, const TensorList& args, const std::string& key) {
            std::optional<std::pair<TensorList, int64_t>> out;  // None: the caller runs the function itself
            if (CompiledFunction::is_part()) return out;
            nb::gil_scoped_release unlocked;  // the function, while it is recorded, takes the lock itself
            out.emplace();
            out->first = f(args, key, &out->second);
            return out;
          },
          nb::arg("args"), nb::arg("key") = "")
      .def(
          "explain",
          [](CompiledFunction& f, const TensorList& args, const std::string& key) { return f.explain(args, key); },
          nb::arg("args"), nb::arg("key") = "")
      .def_prop_ro("recordings", &CompiledFunction::recordings);
  m.def("is_compiling", &is_compiling,
        "Whether a compiled function is being recorded.\n\n>>> thixo.is_compiling()\nFalse");
}

}  // namespace

void add_transforms(nb::module_& m) {
  add_autograd(m);
  add_func(m);
  add_compile(m);
  add_profiler(m);
}

}  // namespace thixo::py
