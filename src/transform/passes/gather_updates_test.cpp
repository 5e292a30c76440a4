#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"updates go to the end, those whose results are read stay",
     R"(graph f(%0: f32[4] state, %1: f32[4] state, %2: f32[4] arg, %3: f64[3] state) {
  %4: f32[4] = sgd_update(%0, %2, %3)
  %5: f32[4] = exp(%2)
  %6: f32[4] = sgd_update(%1, %5, %3)
  %7: f32[4] = sin(%4)
  %8: f32[4] = cos(%5)
  return %7, %8
  update %0 = %4
  update %1 = %6
}
)",
     R"(graph f(%0: f32[4] state, %1: f32[4] state, %2: f32[4] arg, %3: f64[3] state) {
  %4: f32[4] = sgd_update(%0, %2, %3)
  %5: f32[4] = exp(%2)
  %7: f32[4] = sin(%4)
  %8: f32[4] = cos(%5)
  %6: f32[4] = sgd_update(%1, %5, %3)
  return %7, %8
  update %0 = %4
  update %1 = %6
}
)"},
};

TEST(GatherUpdates, BeforeAndAfter) { test::expect_pass("gather_updates", kCases); }

}  // namespace
}  // namespace thixo
