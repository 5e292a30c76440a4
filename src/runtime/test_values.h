// Helpers of this room's tests: random tensors, their values in row-major order, read without any op, and errors'
// texts.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "base/error_text.h"
#include "core/record.h"
#include "thixo/tensor.h"

namespace thixo::test {

inline Tensor random_tensor(const Shape& shape, unsigned seed = 1) {
  std::mt19937 g(seed);
  std::uniform_real_distribution<float> u(-3, 3);
  Tensor t = empty(shape);
  for (int64_t i = 0; i < t.numel().value(); ++i) t.data<float>()[i] = u(g);
  return t;
}

inline Tensor filled(const Shape& shape, double v) { return full(shape, v); }

template <class T = float> std::vector<T> values(const Tensor& t) {
  std::vector<T> out;
  std::vector<int64_t> index(t.shape().size(), 0);
  const auto* p = static_cast<const T*>(t.raw_data());
  for (int64_t n = t.numel().value(); n > 0; --n) {
    int64_t at = 0;
    for (size_t d = 0; d < index.size(); ++d) at += index[d] * t.strides()[d].value();
    out.push_back(p[at]);
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < t.shape()[d].value()) break;
      index[d] = 0;
    }
  }
  return out;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace thixo::test
