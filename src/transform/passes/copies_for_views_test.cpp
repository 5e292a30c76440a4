#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"a view of a transposed value, where it needs a copy", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %3: f32[6] = view(%2) {size = [6]}
  %4: f32[3, 1, 2] = view(%2) {size = [3, 1, 2]}
  return %3, %4
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %5: f32[3, 2] = clone(%2) {memory_format = contiguous}
  %3: f32[6] = view(%5) {size = [6]}
  %4: f32[3, 1, 2] = view(%2) {size = [3, 1, 2]}
  return %3, %4
}
)"},
};

TEST(CopiesForViews, BeforeAndAfter) { test::expect_pass("copies_for_views", kCases); }

}  // namespace
}  // namespace thixo
