// Initial values of parameters, in place; each returns its tensor. None is recorded for gradients.
#pragma once

#include "thixo/generator.h"
#include "thixo/tensor.h"

namespace thixo::nn::init {

/// While one lives, the functions below leave the tensors of this thread as they are and draw no number: for modules
/// whose values come from elsewhere.
///
///     nn::init::Skip skip;
///     nn::Linear fc(784, 10);
class THIXO_API Skip {
 public:
  Skip();
  ~Skip();
  Skip(const Skip&) = delete;
};

enum class FanMode : uint8_t { FanIn, FanOut };
inline constexpr FanMode fan_in = FanMode::FanIn, fan_out = FanMode::FanOut;

/// {fan_in, fan_out} of a weight: the inputs one output depends on, and the reverse. ShapeError below rank 2.
THIXO_API std::pair<int64_t, int64_t> calculate_fans(const Tensor& t);
/// The factor of a nonlinearity: "linear", "conv2d", "sigmoid" 1, "tanh" 5/3, "relu" sqrt 2, "leaky_relu" by its slope
/// (0.01 unless given), "selu" 3/4.
THIXO_API double calculate_gain(std::string_view nonlinearity, std::optional<double> param = {});

THIXO_API Tensor uniform_(Tensor t, double a = 0, double b = 1, Generator* generator = nullptr);
THIXO_API Tensor normal_(Tensor t, double mean = 0, double std = 1, Generator* generator = nullptr);
/// Normal numbers, those outside [a, b] left out.
THIXO_API Tensor trunc_normal_(Tensor t, double mean = 0, double std = 1, double a = -2, double b = 2,
                               Generator* generator = nullptr);
THIXO_API Tensor constant_(Tensor t, double value);
THIXO_API Tensor zeros_(Tensor t);
THIXO_API Tensor ones_(Tensor t);
THIXO_API Tensor eye_(Tensor t);
/// Glorot and Bengio 2010: bound gain * sqrt(6 / (fan_in + fan_out)), or the normal of that variance.
THIXO_API Tensor xavier_uniform_(Tensor t, double gain = 1, Generator* generator = nullptr);
THIXO_API Tensor xavier_normal_(Tensor t, double gain = 1, Generator* generator = nullptr);
/// He et al. 2015: standard deviation gain / sqrt(fan).
THIXO_API Tensor kaiming_uniform_(Tensor t, double a = 0, FanMode mode = fan_in,
                                  std::string_view nonlinearity = "leaky_relu", Generator* generator = nullptr);
THIXO_API Tensor kaiming_normal_(Tensor t, double a = 0, FanMode mode = fan_in,
                                 std::string_view nonlinearity = "leaky_relu", Generator* generator = nullptr);

}  // namespace thixo::nn::init
