// The 16-bit floats' conversions, every value of 16 bits and what lies between them.
#include "base/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "codegen/math/expand.h"
#include "ir/eval_expr.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

class Half : public testing::TestWithParam<DType> {
 protected:
  float widened(uint32_t bits) {
    return static_cast<float>(
        widen_.eval_exact({[&](const ExprNode&, std::span<const int64_t>) { return ExprValue{.i = bits}; }}).f);
  }
  uint16_t narrowed(float v) {
    return static_cast<uint16_t>(
        narrow_.eval_exact({[&](const ExprNode&, std::span<const int64_t>) { return ExprValue{.f = v}; }}).i);
  }
  // The value from the format's definition, in arithmetic that shares nothing with the code under test.
  static double value(uint32_t h) {
    int mantissa_bits = GetParam() == DType::F16 ? 10 : 7, bias = GetParam() == DType::F16 ? 15 : 127;
    int exponent = static_cast<int>((h & 0x7fff) >> mantissa_bits), top = GetParam() == DType::F16 ? 31 : 255;
    double mantissa = h & ((1u << mantissa_bits) - 1), sign = h & 0x8000 ? -1 : 1;
    if (exponent == top) return mantissa != 0 ? NAN : sign * HUGE_VAL;
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp(mantissa + std::ldexp(1, mantissa_bits), exponent - bias - mantissa_bits);
  }

  Evaluator widen_{widen(input(0, DType::U16), GetParam())};
  Evaluator narrow_{narrow(input(0, DType::F32), GetParam())};
};

TEST_P(Half, WidensEveryValue) {
  for (uint32_t h = 0; h < 65536; ++h) {
    double want = value(h), got = widened(h);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << h;
    } else {
      ASSERT_EQ(std::bit_cast<uint64_t>(got), std::bit_cast<uint64_t>(want)) << h;
    }
  }
}

TEST_P(Half, NarrowsEveryValueBackAndNanToNan) {
  for (uint32_t h = 0; h < 65536; ++h) {
    double v = value(h);
    uint16_t got = narrowed(static_cast<float>(v));
    if (std::isnan(v)) {
      ASSERT_TRUE(std::isnan(value(got))) << h;
    } else {
      ASSERT_EQ(got, h);
    }
  }
}

// Halfway between two neighbours goes to the even one, and a hair beside it to the nearer one.
TEST_P(Half, RoundsToNearestEven) {
  uint32_t infinity = GetParam() == DType::F16 ? 0x7c00 : 0x7f80;
  for (uint32_t h = 0; h < infinity; ++h) {
    double low = value(h), next = h + 1 == infinity ? 2 * low - value(h - 1) : value(h + 1);
    float middle = static_cast<float>((low + next) / 2);
    ASSERT_EQ(static_cast<double>(middle), (low + next) / 2);
    for (float sign : {1.0f, -1.0f}) {
      uint32_t s = sign < 0 ? 0x8000 : 0;
      ASSERT_EQ(narrowed(sign * middle), s | (h + (h & 1))) << h;
      ASSERT_EQ(narrowed(sign * std::nextafter(middle, 0.0f)), s | h) << h;
      ASSERT_EQ(narrowed(sign * std::nextafter(middle, HUGE_VALF)), s | (h + 1)) << h;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Half, testing::Values(DType::F16, DType::BF16),
                         [](const auto& test) { return std::string(dtype_name(test.param)); });

TEST(HalfExpr, OtherTypesAreErrors) { EXPECT_THROW(widen(input(0, DType::U16), DType::F32), Error); }

}  // namespace
}  // namespace thixo::codegen
