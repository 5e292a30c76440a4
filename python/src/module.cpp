// The extension module: what the package python/thixo is made of.
#include <map>

#include "py.h"
#include "thixo/memory.h"
#include "thixo/parallel.h"

namespace thixo::py {

/// ops.<name> for every op with a public function; overloads of one name stand together.
void add_op_functions(nb::module_& m) {
  std::map<std::string, std::vector<const OpDef*>> functions;
  for (int i = 0; i < op_count(); ++i) {
    const Schema& s = op_schema(op_at(i));
    if (!s.is_private) functions[s.name].push_back(&op_at(i));
  }
  nb::module_ ops = m.def_submodule("ops", "Every op of the registry as a function.");
  nb::list nn;
  for (auto& [name, overloads] : functions) {
    if (op_schema(*overloads[0]).nn) nn.append(name.c_str());
    ops.attr(name.c_str()) = nb::steal(make_op_function(overloads, OpForm::Function));
  }
  m.attr("_nn_ops") = nn;
}

void add_core(nb::module_& m) {
  nb::class_<Generator>(m, "Generator",
                        nb::intrusive_ptr<Generator>([](Generator* g, PyObject*) noexcept { g->retain(); }))
      .def(nb::init<uint64_t>(), nb::arg("seed") = 0)
      .def("manual_seed",
           [](nb::object self, uint64_t seed) {
             nb::cast<Generator*>(self)->manual_seed(seed);
             return self;
           })
      .def("initial_seed", &Generator::seed)
      .def("get_state", [](const Generator& g) { return nb::make_tuple(g.state().seed, g.state().counter); })
      .def("set_state", [](Generator& g, std::pair<uint64_t, uint64_t> s) { g.set_state({s.first, s.second}); });
  m.def("manual_seed", [](uint64_t seed) { manual_seed(seed); }, nb::arg("seed"), "Seeds the default generator.");
  m.def("initial_seed", [] { return default_generator().seed(); });
  m.def("get_rng_state",
        [] { return nb::make_tuple(default_generator().state().seed, default_generator().state().counter); });
  m.def("set_rng_state", [](std::pair<uint64_t, uint64_t> s) { default_generator().set_state({s.first, s.second}); });
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &set_num_threads, nb::arg("threads"));
  m.def("memory_stats", [] {
    MemoryStats s = memory_stats();
    nb::dict d;
    d["allocated"] = s.allocated;
    d["peak"] = s.peak;
    d["kept"] = s.kept;
    d["limit"] = s.limit;
    d["blocks"] = s.blocks;
    d["allocations"] = s.allocations;
    d["system_requests"] = s.system_requests;
    return d;
  });
  m.def("reset_peak_memory_stats", &reset_peak_memory_stats);
  m.def("empty_cache", &empty_cache);
  m.def("set_memory_limit", &set_memory_limit, nb::arg("bytes"));
  m.def(
      "empty",
      [](nb::args size, nb::object dtype, nb::object device, bool requires_grad) {
        Shape s = to_shape(nb::len(size) == 1 ? nb::object(size[0]).ptr() : size.ptr());
        TensorOptions o;
        if (!dtype.is_none()) o.dtype = to_dtype(dtype.ptr());
        if (!device.is_none()) o.device = to_device(device.ptr());
        o.requires_grad = requires_grad;
        return empty(s, o);
      },
      nb::arg("size"), nb::kw_only(), nb::arg("dtype") = nb::none(), nb::arg("device") = nb::none(),
      nb::arg("requires_grad") = false, "A tensor of uninitialised memory.");
}

}  // namespace thixo::py

NB_MODULE(_thixo, m) {
  using namespace thixo::py;
  m.doc() = "The C++ core of thixo.";
  nb::set_leak_warnings(false);  // Tensor, the dtypes and their methods live as long as the process, on purpose
  add_errors(m);
  add_dtypes(m);
  add_tensor_type(m);
  add_methods_by_hand();
  add_op_methods();
  add_op_functions(m);
  add_arrays(m);
  add_exchange(m);
  add_core(m);
  add_transforms(m);
  add_nn(m);
  add_training(m);
}
