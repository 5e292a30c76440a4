// Helpers of this room's tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error_text.h"
#include "thixo/tensor.h"

namespace thixo {

inline Tensor f64(const std::vector<double>& v, const Shape& shape) { return tensor(v, shape); }
inline Tensor f64(const std::vector<double>& v) { return tensor(v, {static_cast<int64_t>(v.size())}); }
inline Tensor f64(double v) { return tensor(std::vector<double>{v}, {}); }
/// A leaf.
inline Tensor leaf(const std::vector<double>& v) {
  Tensor t = f64(v);
  t.requires_grad_();
  return t;
}
inline Tensor leaf(const std::vector<double>& v, const Shape& shape) {
  Tensor t = f64(v, shape);
  t.requires_grad_();
  return t;
}
inline Tensor leaf(double v) {
  Tensor t = f64(v);
  t.requires_grad_();
  return t;
}

inline void expect_values(const Tensor& t, const std::vector<double>& want, double tolerance = 1e-9) {
  ASSERT_TRUE(t.defined());
  const std::vector<double> got = t.to(float64).to_vector<double>();
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], tolerance * (1 + std::abs(want[i]))) << "at " << i;
  }
}
inline void expect_close(const Tensor& a, const Tensor& b, double tolerance = 1e-9) {
  ASSERT_TRUE(a.defined() && b.defined());
  EXPECT_EQ(shape_str(a.shape()), shape_str(b.shape()));
  expect_values(a, b.to(float64).to_vector<double>(), tolerance);
}

/// The first line of the error that f throws, "" when it throws none.
template <class F> std::string headline_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return std::string(error_kind_name(e.kind())) + ": " + e.headline();
  }
  return "";
}
using test::error_of;

}  // namespace thixo
