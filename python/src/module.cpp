// The extension module: what the package python/thixo is made of.
#include <limits>
#include <map>
#include <optional>

#include "py.h"
#include "thixo/backend.h"
#include "thixo/info.h"
#include "thixo/memory.h"
#include "thixo/parallel.h"
#include "thixo/print.h"

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

namespace {

void add_generators(nb::module_& m) {
  nb::class_<Generator>(m, "Generator",
                        nb::intrusive_ptr<Generator>([](Generator* g, PyObject*) noexcept { g->retain(); }),
                        "A source of random numbers of its own: the same numbers for the same seed, on any machine.\n\n"
                        ">>> g = thixo.Generator(7)\n>>> a = thixo.rand(2, generator=g)\n"
                        ">>> thixo.equal(a, thixo.rand(2, generator=g.manual_seed(7)))\nTrue")
      .def(nb::init<uint64_t>(), nb::arg("seed") = 0)
      .def(
          "manual_seed",
          [](nb::object self, uint64_t seed) {
            nb::cast<Generator*>(self)->manual_seed(seed);
            return self;
          },
          nb::arg("seed"), "Starts again with this seed; returns the generator.")
      .def("initial_seed", &Generator::seed, "The seed in force.")
      .def(
          "get_state", [](const Generator& g) { return std::pair(g.state().seed, g.state().counter); },
          "Seed and counter: all there is to know.")
      .def(
          "set_state", [](Generator& g, std::pair<uint64_t, uint64_t> s) { g.set_state({s.first, s.second}); },
          nb::arg("state"), "Takes over what get_state gave.");
  m.def(
      "manual_seed", [](uint64_t seed) { manual_seed(seed); }, nb::arg("seed"),
      "Seeds the default generator.\n\n>>> thixo.manual_seed(1)\n>>> a = thixo.rand(1)\n>>> thixo.manual_seed(1)\n"
      ">>> thixo.equal(a, thixo.rand(1))\nTrue");
  m.def(
      "initial_seed", [] { return default_generator().seed(); },
      "The seed of the default generator.\n\n>>> thixo.manual_seed(5)\n>>> thixo.initial_seed()\n5");
  m.def(
      "get_rng_state", [] { return std::pair(default_generator().state().seed, default_generator().state().counter); },
      "Seed and counter of the default generator.\n\n>>> thixo.manual_seed(5)\n>>> thixo.get_rng_state()\n(5, 0)");
  m.def(
      "set_rng_state", [](std::pair<uint64_t, uint64_t> s) { default_generator().set_state({s.first, s.second}); },
      nb::arg("new_state"),
      "Takes over what get_rng_state gave.\n\n>>> state = thixo.get_rng_state()\n>>> a = thixo.rand(1)\n"
      ">>> thixo.set_rng_state(state)\n>>> thixo.equal(a, thixo.rand(1))\nTrue");
}

void add_memory(nb::module_& m) {
  m.def("get_num_threads", &get_num_threads,
        "How many threads an op may use; results never depend on it.\n\n>>> thixo.get_num_threads() >= 1\nTrue");
  m.def("set_num_threads", &set_num_threads, nb::arg("threads"),
        "How many threads an op may use from now on.\n\n>>> before = thixo.get_num_threads()\n"
        ">>> thixo.set_num_threads(1)\n>>> thixo.get_num_threads()\n1\n>>> thixo.set_num_threads(before)");
  m.def(
      "use_deterministic_algorithms", [](bool mode, bool) { use_deterministic_algorithms(mode); }, nb::arg("mode"),
      nb::kw_only(), nb::arg("warn_only") = false,
      "True: results are the same bits on every processor, and whatever the place in the batch, at a cost in time.\n\n"
      ">>> thixo.use_deterministic_algorithms(True)\n>>> thixo.are_deterministic_algorithms_enabled()\nTrue\n"
      ">>> thixo.use_deterministic_algorithms(False)");
  m.def("are_deterministic_algorithms_enabled", &are_deterministic_algorithms_enabled,
        "What use_deterministic_algorithms set.\n\n>>> thixo.are_deterministic_algorithms_enabled()\nFalse");
  m.def(
      "memory_stats",
      [] {
        MemoryStats s = memory_stats();
        return std::map<std::string, int64_t>{{"allocated", s.allocated},
                                              {"peak", s.peak},
                                              {"kept", s.kept},
                                              {"limit", s.limit},
                                              {"blocks", s.blocks},
                                              {"allocations", s.allocations},
                                              {"system_requests", s.system_requests}};
      },
      "Bytes that live tensors asked for, their peak, bytes kept from the system, and counts.\n\n"
      ">>> x = thixo.ones(1000)\n>>> thixo.memory_stats()['allocated'] >= 4000\nTrue");
  m.def("reset_peak_memory_stats", &reset_peak_memory_stats,
        "Lets 'peak' of memory_stats begin again at what is allocated now.\n\n>>> thixo.reset_peak_memory_stats()");
  m.def("empty_cache", &empty_cache, "Gives unused memory back to the system now.\n\n>>> thixo.empty_cache()");
  m.def("set_memory_limit", &set_memory_limit, nb::arg("bytes"),
        "The most memory that is taken from the system; beyond it an allocation is an error. 0: no limit.\n\n"
        ">>> thixo.set_memory_limit(0)");
}

}  // namespace

void add_core(nb::module_& m) {
  add_generators(m);
  add_memory(m);
  m.attr("__version__") = version();
  m.attr("_inf") = std::numeric_limits<double>::infinity();
  m.attr("_nan") = std::numeric_limits<double>::quiet_NaN();
  m.def("_set_package", &set_package);
  m.def(
      "_set_print_options",
      [](std::optional<std::string> profile, std::optional<int> precision, std::optional<int64_t> threshold,
         std::optional<int64_t> edgeitems, std::optional<int> linewidth, std::optional<bool> sci_mode) {
        PrintOptions o = profile ? PrintOptions() : print_options();
        if (profile == "full") o.threshold = std::numeric_limits<int64_t>::max();
        if (profile == "short") o.precision = 2, o.edgeitems = 2;
        o.precision = precision.value_or(o.precision);
        o.threshold = threshold.value_or(o.threshold);
        o.edgeitems = edgeitems.value_or(o.edgeitems);
        o.linewidth = linewidth.value_or(o.linewidth);
        if (sci_mode) o.sci_mode = sci_mode;
        set_print_options(o);
      },
      nb::arg("profile").none(), nb::arg("precision").none(), nb::arg("threshold").none(), nb::arg("edgeitems").none(),
      nb::arg("linewidth").none(), nb::arg("sci_mode").none());
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
      nb::arg("requires_grad") = false,
      "A tensor of uninitialised memory.\n\n>>> thixo.empty(2, 3).shape\nthixo.Size([2, 3])");
}

}  // namespace thixo::py

NB_MODULE(_thixo, m) {
  using namespace thixo::py;
  m.doc() = "The C++ core of thixo.";
  static std::optional<thixo::WarmUp> warm;
  warm.emplace();
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] { warm.reset(); }));
  nb::set_leak_warnings(false);  // Tensor, the dtypes and their methods live as long as the process, on purpose
  add_errors(m);
  add_dtypes(m);
  add_tensor_type(m);
  add_grad_fn(m);
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
