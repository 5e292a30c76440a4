// Optimizers and schedules for thixo/optim, which parses arguments and speaks of what is wrong with them.
#include "thixo/optim.h"

#include "py.h"
#include "thixo/lr_scheduler.h"

namespace thixo::py {
namespace {

using nb::arg;
using optim::LRScheduler, optim::Optimizer, optim::ParamGroup, optim::Settings;

/// Parameters and settings of each group.
using Groups = std::vector<std::pair<TensorList, Settings>>;

std::vector<ParamGroup> groups_of(const Groups& groups) {
  std::vector<ParamGroup> out;
  for (const auto& [params, settings] : groups) out.push_back({params, settings});
  return out;
}

/// Settings by name, flags as bools.
nb::dict dict_of(const Settings& settings) {
  nb::dict d;
  for (const auto& [name, value] : settings) {
    if (optim::is_flag(name)) {
      d[name.c_str()] = value != 0;
    } else {
      d[name.c_str()] = value;
    }
  }
  return d;
}

/// What is remembered of a parameter; nothing before its first step.
nb::dict state_of(Optimizer& o, const Tensor& param) {
  nb::dict d;
  const optim::ParamState* s = o.find_state(param);
  if (s == nullptr) return d;
  d["step"] = s->step;
  for (const auto& [name, t] : s->tensors) d[name.c_str()] = t;
  return d;
}

template <class O, class Options> void add_adam(nb::module_& m, const char* name) {
  nb::class_<O, Optimizer>(m, name).def(
      "__init__",
      [](O* self, const Groups& groups, double lr, std::pair<double, double> betas, double eps, double decay,
         bool amsgrad, bool maximize) {
        Options o;
        o.lr = lr;
        o.betas = betas;
        o.eps = eps;
        o.weight_decay = decay;
        o.amsgrad = amsgrad;
        o.maximize = maximize;
        new (self) O(groups_of(groups), o);
      },
      arg("groups"), arg("lr"), arg("betas"), arg("eps"), arg("weight_decay"), arg("amsgrad"), arg("maximize"));
}

void add_optimizers(nb::module_& m) {
  nb::class_<Optimizer>(m, "Optimizer",
                        "What all optimizers share: param_groups, step, zero_grad, state_dict.\n\n>>> "
                        "isinstance(thixo.optim.SGD([thixo.ones(1, requires_grad=True)]), thixo.optim.Optimizer)\nTrue",
                        counted<Optimizer>(), nb::dynamic_attr(), nb::is_weak_referenceable())
      .def("__init__",
           [](Optimizer*, nb::args, nb::kwargs) {
             throw NotImplementedError("Optimizer: an optimizer written in Python is not there yet")
                 .fix("subclass SGD, Adam or AdamW, or change the parameters yourself under thixo.no_grad()");
           })
      .def("_step", [](Optimizer& o) { o.step(); })
      .def(
          "zero_grad", [](Optimizer& o, bool none) { o.zero_grad(none); }, nb::arg("set_to_none") = true)
      .def("_add_group",
           [](Optimizer& o, const TensorList& params, const Settings& own) { o.add_param_group({params, own}); })
      .def("_group_count", [](Optimizer& o) { return o.param_groups().size(); })
      .def("_group_params", [](Optimizer& o, size_t i) { return o.param_groups().at(i).params; })
      .def("_group_settings", [](Optimizer& o, size_t i) { return dict_of(o.param_groups().at(i).settings); })
      .def("_set", [](Optimizer& o, size_t i, const std::string& key, double v) { o.param_groups().at(i).set(key, v); })
      .def("_defaults", [](Optimizer& o) { return dict_of(o.defaults()); })
      .def("_param_state", &state_of)
      .def("_state", &Optimizer::state_dict)
      .def("_load_state", &Optimizer::load_state_dict);
  nb::class_<optim::SGD, Optimizer>(m, "SGD").def(
      "__init__",
      [](optim::SGD* self, const Groups& groups, double lr, double momentum, double dampening, double decay,
         bool nesterov, bool maximize) {
        new (self) optim::SGD(groups_of(groups), {lr, momentum, dampening, decay, nesterov, maximize});
      },
      arg("groups"), arg("lr"), arg("momentum"), arg("dampening"), arg("weight_decay"), arg("nesterov"),
      arg("maximize"));
  add_adam<optim::Adam, optim::AdamOptions>(m, "Adam");
  add_adam<optim::AdamW, optim::AdamWOptions>(m, "AdamW");
}

void add_schedules(nb::module_& m) {
  nb::class_<LRScheduler>(m, "LRScheduler",
                          "What all schedules share: step, get_last_lr, base_lrs, last_epoch, state_dict.\n\n>>> opt = "
                          "thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)\n>>> schedule = "
                          "thixo.optim.lr_scheduler.StepLR(opt, 1)\n>>> schedule.step(); schedule.get_last_lr()\n[0.1]",
                          counted<LRScheduler>(), nb::dynamic_attr(), nb::is_weak_referenceable())
      .def("_step", &LRScheduler::step)
      .def_prop_ro("last_epoch", &LRScheduler::last_epoch)
      .def_prop_ro("base_lrs", [](const LRScheduler& s) { return s.base_lrs(); })
      .def("_set_epoch", &LRScheduler::set_epoch)
      .def("get_last_lr", [](const LRScheduler& s) { return s.get_last_lr(); })
      .def("state_dict",
           [](const LRScheduler& s) {
             nb::dict d;
             d["last_epoch"] = s.last_epoch();
             d["base_lrs"] = s.base_lrs();
             d["_last_lr"] = s.get_last_lr();
             return d;
           })
      .def("_load_state", [](LRScheduler& s, int64_t epoch, std::vector<double> base, std::vector<double> last) {
        s.set_state({epoch, std::move(base), std::move(last)});
      });
  nb::class_<optim::LambdaLR, LRScheduler>(m, "LambdaLR")
      .def(nb::init<const Optimizer&, std::vector<optim::LambdaLR::Lambda>, int64_t>());
  nb::class_<optim::StepLR, LRScheduler>(m, "StepLR").def(nb::init<const Optimizer&, int64_t, double, int64_t>());
  nb::class_<optim::ExponentialLR, LRScheduler>(m, "ExponentialLR").def(nb::init<const Optimizer&, double, int64_t>());
  nb::class_<optim::LinearLR, LRScheduler>(m, "LinearLR")
      .def(nb::init<const Optimizer&, double, double, int64_t, int64_t>());
  nb::class_<optim::CosineAnnealingLR, LRScheduler>(m, "CosineAnnealingLR")
      .def(nb::init<const Optimizer&, int64_t, double, int64_t>());
  using Doubles = std::vector<double>;
  nb::class_<optim::OneCycleLR, LRScheduler>(m, "OneCycleLR")
      .def("__init__",
           [](optim::OneCycleLR* self, const Optimizer& o, const Doubles& max_lr, int64_t total, double pct_start,
              const std::string& anneal, bool cycle_momentum, const Doubles& base_momentum, const Doubles& max_momentum,
              double div, double final_div, bool three_phase, int64_t last) {
             const optim::OneCycleOptions options{pct_start,    anneal, cycle_momentum, base_momentum,
                                                  max_momentum, div,    final_div,      three_phase};
             new (self) optim::OneCycleLR(o, max_lr, total, options, last);
           });
}

}  // namespace

void add_optim(nb::module_& m) {
  add_optimizers(m);
  add_schedules(m);
}

}  // namespace thixo::py
