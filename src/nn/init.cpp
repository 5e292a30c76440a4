// Initial values of parameters.
#include <array>
#include <cmath>

#include "base/parallel.h"
#include "ir/dispatch.h"
#include "thixo/nn_init.h"

namespace thixo::nn::init {
namespace {

thread_local int t_skips = 0;

/// t := value(), without a gradient. Numbers are drawn in the default order, so t's strides do not matter.
template <class F> Tensor set(Tensor t, F&& value) {
  if (t_skips > 0) return t;
  GradMode off(false);
  t.copy_(value());
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

using Coefficients = std::array<double, 8>;  // from the constant term on

double ratio(const Coefficients& above, const Coefficients& below, double x) {
  double a = 0, b = 0;
  for (size_t i = above.size(); i-- > 0;) {
    a = a * x + above[i];
    b = b * x + below[i];
  }
  return a / b;
}

/// The x with normal_cdf(x) = p, to about 1e-16. Source: Wichura 1988, "Algorithm AS 241: the percentage points of the
/// normal distribution", https://doi.org/10.2307/2347330
double normal_quantile(double p) {
  static constexpr Coefficients a = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                     3.3430575583588128105e4, 2.5090809287301226727e3},
                                b = {1.0,
                                     4.2313330701600911252e1,
                                     6.8718700749205790830e2,
                                     5.3941960214247511077e3,
                                     2.1213794301586595867e4,
                                     3.9307895800092710610e4,
                                     2.8729085735721942674e4,
                                     5.2264952788528545610e3},
                                c = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                     3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                     2.27238449892691845833e-2, 7.74545014278341407640e-4},
                                d = {1.0,
                                     2.05319162663775882187e0,
                                     1.67638483018380384940e0,
                                     6.89767334985100004550e-1,
                                     1.48103976427480074590e-1,
                                     1.51986665636164571966e-2,
                                     5.47593808499534494600e-4,
                                     1.05075007164441684324e-9},
                                e = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                     2.71155556874348757815e-5, 2.01033439929228813265e-7},
                                f = {1.0,
                                     5.99832206555887937690e-1,
                                     1.36929880922735805310e-1,
                                     1.48753612908506148525e-2,
                                     7.86869131145613259100e-4,
                                     1.84631831751005468180e-5,
                                     1.42151175831644588870e-7,
                                     2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) return q * ratio(a, b, 0.180625 - q * q);
  const double r = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  if (std::isinf(r)) return std::copysign(r, q);
  return std::copysign(r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5), q);
}

}  // namespace

Skip::Skip() { ++t_skips; }
Skip::~Skip() { --t_skips; }

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
  return set(t, [&] { return uniform(t, g) * (b - a) + a; });
}

Tensor normal_(Tensor t, double mean, double std, Generator* g) {
  const DType type = t.dtype() == DType::F64 ? DType::F64 : DType::F32;
  return set(t, [&] { return randn(t.shape(), {.dtype = type, .generator = g}) * std + mean; });
}

Tensor trunc_normal_(Tensor t, double mean, double std, double a, double b, Generator* g) {
  return set(t, [&] {
    // By the inverse of the distribution function: exactly one number of the generator for each element.
    const double low = normal_cdf((a - mean) / std), high = normal_cdf((b - mean) / std);
    Tensor values = uniform(t, g).to(DType::F64);
    double* v = values.data<double>();
    constexpr int64_t kTile = 4096;
    const int64_t n = values.numel();
    parallel_for((n + kTile - 1) / kTile, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * kTile; i < std::min(n, end * kTile); ++i) {
        v[i] = std::clamp(mean + std * normal_quantile(low + v[i] * (high - low)), a, b);
      }
    });
    return values;
  });
}

Tensor constant_(Tensor t, double value) {
  if (t_skips > 0) return t;
  GradMode off(false);
  return t.fill_(value);
}
Tensor zeros_(Tensor t) { return constant_(t, 0); }
Tensor ones_(Tensor t) { return constant_(t, 1); }

Tensor eye_(Tensor t) {
  if (t.dim() != 2) {
    throw ShapeError("eye_: a tensor of rank " + std::to_string(t.dim())).need("rank 2");
  }
  if (t_skips > 0) return t;
  GradMode off(false);
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
