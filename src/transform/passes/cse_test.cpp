#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"equal nodes become one, and so their users", R"(graph f(%0: f32[2] arg, %1: f32[2] arg) {
  %2: f32[2] = exp(%0)
  %3: f32[2] = exp(%0)
  %4: f32[2] = add(%2, %1)
  %5: f32[2] = add(%3, %1)
  %6: f32[2] = add(%1, %3)
  %7: f32[2] = mul(%4, %5)
  return %7, %6
}
)",
     R"(graph f(%0: f32[2] arg, %1: f32[2] arg) {
  %2: f32[2] = exp(%0)
  %3: f32[2] = exp(%0)
  %4: f32[2] = add(%2, %1)
  %5: f32[2] = add(%2, %1)
  %6: f32[2] = add(%1, %2)
  %7: f32[2] = mul(%4, %4)
  return %7, %6
}
)"},
    {"attributes count, and results stay apart", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2] = sum(%0) {dim = [1]}
  %2: f32[3] = sum(%0) {dim = [0]}
  %3: f32[2, 1] = sum(%0) {dim = [1], keepdim = true}
  %4: f32[2] = sum(%0) {dim = [1]}
  return %1, %2, %3, %4
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2] = sum(%0) {dim = [1]}
  %2: f32[3] = sum(%0) {dim = [0]}
  %3: f32[2, 1] = sum(%0) {dim = [1], keepdim = true}
  %4: f32[2] = sum(%0) {dim = [1]}
  return %1, %2, %3, %4
}
)"},
    {"random nodes are equal when their keys are", R"(graph f(%0: f32[4] arg) {
  %1: f32[4] = dropout(%0) {generator = rng(1, 2)}
  %2: f32[4] = dropout(%0) {generator = rng(1, 3)}
  %3: f32[4] = dropout(%0) {generator = rng(1, 2)}
  %4: f32[4] = sub(%1, %2)
  %5: f32[4] = sub(%4, %3)
  return %5
}
)",
     R"(graph f(%0: f32[4] arg) {
  %1: f32[4] = dropout(%0) {generator = rng(1, 2)}
  %2: f32[4] = dropout(%0) {generator = rng(1, 3)}
  %3: f32[4] = dropout(%0) {generator = rng(1, 2)}
  %4: f32[4] = sub(%1, %2)
  %5: f32[4] = sub(%4, %1)
  return %5
}
)"},
};

TEST(CommonSubexpressions, BeforeAndAfter) { test::expect_pass("common_subexpressions", kCases); }

}  // namespace
}  // namespace thixo
