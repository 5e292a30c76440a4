#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"softmax over rows", R"(graph f(%0: f32[16, 40] arg) {
  %1: f32[16, 40] = softmax(%0) {dim = -1}
  return %1
}
)",
     R"(graph f(%0: f32[16, 40] arg) {
  %1: f32[16, 1] = amax(%0) {dim = [1], keepdim = true}
  %2: f32[16, 40] = sub(%0, %1)
  %3: f32[16, 40] = exp(%2)
  %4: f32[16, 1] = sum(%3) {dim = [1], keepdim = true}
  %5: f32[16, 40] = div(%3, %4)
  return %5
}
)"},
};

TEST(Decompose, BeforeAndAfter) { test::expect_pass("decompose", kCases); }

TEST(Decompose, CompositesThatAreKeptStay) {
  const char* const text = R"(graph f(%0: f32[16, 40] arg) {
  %1: f32[16, 40] = softmax(%0) {dim = -1}
  %2: f32[16, 40] = softmax(%1) {dim = -1}
  return %2
}
)";
  Graph g = parse_graph(text);
  decompose(g, {true, true});
  EXPECT_EQ(g.str(), text);
  decompose(g, {false, true});
  EXPECT_EQ(g.nodes.size(), 6u);
  EXPECT_EQ(g.nodes.back().op->name(), "softmax");
  EXPECT_EQ(g.nodes[0].composite, 0);
}

}  // namespace
}  // namespace thixo
