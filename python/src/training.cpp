// Optimizers, schedules, data, initial values.
#include <nanobind/trampoline.h>

#include <set>

#include "py.h"
#include "thixo/data.h"
#include "thixo/lr_scheduler.h"
#include "thixo/nn.h"
#include "thixo/nn_utils.h"
#include "thixo/optim.h"

namespace thixo::py {
namespace {

template <class T> auto counted() {
  return nb::intrusive_ptr<T>([](T* o, PyObject* self) noexcept {
    int64_t held = o->bind(self);
    for (int64_t i = 0; i < held; ++i) Py_INCREF(self);
  });
}

/// params of an optimizer: tensors, or dicts with "params" and settings of their own.
std::vector<optim::ParamGroup> groups(nb::handle params) {
  std::vector<optim::ParamGroup> out;
  for (nb::handle p : nb::list(nb::borrow(params))) {
    if (is_tensor(p.ptr())) {
      if (out.empty()) out.emplace_back();
      out.back().params.push_back(unwrap(p.ptr()));
      continue;
    }
    optim::ParamGroup g;
    for (auto [k, v] : nb::cast<nb::dict>(p)) {
      std::string key = nb::cast<std::string>(k);
      if (key == "params") {
        if (is_tensor(v.ptr())) {
          g.params.push_back(unwrap(v.ptr()));
        } else {
          for (nb::handle t : nb::list(nb::borrow(v))) g.params.push_back(nb::cast<Tensor>(t));
        }
      } else if (key == "betas") {
        auto b = nb::cast<std::pair<double, double>>(v);
        g.settings.emplace_back("beta1", b.first);
        g.settings.emplace_back("beta2", b.second);
      } else {
        g.settings.emplace_back(key, nb::cast<double>(v));
      }
    }
    out.push_back(std::move(g));
  }
  if (out.empty()) throw ValueError("optimizer got an empty list of parameters");
  return out;
}

void add_optimizers(nb::module_& m) {
  using nb::arg;
  nb::class_<optim::Optimizer>(
      m, "Optimizer",
      "What all optimizers share: param_groups, step, zero_grad, state_dict.\n\n>>> "
      "isinstance(thixo.optim.SGD([thixo.ones(1, requires_grad=True)]), thixo.optim.Optimizer)\nTrue",
      counted<optim::Optimizer>(), nb::dynamic_attr(), nb::is_weak_referenceable())
      .def("_step", [](optim::Optimizer& o) { o.step(); })
      .def(
          "zero_grad", [](optim::Optimizer& o, bool none) { o.zero_grad(none); }, arg("set_to_none") = true)
      .def("add_param_group",
           [](optim::Optimizer& o, nb::object g) { o.add_param_group(groups(nb::make_tuple(g))[0]); })
      .def("_group_count", [](optim::Optimizer& o) { return o.param_groups().size(); })
      .def("_group_params", [](optim::Optimizer& o, size_t i) { return o.param_groups().at(i).params; })
      .def("_group_settings", [](optim::Optimizer& o, size_t i) { return o.param_groups().at(i).settings; })
      .def("_set",
           [](optim::Optimizer& o, size_t i, const std::string& key, double v) { o.param_groups().at(i)[key] = v; })
      .def("_state", &optim::Optimizer::state_dict)
      .def("_load_state", &optim::Optimizer::load_state_dict);
  nb::class_<optim::SGD, optim::Optimizer>(
      m, "SGD",
      "Gradient descent, with momentum where it is given.\n\n>>> w = thixo.ones(1, requires_grad=True)\n>>> opt = "
      "thixo.optim.SGD([w], lr=0.1)\n>>> w.sum().backward()\n>>> opt.step(); w\ntensor([0.9000], requires_grad=True)")
      .def(
          "__init__",
          [](optim::SGD* self, nb::object p, double lr, double momentum, double dampening, double decay, bool nesterov,
             bool maximize, nb::object,
             nb::object) { new (self) optim::SGD(groups(p), {lr, momentum, dampening, decay, nesterov, maximize}); },
          arg("params"), arg("lr") = 1e-3, arg("momentum") = 0.0, arg("dampening") = 0.0, arg("weight_decay") = 0.0,
          arg("nesterov") = false, nb::kw_only(), arg("maximize") = false, arg("foreach") = nb::none(),
          arg("fused") = nb::none());
  auto adam = [&]<class O, class Options>(const char* name, const char* doc, double decay, O*, Options*) {
    nb::class_<O, optim::Optimizer>(m, name, doc)
        .def(
            "__init__",
            [](O* self, nb::object p, double lr, std::pair<double, double> betas, double eps, double weight_decay,
               bool amsgrad, bool maximize, nb::object, nb::object) {
              Options o;
              o.lr = lr;
              o.betas = betas;
              o.eps = eps;
              o.weight_decay = weight_decay;
              o.amsgrad = amsgrad;
              o.maximize = maximize;
              new (self) O(groups(p), o);
            },
            arg("params"), arg("lr") = 1e-3, arg("betas") = std::pair(0.9, 0.999), arg("eps") = 1e-8,
            arg("weight_decay") = decay, arg("amsgrad") = false, nb::kw_only(), arg("maximize") = false,
            arg("foreach") = nb::none(), arg("fused") = nb::none());
  };
  adam("Adam",
       "Steps of about the size of lr, from running means of gradients and their squares.\n\n>>> w = thixo.ones(1, "
       "requires_grad=True)\n>>> opt = thixo.optim.Adam([w], lr=0.1, weight_decay=0)\n>>> w.sum().backward()\n>>> "
       "opt.step(); w\ntensor([0.9000], requires_grad=True)",
       0, static_cast<optim::Adam*>(nullptr), static_cast<optim::AdamOptions*>(nullptr));
  adam("AdamW",
       "Adam with weight decay that is apart from the gradient.\n\n>>> w = thixo.ones(1, requires_grad=True)\n>>> opt "
       "= thixo.optim.AdamW([w], lr=0.1, weight_decay=0)\n>>> w.sum().backward()\n>>> opt.step(); w\ntensor([0.9000], "
       "requires_grad=True)",
       1e-2, static_cast<optim::AdamW*>(nullptr), static_cast<optim::AdamWOptions*>(nullptr));
}

void add_schedules(nb::module_& m) {
  using nb::arg;
  using optim::Optimizer;
  nb::class_<optim::LRScheduler>(
      m, "LRScheduler",
      "What all schedules share: step, get_last_lr, state_dict.\n\n>>> opt = thixo.optim.SGD([thixo.ones(1, "
      "requires_grad=True)], lr=1.0)\n>>> schedule = thixo.optim.lr_scheduler.StepLR(opt, 1)\n>>> schedule.step(); "
      "schedule.get_last_lr()\n[0.1]",
      counted<optim::LRScheduler>(), nb::dynamic_attr())
      .def("step", &optim::LRScheduler::step)
      .def_prop_rw("last_epoch", &optim::LRScheduler::last_epoch, &optim::LRScheduler::set_epoch)
      .def("get_last_lr", &optim::LRScheduler::get_last_lr)
      .def("state_dict",
           [](optim::LRScheduler& s) {
             nb::dict d;
             d["last_epoch"] = s.last_epoch();
             return d;
           })
      .def("load_state_dict",
           [](optim::LRScheduler& s, nb::dict d) { s.set_epoch(nb::cast<int64_t>(d["last_epoch"])); });
  nb::class_<optim::LambdaLR, optim::LRScheduler>(
      m, "LambdaLR",
      "The first rate times a function of the epoch.\n\n>>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], "
      "lr=1.0)\n>>> schedule = thixo.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 0.5 ** epoch)\n>>> "
      "schedule.step(); schedule.get_last_lr()\n[0.5]")
      .def(nb::init<const Optimizer&, std::function<double(int64_t)>>(), arg("optimizer"), arg("lr_lambda"));
  nb::class_<optim::StepLR, optim::LRScheduler>(
      m, "StepLR",
      "The rate times gamma after every step_size epochs.\n\n>>> opt = thixo.optim.SGD([thixo.ones(1, "
      "requires_grad=True)], lr=1.0)\n>>> schedule = thixo.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)\n>>> "
      "schedule.step(); schedule.get_last_lr()\n[0.5]")
      .def(nb::init<const Optimizer&, int64_t, double>(), arg("optimizer"), arg("step_size"), arg("gamma") = 0.1);
  nb::class_<optim::ExponentialLR, optim::LRScheduler>(
      m, "ExponentialLR",
      "The rate times gamma after each epoch.\n\n>>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], "
      "lr=1.0)\n>>> schedule = thixo.optim.lr_scheduler.ExponentialLR(opt, gamma=0.5)\n>>> schedule.step(); "
      "schedule.get_last_lr()\n[0.5]")
      .def(nb::init<const Optimizer&, double>(), arg("optimizer"), arg("gamma"));
  nb::class_<optim::LinearLR, optim::LRScheduler>(
      m, "LinearLR",
      "A factor that goes from start_factor to end_factor in total_iters epochs.\n\n>>> opt = "
      "thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)\n>>> schedule = "
      "thixo.optim.lr_scheduler.LinearLR(opt, start_factor=0.5, total_iters=2)\n>>> schedule.step(); "
      "schedule.get_last_lr()\n[0.75]")
      .def(nb::init<const Optimizer&, double, double, int64_t>(), arg("optimizer"), arg("start_factor") = 1.0 / 3,
           arg("end_factor") = 1.0, arg("total_iters") = 5);
  nb::class_<optim::CosineAnnealingLR, optim::LRScheduler>(
      m, "CosineAnnealingLR",
      "From the first rate down to eta_min along half a cosine.\n\n>>> opt = thixo.optim.SGD([thixo.ones(1, "
      "requires_grad=True)], lr=1.0)\n>>> schedule = thixo.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=2)\n>>> "
      "schedule.step(); schedule.get_last_lr()\n[0.5]")
      .def(nb::init<const Optimizer&, int64_t, double>(), arg("optimizer"), arg("T_max"), arg("eta_min") = 0.0);
  nb::class_<optim::OneCycleLR, optim::LRScheduler>(
      m, "OneCycleLR",
      "Up to max_lr, then far down: once over the whole training, one step a batch.\n\n>>> opt = "
      "thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)\n>>> schedule = "
      "thixo.optim.lr_scheduler.OneCycleLR(opt, max_lr=1.0, total_steps=3, pct_start=0.5)\n>>> schedule.step()")
      .def(
          "__init__",
          [](optim::OneCycleLR* self, const Optimizer& o, double max_lr, std::optional<int64_t> total,
             std::optional<int64_t> epochs, std::optional<int64_t> per_epoch, double pct_start,
             const std::string& anneal, double div, double final_div) {
            if (!total && !(epochs && per_epoch))
              throw ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch");
            optim::OneCycleOptions options;
            options.pct_start = pct_start;
            options.anneal_strategy = anneal;
            options.div_factor = div;
            options.final_div_factor = final_div;
            new (self) optim::OneCycleLR(o, max_lr, total ? *total : *epochs * *per_epoch, options);
          },
          arg("optimizer"), arg("max_lr"), arg("total_steps") = nb::none(), arg("epochs") = nb::none(),
          arg("steps_per_epoch") = nb::none(), arg("pct_start") = 0.3, arg("anneal_strategy") = "cos",
          arg("div_factor") = 25.0, arg("final_div_factor") = 1e4);
}

/// A data set written in Python: __getitem__ and __len__.
struct PythonDataset : data::Dataset {
  nb::object source;
  std::function<TensorList(nb::handle)> to_tensors;
  explicit PythonDataset(nb::object s) : source(std::move(s)) {}
  ~PythonDataset() override {
    nb::gil_scoped_acquire gil;
    source.reset();
  }
  int64_t size() const override {
    nb::gil_scoped_acquire gil;
    return static_cast<int64_t>(nb::len(source));
  }
  TensorList get(int64_t i) const override {
    nb::gil_scoped_acquire gil;
    nb::object sample = source[nb::int_(i)];
    TensorList out;
    auto add = [&](nb::handle h) {
      out.push_back(is_tensor(h.ptr()) ? unwrap(h.ptr()) : tensor_from(h.ptr(), nullptr));
    };
    if (nb::isinstance<nb::tuple>(sample) || nb::isinstance<nb::list>(sample)) {
      for (nb::handle h : sample) add(h);
    } else {
      add(sample);
    }
    return out;
  }
};

/// Batches on their way. Its end waits for the workers, who may be waiting for the interpreter lock.
struct Batches {
  std::unique_ptr<data::DataLoader::Iterator> it;
  explicit Batches(data::DataLoader::Iterator i) : it(std::make_unique<data::DataLoader::Iterator>(std::move(i))) {
    live().insert(this);
  }
  Batches(const Batches&) = delete;
  ~Batches() {
    live().erase(this);
    end();
  }
  void end() {
    nb::gil_scoped_release unlocked;
    it.reset();
  }
  /// Those that Python holds; they end before the interpreter does, as no thread may come back to it then.
  static std::set<Batches*>& live() {
    static std::set<Batches*> all;
    return all;
  }
};

void add_data(nb::module_& m) {
  using nb::arg;
  nb::class_<data::Dataset>(m, "_Dataset", counted<data::Dataset>())
      .def("__len__", &data::Dataset::size)
      .def("_get", &data::Dataset::get);
  nb::class_<data::TensorDataset, data::Dataset>(m, "_TensorDataset")
      .def(nb::init<TensorList>())
      .def("_tensors", &data::TensorDataset::tensors);
  nb::class_<data::Subset, data::Dataset>(m, "_Subset")
      .def("__init__", [](data::Subset* self, data::Dataset* of, std::vector<int64_t> i) {
        new (self) data::Subset(Ref<data::Dataset>(of), std::move(i));
      });
  m.def("_python_dataset",
        [](nb::object source) { return static_cast<data::Dataset*>(new PythonDataset(std::move(source))); });
  nb::class_<Batches>(m, "_Iterator").def("next", [](Batches& b) {
    nb::gil_scoped_release unlocked;
    return b.it ? b.it->next() : std::nullopt;
  });
  m.def("_end_batches", [] {
    for (Batches* b : Batches::live()) b->end();
  });
  nb::class_<data::DataLoader>(m, "_DataLoader", counted<data::DataLoader>())
      .def("__init__",
           [](data::DataLoader* self, data::Dataset* d, int64_t batch, bool shuffle, bool drop, int workers,
              int prefetch, std::optional<uint64_t> seed) {
             data::LoaderOptions o;
             o.batch_size = batch;
             o.shuffle = shuffle;
             o.drop_last = drop;
             o.num_workers = workers;
             o.prefetch = prefetch;
             o.seed = seed;
             new (self) data::DataLoader(Ref<data::Dataset>(d), o);
           })
      .def("__len__", &data::DataLoader::size)
      .def_prop_rw("epoch", &data::DataLoader::epoch, &data::DataLoader::set_epoch)
      .def(
          "_iterate", [](data::DataLoader& l, int64_t from) { return new Batches(l.iterate(from)); },
          nb::keep_alive<0, 1>(), nb::rv_policy::take_ownership);
  m.def("_digits", [] {
    data::Digits d = data::digits();
    return nb::make_tuple(d.images, d.labels);
  });
  m.def("_digits_split", [](int64_t test, uint64_t seed) {
    auto [train, held_out] = data::digits().split(test, seed);
    return nb::make_tuple(train.images, train.labels, held_out.images, held_out.labels);
  });
}

}  // namespace

void add_training(nb::module_& parent) {
  using nb::arg;
  nb::module_ m = parent.def_submodule("_training");
  add_optimizers(m);
  add_schedules(m);
  add_data(m);
  m.def(
      "batch_norm",
      [](const Tensor& x, std::optional<Tensor> mean, std::optional<Tensor> var, std::optional<Tensor> weight,
         std::optional<Tensor> bias, bool training, double momentum, double eps) {
        auto given = [](const std::optional<Tensor>& t) { return t.value_or(Tensor()); };
        return nn::functional::batch_norm(x, given(mean), given(var), given(weight), given(bias), training, momentum,
                                          eps);
      },
      arg("input"), arg("running_mean").none(), arg("running_var").none(), arg("weight") = nb::none(),
      arg("bias") = nb::none(), arg("training") = false, arg("momentum") = 0.1, arg("eps") = 1e-5,
      "Mean 0 and variance 1 of each channel of [N, C, ...], then weight and bias: by the batch's figures when "
      "training "
      "(the running ones, where given, then move towards them in place), else by the running ones.\n\n>>> "
      "thixo.nn.functional.batch_norm(thixo.tensor([[1.], [3.]]), None, None, training=True)\n"
      "tensor([[-1.0000],\n        [ 1.0000]])");
  m.def(
      "clip_grad_norm_",
      [](nb::object params, double max_norm, double norm_type, bool error) {
        TensorList l;
        if (is_tensor(params.ptr())) {
          l.push_back(unwrap(params.ptr()));
        } else {
          for (nb::handle p : nb::list(params)) l.push_back(nb::cast<Tensor>(p));
        }
        return nn::utils::clip_grad_norm_(l, max_norm, norm_type, error);
      },
      arg("parameters"), arg("max_norm"), arg("norm_type") = 2.0, arg("error_if_nonfinite") = false,
      "Scales the gradients so that their common norm is at most max_norm; returns the norm they had.\n\n>>> w = "
      "thixo.ones(1, requires_grad=True)\n>>> (w * 10).sum().backward()\n>>> thixo.nn.utils.clip_grad_norm_([w], "
      "1.0)\ntensor(10.)\n>>> w.grad\ntensor([1.0000])");
  m.def(
      "clip_grad_value_",
      [](nb::object params, double value) {
        TensorList l;
        for (nb::handle p : nb::list(params)) l.push_back(nb::cast<Tensor>(p));
        nn::utils::clip_grad_value_(l, value);
      },
      arg("parameters"), arg("clip_value"),
      "Clamps each element of the gradients to [-clip_value, clip_value].\n\n>>> w = thixo.ones(1, "
      "requires_grad=True)\n>>> (w * 10).sum().backward()\n>>> thixo.nn.utils.clip_grad_value_([w], 2.0); "
      "w.grad\ntensor([2.])");
  nb::module_ init = parent.def_submodule("_init");
  namespace ni = nn::init;
  auto back = [](nb::object t, auto&& f) {
    f(unwrap(t.ptr()));
    return t;
  };
  init.def(
      "uniform_",
      [back](nb::object t, double a, double b, Generator* g) {
        return back(t, [&](Tensor x) { ni::uniform_(x, a, b, g); });
      },
      arg("tensor"), arg("a") = 0.0, arg("b") = 1.0, arg("generator") = nb::none(),
      "Uniform between a and b.\n\n>>> thixo.nn.init.uniform_(thixo.empty(2)).shape\nthixo.Size([2])");
  init.def(
      "normal_",
      [back](nb::object t, double mean, double std, Generator* g) {
        return back(t, [&](Tensor x) { ni::normal_(x, mean, std, g); });
      },
      arg("tensor"), arg("mean") = 0.0, arg("std") = 1.0, arg("generator") = nb::none(),
      "Normal with this mean and standard deviation.\n\n>>> "
      "thixo.nn.init.normal_(thixo.empty(2)).shape\nthixo.Size([2])");
  init.def(
      "trunc_normal_",
      [back](nb::object t, double mean, double std, double a, double b) {
        return back(t, [&](Tensor x) { ni::trunc_normal_(x, mean, std, a, b); });
      },
      arg("tensor"), arg("mean") = 0.0, arg("std") = 1.0, arg("a") = -2.0, arg("b") = 2.0,
      "Normal, drawn again where it is below a or above b.\n\n>>> thixo.nn.init.trunc_normal_(thixo.empty(2), "
      "a=0.0).min() >= 0\ntensor(True)");
  init.def(
      "constant_", [back](nb::object t, double v) { return back(t, [&](Tensor x) { ni::constant_(x, v); }); },
      arg("tensor"), arg("val"),
      "One value everywhere.\n\n>>> thixo.nn.init.constant_(thixo.empty(2), 3)\ntensor([3., 3.])");
  init.def(
      "zeros_", [back](nb::object t) { return back(t, [&](Tensor x) { ni::zeros_(x); }); }, arg("tensor"),
      "Zeros.\n\n>>> thixo.nn.init.zeros_(thixo.empty(2))\ntensor([0., 0.])");
  nb::class_<ni::Skip>(init, "_Skip").def(nb::init<>());
  init.def(
      "ones_", [back](nb::object t) { return back(t, [&](Tensor x) { ni::ones_(x); }); }, arg("tensor"),
      "Ones.\n\n>>> thixo.nn.init.ones_(thixo.empty(2))\ntensor([1., 1.])");
  init.def(
      "eye_", [back](nb::object t) { return back(t, [&](Tensor x) { ni::eye_(x); }); }, arg("tensor"),
      "Ones on the diagonal, zeros elsewhere.\n\n>>> thixo.nn.init.eye_(thixo.empty(2, 2))\ntensor([[1., 0.],\n        "
      "[0., 1.]])");
  init.def(
      "xavier_uniform_",
      [back](nb::object t, double gain) { return back(t, [&](Tensor x) { ni::xavier_uniform_(x, gain); }); },
      arg("tensor"), arg("gain") = 1.0,
      "Uniform, scaled by the numbers of inputs and outputs (Glorot and Bengio 2010).\n\n>>> "
      "thixo.nn.init.xavier_uniform_(thixo.empty(3, 3)).abs().max() <= 1\ntensor(True)");
  init.def(
      "xavier_normal_",
      [back](nb::object t, double gain) { return back(t, [&](Tensor x) { ni::xavier_normal_(x, gain); }); },
      arg("tensor"), arg("gain") = 1.0,
      "Normal, scaled by the numbers of inputs and outputs (Glorot and Bengio 2010).\n\n>>> "
      "thixo.nn.init.xavier_normal_(thixo.empty(2, 2)).shape\nthixo.Size([2, 2])");
  auto mode = [](const std::string& s) {
    if (s != "fan_in" && s != "fan_out") throw ValueError("mode must be 'fan_in' or 'fan_out', not '" + s + "'");
    return s == "fan_in" ? ni::fan_in : ni::fan_out;
  };
  init.def(
      "kaiming_uniform_",
      [back, mode](nb::object t, double a, const std::string& fan, const std::string& f) {
        return back(t, [&](Tensor x) { ni::kaiming_uniform_(x, a, mode(fan), f); });
      },
      arg("tensor"), arg("a") = 0.0, arg("mode") = "fan_in", arg("nonlinearity") = "leaky_relu",
      "Uniform, scaled for layers followed by a rectifier (He et al. 2015).\n\n>>> "
      "thixo.nn.init.kaiming_uniform_(thixo.empty(2, 2)).shape\nthixo.Size([2, 2])");
  init.def(
      "kaiming_normal_",
      [back, mode](nb::object t, double a, const std::string& fan, const std::string& f) {
        return back(t, [&](Tensor x) { ni::kaiming_normal_(x, a, mode(fan), f); });
      },
      arg("tensor"), arg("a") = 0.0, arg("mode") = "fan_in", arg("nonlinearity") = "leaky_relu",
      "Normal, scaled for layers followed by a rectifier (He et al. 2015).\n\n>>> "
      "thixo.nn.init.kaiming_normal_(thixo.empty(2, 2)).shape\nthixo.Size([2, 2])");
  init.def(
      "calculate_gain", [](const std::string& n, std::optional<double> p) { return ni::calculate_gain(n, p); },
      arg("nonlinearity"), arg("param") = nb::none(),
      "The factor by which a nonlinearity shrinks values.\n\n>>> "
      "thixo.nn.init.calculate_gain('relu')\n1.4142135623730951");
}

}  // namespace thixo::py
