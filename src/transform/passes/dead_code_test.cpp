#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"what nobody needs goes, inputs stay, numbers close up",
     R"(graph f(%0: f32[4] arg, %1: f32[4] arg, %2: f32[4] state) {
  %3: f32[4] = exp(%0)
  %4: f32[4] = sin(%3)
  %5: f32[4] = cos(%0)
  %6: f32[4] = add(%5, %2)
  return %5
  update %2 = %6
}
)",
     R"(graph f(%0: f32[4] arg, %1: f32[4] arg, %2: f32[4] state) {
  %3: f32[4] = cos(%0)
  %4: f32[4] = add(%3, %2)
  return %3
  update %2 = %4
}
)"},
    {"an update by itself is none", R"(graph f(%0: f32[4] state) {
  %1: f32[4] = exp(%0)
  return
  update %0 = %0
}
)",
     R"(graph f(%0: f32[4] state) {
  return
}
)"},
};

TEST(DeadCode, BeforeAndAfter) { test::expect_pass("dead_code", kCases); }

}  // namespace
}  // namespace thixo
