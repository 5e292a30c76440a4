#include <cmath>

#include "ir/dispatch.h"
#include "thixo/nn_init.h"

namespace thixo::nn::init {
namespace {

/// t := value, without a gradient. Numbers are drawn in the default order, so t's strides do not matter.
Tensor set(Tensor t, const Tensor& value) {
  t.copy_(value);
  return t;
}

/// Uniform in [0, 1) of t's shape, in at least single precision.
Tensor uniform(const Tensor& t, Generator* g) {
  return rand(t.shape(), {.dtype = t.dtype() == DType::F64 ? DType::F64 : DType::F32, .generator = g});
}

double he_std(const Tensor& t, double a, FanMode mode, std::string_view nonlinearity) {
  const auto [in, out] = calculate_fans(t);
  const double fan = static_cast<double>(mode == FanMode::FanIn ? in : out);
  return calculate_gain(nonlinearity, a) / std::sqrt(fan);
}

double glorot_std(const Tensor& t, double gain) {
  const auto [in, out] = calculate_fans(t);
  return gain * std::sqrt(2.0 / static_cast<double>(in + out));
}

double normal_cdf(double x) { return (1 + std::erf(x / std::sqrt(2.0))) / 2; }

/// The x with normal_cdf(x) = p: bisection, for the few numbers of an initialisation.
double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (normal_cdf(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

std::pair<int64_t, int64_t> calculate_fans(const Tensor& t) {
  if (t.dim() < 2) {
    throw ShapeError("init: fan in and fan out of a tensor of rank " + std::to_string(t.dim()))
        .got("tensor: " + std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()))
        .need("rank 2 or more")
        .fix("use uniform_, normal_ or zeros_ for biases and scales");
  }
  int64_t window = 1;
  for (size_t d = 2; d < t.shape().size(); ++d) window *= t.shape()[d].value();
  return {t.size(1) * window, t.size(0) * window};
}

double calculate_gain(std::string_view nonlinearity, std::optional<double> param) {
  if (nonlinearity == "linear" || nonlinearity == "conv2d" || nonlinearity == "sigmoid") return 1;
  if (nonlinearity == "tanh") return 5.0 / 3;
  if (nonlinearity == "relu") return std::sqrt(2.0);
  if (nonlinearity == "selu") return 3.0 / 4;
  if (nonlinearity == "leaky_relu") {
    const double slope = param.value_or(0.01);
    return std::sqrt(2.0 / (1 + slope * slope));
  }
  throw ValueError("calculate_gain: there is no nonlinearity '" + std::string(nonlinearity) + "'")
      .need("linear, conv2d, sigmoid, tanh, relu, leaky_relu or selu");
}

Tensor uniform_(Tensor t, double a, double b, Generator* g) {
  GradMode off(false);
  return set(t, uniform(t, g) * (b - a) + a);
}

Tensor normal_(Tensor t, double mean, double std, Generator* g) {
  GradMode off(false);
  const DType type = t.dtype() == DType::F64 ? DType::F64 : DType::F32;
  return set(t, randn(t.shape(), {.dtype = type, .generator = g}) * std + mean);
}

Tensor trunc_normal_(Tensor t, double mean, double std, double a, double b, Generator* g) {
  GradMode off(false);
  // By the inverse of the distribution function: exactly one number of the generator for each element.
  const double low = normal_cdf((a - mean) / std), high = normal_cdf((b - mean) / std);
  std::vector<double> values = uniform(t, g).to(DType::F64).to_vector<double>();
  for (double& v : values) v = std::clamp(mean + std * normal_quantile(low + v * (high - low)), a, b);
  return set(t, tensor(values, t.shape()));
}

Tensor constant_(Tensor t, double value) {
  GradMode off(false);
  return t.fill_(value);
}
Tensor zeros_(Tensor t) { return constant_(t, 0); }
Tensor ones_(Tensor t) { return constant_(t, 1); }

Tensor eye_(Tensor t) {
  GradMode off(false);
  if (t.dim() != 2) {
    throw ShapeError("eye_: a tensor of rank " + std::to_string(t.dim())).need("rank 2");
  }
  t.zero_();
  for (int64_t i = 0; i < std::min(t.size(0).value(), t.size(1).value()); ++i) t.index_put_({i, i}, 1);
  return t;
}

Tensor xavier_uniform_(Tensor t, double gain, Generator* g) {
  const double bound = std::sqrt(3.0) * glorot_std(t, gain);
  return uniform_(t, -bound, bound, g);
}
Tensor xavier_normal_(Tensor t, double gain, Generator* g) { return normal_(t, 0, glorot_std(t, gain), g); }

Tensor kaiming_uniform_(Tensor t, double a, FanMode mode, std::string_view nonlinearity, Generator* g) {
  const double bound = std::sqrt(3.0) * he_std(t, a, mode, nonlinearity);
  return uniform_(t, -bound, bound, g);
}
Tensor kaiming_normal_(Tensor t, double a, FanMode mode, std::string_view nonlinearity, Generator* g) {
  return normal_(t, 0, he_std(t, a, mode, nonlinearity), g);
}

}  // namespace thixo::nn::init
