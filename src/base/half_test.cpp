#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace thixo {
namespace {

TEST(Half, EveryF16ValueSurvives) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = f16_to_f32(static_cast<uint16_t>(h));
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f))));
    } else {
      EXPECT_EQ(f32_to_f16(f), h);
    }
  }
}

TEST(Half, F16RoundsToNearestEven) {
  // Halfway between each pair of neighbours the even one is taken; just beside it, the nearer one.
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    const float a = f16_to_f32(static_cast<uint16_t>(h)), b = f16_to_f32(static_cast<uint16_t>(h + 1));
    const float middle = (a + b) / 2;
    EXPECT_EQ(f32_to_f16(middle), h + (h & 1));
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), h);
    EXPECT_EQ(f32_to_f16(-std::nextafter(middle, 1e9f)), (h + 1) | 0x8000);
  }
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(f32_to_f16(1e-10f), 0);
}

TEST(Half, Bf16) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = bf16_to_f32(static_cast<uint16_t>(h));
    if (!std::isnan(f)) {
      EXPECT_EQ(f32_to_bf16(f), h);
    }
  }
  EXPECT_EQ(f32_to_bf16(1.00390625f), 0x3f80);  // halfway: to even
  EXPECT_EQ(f32_to_bf16(1.01171875f), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace thixo
