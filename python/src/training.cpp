// Batch norm, clipping, initial values; optimizers and data have files of their own.
#include "py.h"
#include "thixo/nn.h"
#include "thixo/nn_utils.h"

namespace thixo::py {
void add_training(nb::module_& parent) {
  using nb::arg;
  nb::module_ m = parent.def_submodule("_training");
  add_optim(m);
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
      [](nb::object params, double max_norm, double norm_type, bool error, nb::object) {
        return nn::utils::clip_grad_norm_(tensors_of(params, "clip_grad_norm_", "parameters"), max_norm, norm_type,
                                          error);
      },
      arg("parameters"), arg("max_norm"), arg("norm_type") = 2.0, arg("error_if_nonfinite") = false,
      arg("foreach") = nb::none(),
      "Scales the gradients so that their common norm is at most max_norm; returns the norm they had.\n\n>>> w = "
      "thixo.ones(1, requires_grad=True)\n>>> (w * 10).sum().backward()\n>>> thixo.nn.utils.clip_grad_norm_([w], "
      "1.0)\ntensor(10.)\n>>> w.grad\ntensor([1.0000])");
  m.def(
      "clip_grad_value_",
      [](nb::object params, double value, nb::object) {
        nn::utils::clip_grad_value_(tensors_of(params, "clip_grad_value_", "parameters"), value);
      },
      arg("parameters"), arg("clip_value"), arg("foreach") = nb::none(),
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
