#include "transform/passes/absent.h"

#include <gtest/gtest.h>

namespace thixo {
namespace {

const char* const kBackward = R"(graph f(%0: f32[4] arg, %1: f32[4] arg, %2: f32[4] arg, %3: f32[2] arg) {
  %4: f32[4] = mul(%0, %2)
  %5: f32[4] = exp(%2)
  %6: f32[4] = mul(%1, %5)
  %7: f32[4] = add(%4, %6)
  %8: f32[8] = cat(%4, %6)
  return %7, %6, %8
}
)";

TEST(Absent, WhatComesOfAGradientThatNeverCameDoesNotCome) {
  const PartialBackward one = without_gradients(parse_graph(kBackward), 2, {false, true});
  EXPECT_EQ(one.graph.str(), R"(graph f(%0: f32[4] arg, %1: f32[4] arg, %2: f32[4] arg, %3: f32[2] arg) {
  %4: f32[4] = mul(%0, %2)
  %5: f32[4] = exp(%2)
  %9: f32[4] = zeros() {size = [4], dtype = f32}
  %8: f32[8] = cat(%4, %9)
  return %4, %8
}
)");
  EXPECT_EQ(one.output_of, (std::vector<int>{0, -1, 1}));
  const PartialBackward none = without_gradients(parse_graph(kBackward), 2, {true, true});
  EXPECT_EQ(none.output_of, (std::vector<int>{-1, -1, -1}));
  const PartialBackward all = without_gradients(parse_graph(kBackward), 2, {false, false});
  EXPECT_EQ(all.graph.str(), kBackward);
}

}  // namespace
}  // namespace thixo
