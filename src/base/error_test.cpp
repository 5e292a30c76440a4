#include "thixo/error.h"

#include <gtest/gtest.h>

namespace thixo {
namespace {

TEST(Error, TextIsTheHeaderCommentsForm) {
  Error e = ShapeError("conv2d: input has 3 channels but weight expects 4")
                .got("x: f32[8, 3, 32, 32] cpu")
                .need("x.shape[1] == weight.shape[1] * groups")
                .fix("make the layer with in_channels=3")
                .at("train.cpp:41");
  EXPECT_STREQ(e.what(),
               "ShapeError: conv2d: input has 3 channels but weight expects 4\n"
               "  got   x: f32[8, 3, 32, 32] cpu\n"
               "  need  x.shape[1] == weight.shape[1] * groups\n"
               "  fix   make the layer with in_channels=3\n"
               "  at    train.cpp:41");
  EXPECT_EQ(e.headline(), "conv2d: input has 3 channels but weight expects 4");
  EXPECT_EQ(e.kind(), ErrorKind::Shape);
}

TEST(Error, PositionStaysLast) {
  Error e = IndexError("select: index 7 is out of range").at("a.cpp:1");
  EXPECT_TRUE(e.has_at());
  e.fix("use -1 for the last");
  EXPECT_STREQ(e.what(),
               "IndexError: select: index 7 is out of range\n"
               "  fix   use -1 for the last\n"
               "  at    a.cpp:1");
}

TEST(Error, SourceLocationGivesFileAndLine) {
  Error e = ValueError("x").at(std::source_location::current());
  std::string text = e.what();
  EXPECT_NE(text.find("\n  at    error_test.cpp:"), text.npos) << text;
}

TEST(Error, APlaceThatNobodyKnowsIsLeftOut) {
  EXPECT_STREQ(ValueError("x").at(std::source_location()).what(), "ValueError: x");
}

TEST(Error, TheOpThatAUserKnows) {
  Error e = IndexError("cross_entropy_rows: index 7 is out of range").got("target").at("a.cpp:1");
  e.in_op("cross_entropy");
  EXPECT_STREQ(e.what(), "IndexError: cross_entropy: index 7 is out of range\n  got   target\n  at    a.cpp:1");
  EXPECT_EQ(e.headline(), "cross_entropy: index 7 is out of range");
}

TEST(Error, EveryKindHasItsName) {
  EXPECT_STREQ(DTypeError("").what(), "DTypeError: ");
  EXPECT_STREQ(DeviceError("a").what(), "DeviceError: a");
  EXPECT_STREQ(NotImplementedError("a").what(), "NotImplementedError: a");
  EXPECT_STREQ(IoError("a").what(), "IoError: a");
  EXPECT_STREQ(InternalError("a").what(), "InternalError: a");
}

TEST(Error, IsCaughtAsStdException) {
  try {
    throw ValueError("bad").got("0");
  } catch (const std::exception& e) {
    EXPECT_STREQ(e.what(), "ValueError: bad\n  got   0");
  }
}

TEST(Error, TakesTheNameOfTheOpThatWasCalled) {
  Error e = IndexError("gather: index 7 is out of range: 3").got("index: i64[1] cpu").at("a.cpp:1");
  e.in_op("take_along_dim").in_op("nll_loss");
  EXPECT_STREQ(e.what(),
               "IndexError: nll_loss: index 7 is out of range: 3\n  got   index: i64[1] cpu\n  at    a.cpp:1");
  EXPECT_EQ(e.headline(), "nll_loss: index 7 is out of range: 3");
  EXPECT_EQ(ValueError("no name").in_op("mul").headline(), "no name");
}

TEST(Error, NamesTheModuleOnce) {
  Error e = ShapeError("linear: wrong").at("net.cpp:7");
  e.in_module("encoder.fc1").in_module("encoder");
  EXPECT_STREQ(e.what(), "ShapeError: linear: wrong\n  at    encoder.fc1  (net.cpp:7)");
  Error without = ValueError("v");
  without.in_module("fc1").need("n").at("train.py:3");
  EXPECT_STREQ(without.what(), "ValueError: v\n  need  n\n  at    fc1  (train.py:3)");
}

TEST(Error, TheCallsPlaceReplacesOnesWithinIt) {
  const auto here = std::source_location::current();
  const std::string place = "error_test.cpp:" + std::to_string(here.line());
  Error e = ValueError("v");
  e.at("inner.cpp:1").at_call(here).need("n");
  EXPECT_EQ(e.what(), "ValueError: v\n  need  n\n  at    " + place);
  e.at_call({});  // called from Python, whose place is added later
  EXPECT_STREQ(e.what(), "ValueError: v\n  need  n");
  EXPECT_FALSE(e.has_at());
  e.in_module("fc1").at_call(here);  // the module's own call has been noted
  EXPECT_STREQ(e.what(), "ValueError: v\n  need  n\n  at    fc1");
}

}  // namespace
}  // namespace thixo
