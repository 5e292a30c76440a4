#include "thixo/dtype.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <vector>

#include "thixo/device.h"
#include "thixo/error.h"
#include "thixo/scalar.h"

namespace thixo {
namespace {

DType dt(const std::string& s) { return dtype_from_name(s); }

// torch.promote_types as PyTorch's c10/core/ScalarType.cpp has it.
TEST(DType, PromotionIsPyTorchs) {
  const std::vector<std::string> order = {"u8",  "i8",  "i16", "i32",  "i64",  "f16",
                                          "f32", "f64", "c64", "c128", "bool", "bf16"};
  const char* rows[] = {
      "u8   i16  i16  i32  i64  f16  f32  f64  c64  c128 u8   bf16",
      "i16  i8   i16  i32  i64  f16  f32  f64  c64  c128 i8   bf16",
      "i16  i16  i16  i32  i64  f16  f32  f64  c64  c128 i16  bf16",
      "i32  i32  i32  i32  i64  f16  f32  f64  c64  c128 i32  bf16",
      "i64  i64  i64  i64  i64  f16  f32  f64  c64  c128 i64  bf16",
      "f16  f16  f16  f16  f16  f16  f32  f64  c64  c128 f16  f32",
      "f32  f32  f32  f32  f32  f32  f32  f64  c64  c128 f32  f32",
      "f64  f64  f64  f64  f64  f64  f64  f64  c128 c128 f64  f64",
      "c64  c64  c64  c64  c64  c64  c64  c128 c64  c128 c64  c64",
      "c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128",
      "u8   i8   i16  i32  i64  f16  f32  f64  c64  c128 bool bf16",
      "bf16 bf16 bf16 bf16 bf16 f32  f32  f64  c64  c128 bf16 bf16",
  };
  for (size_t i = 0; i < order.size(); ++i) {
    std::istringstream row(rows[i]);
    for (const std::string& column : order) {
      std::string want;
      row >> want;
      EXPECT_EQ(dtype_short_name(promote_types(dt(order[i]), dt(column))), want) << order[i] << " with " << column;
    }
  }
}

TEST(DType, WideUnsignedPromotion) {
  for (DType u : {DType::U16, DType::U32, DType::U64}) {
    EXPECT_EQ(promote_types(u, DType::F16), DType::F16);  // as PyTorch
    EXPECT_EQ(promote_types(DType::BF16, u), DType::BF16);
    EXPECT_EQ(promote_types(u, DType::F64), DType::F64);
    EXPECT_EQ(promote_types(u, u), u);
    EXPECT_EQ(promote_types(DType::Bool, u), u);  // from here on PyTorch refuses
    EXPECT_EQ(promote_types(u, DType::U8), u);
    EXPECT_EQ(promote_types(u, DType::C64), DType::C64);
  }
  EXPECT_EQ(promote_types(DType::U16, DType::I8), DType::I32);
  EXPECT_EQ(promote_types(DType::I16, DType::U16), DType::I32);
  EXPECT_EQ(promote_types(DType::U16, DType::I64), DType::I64);
  EXPECT_EQ(promote_types(DType::U32, DType::I32), DType::I64);
  EXPECT_EQ(promote_types(DType::U32, DType::U64), DType::U64);
  EXPECT_THROW(promote_types(DType::U64, DType::I64), Error);
  EXPECT_THROW(promote_types(DType::I8, DType::U64), Error);
}

TEST(DType, CanCast) {
  EXPECT_FALSE(can_cast(DType::C64, DType::F64));
  EXPECT_FALSE(can_cast(DType::C64, DType::Bool));
  EXPECT_FALSE(can_cast(DType::F32, DType::I64));
  EXPECT_FALSE(can_cast(DType::I64, DType::Bool));
  EXPECT_TRUE(can_cast(DType::F64, DType::F16));
  EXPECT_TRUE(can_cast(DType::I64, DType::U8));
  EXPECT_TRUE(can_cast(DType::Bool, DType::C64));
  EXPECT_TRUE(can_cast(DType::Bool, DType::Bool));
}

TEST(DType, NamesRoundTrip) {
  for (int i = 0; i < kDTypeCount; ++i) {
    DType t = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(dtype_name(t)), t);
    EXPECT_EQ(dtype_from_name(dtype_short_name(t)), t);
  }
  EXPECT_EQ(dt("half"), DType::F16);
  EXPECT_EQ(dt("long"), DType::I64);
  EXPECT_THROW(dt("float8"), Error);
}

TEST(DType, DefaultIsAFloat) {
  EXPECT_EQ(default_dtype(), DType::F32);
  set_default_dtype(DType::F64);
  EXPECT_EQ(default_dtype(), DType::F64);
  set_default_dtype(DType::F32);
  EXPECT_THROW(set_default_dtype(DType::I32), Error);
}

TEST(DType, Classes) {
  EXPECT_TRUE(is_unsigned(DType::U8) && is_unsigned(DType::U64) && !is_unsigned(DType::I8));
  EXPECT_FALSE(is_int(DType::Bool));
  EXPECT_EQ(compute_type(DType::BF16), DType::F32);
  EXPECT_EQ(compute_type(DType::U16), DType::I32);
  EXPECT_EQ(compute_type(DType::U32), DType::U32);
  EXPECT_EQ(item_size(DType::C128), 16u);
}

TEST(Scalar, Text) {
  EXPECT_EQ(Scalar(2).str(), "2");
  EXPECT_EQ(Scalar(2.0).str(), "2.0");
  EXPECT_EQ(Scalar(0.1).str(), "0.1");
  EXPECT_EQ(Scalar(1e300).str(), "1e+300");
  EXPECT_EQ(Scalar(true).str(), "True");
  EXPECT_EQ(Scalar(std::complex<double>(1, -2)).str(), "(1.0-2.0j)");
}

TEST(Device, ParseAndText) {
  EXPECT_EQ(Device("cpu:0"), Device(DeviceType::Cpu));
  EXPECT_EQ(Device("meta").str(), "meta");
  EXPECT_THROW(Device("tpu"), Error);
}

}  // namespace
}  // namespace thixo
