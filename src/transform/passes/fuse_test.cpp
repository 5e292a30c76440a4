#include <algorithm>

#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"a chain of pointwise nodes; numbers are no nodes of it", R"(graph f(%0: f32[9, 4] arg, %1: f32[4] arg) {
  %2: f64[] weak = number() {value = 2.5}
  %3: f32[9, 4] = mul(%0, %2)
  %4: f32[9, 4] = add(%3, %1)
  %5: f32[9, 4] = exp(%4)
  return %5
}
)",
     R"(graph f(%0: f32[9, 4] arg, %1: f32[4] arg) {
  %2: f64[] weak = number() {value = 2.5}
  %3: f32[9, 4] = mul(%0, %2) @0
  %4: f32[9, 4] = add(%3, %1) @0
  %5: f32[9, 4] = exp(%4) @0
  return %5
}
)"},
    {"chains that meet become one", R"(graph f(%0: f32[9, 4] arg, %1: f32[9, 4] arg) {
  %2: f32[9, 4] = exp(%0)
  %3: f32[9, 4] = sin(%1)
  %4: f32[9, 4] = mul(%2, %3)
  return %4
}
)",
     R"(graph f(%0: f32[9, 4] arg, %1: f32[9, 4] arg) {
  %2: f32[9, 4] = exp(%0) @0
  %3: f32[9, 4] = sin(%1) @0
  %4: f32[9, 4] = mul(%2, %3) @0
  return %4
}
)"},
    {"a reduction over rows and what follows", R"(graph f(%0: f32[16, 40] arg) {
  %1: f32[16, 40] = exp(%0)
  %2: f32[16, 1] = sum(%1) {dim = [-1], keepdim = true}
  %3: f32[16, 1] = log(%2)
  %4: f32[16, 40] = div(%1, %3)
  return %4
}
)",
     R"(graph f(%0: f32[16, 40] arg) {
  %1: f32[16, 40] = exp(%0) @0
  %2: f32[16, 1] = sum(%1) {dim = [-1], keepdim = true} @0
  %3: f32[16, 1] = log(%2) @0
  %4: f32[16, 40] = div(%1, %3) @0
  return %4
}
)"},
    {"reductions over few rows, or over other dims, stay alone",
     R"(graph f(%0: f32[4, 4000] arg, %1: f32[16, 40] arg) {
  %2: f32[4, 4000] = exp(%0)
  %3: f32[4] = sum(%2) {dim = [1]}
  %4: f32[16, 40] = exp(%1)
  %5: f32[40] = sum(%4) {dim = [0]}
  return %3, %5
}
)",
     R"(graph f(%0: f32[4, 4000] arg, %1: f32[16, 40] arg) {
  %2: f32[4, 4000] = exp(%0)
  %3: f32[4] = sum(%2) {dim = [1]}
  %4: f32[16, 40] = exp(%1)
  %5: f32[40] = sum(%4) {dim = [0]}
  return %3, %5
}
)"},
    {"what a node outside makes of the group cannot come back into it",
     R"(graph f(%0: f32[16, 40] arg, %1: f32[40, 40] arg) {
  %2: f32[16, 40] = exp(%0)
  %3: f32[16, 40] = matmul(%2, %1)
  %4: f32[16, 40] = add(%2, %3)
  %5: f32[16, 40] = sin(%4)
  return %5
}
)",
     R"(graph f(%0: f32[16, 40] arg, %1: f32[40, 40] arg) {
  %2: f32[16, 40] = exp(%0)
  %3: f32[16, 40] = matmul(%2, %1)
  %4: f32[16, 40] = add(%2, %3) @0
  %5: f32[16, 40] = sin(%4) @0
  return %5
}
)"},
    {"nor through another group", R"(graph f(%0: f32[16, 40] arg, %1: f32[40, 40] arg) {
  %2: f32[16, 40] = exp(%0)
  %3: f32[16, 40] = sin(%2)
  %4: f32[16, 40] = matmul(%3, %1)
  %5: f32[16, 40] = cos(%4)
  %6: f32[16, 40] = exp(%5)
  %7: f32[16, 40] = mul(%6, %2)
  return %7
}
)",
     R"(graph f(%0: f32[16, 40] arg, %1: f32[40, 40] arg) {
  %2: f32[16, 40] = exp(%0) @0
  %3: f32[16, 40] = sin(%2) @0
  %4: f32[16, 40] = matmul(%3, %1)
  %5: f32[16, 40] = cos(%4) @1
  %6: f32[16, 40] = exp(%5) @1
  %7: f32[16, 40] = mul(%6, %2) @1
  return %7
}
)"},
    {"rows and what all rows share join the group that reads them",
     R"(graph f(%0: f32[16, 40] arg, %1: i64[16, 1] arg) {
  %2: bool[16, 1] = eq(%1, %1)
  %3: i64[40] = iota() {size = 40}
  %4: bool[16, 40] = eq(%3, %1)
  %5: f32[16, 1] = sum(%0) {dim = [-1], keepdim = true}
  %6: f32[16, 40] = div(%0, %5)
  %7: f32[16, 40] = where(%4, %6, %0)
  %8: f32[16, 40] = where(%2, %7, %6)
  return %8
}
)",
     R"(graph f(%0: f32[16, 40] arg, %1: i64[16, 1] arg) {
  %2: bool[16, 1] = eq(%1, %1) @0
  %3: i64[40] = iota() {size = 40} @0
  %4: bool[16, 40] = eq(%3, %1) @0
  %5: f32[16, 1] = sum(%0) {dim = [-1], keepdim = true} @0
  %6: f32[16, 40] = div(%0, %5) @0
  %7: f32[16, 40] = where(%4, %6, %0) @0
  %8: f32[16, 40] = where(%2, %7, %6) @0
  return %8
}
)"},
    {"memory-only types end a group", R"(graph f(%0: f16[9, 4] arg) {
  %1: f16[9, 4] = exp(%0)
  %2: f16[9, 4] = sin(%1)
  return %2
}
)",
     R"(graph f(%0: f16[9, 4] arg) {
  %1: f16[9, 4] = exp(%0)
  %2: f16[9, 4] = sin(%1)
  return %2
}
)"},
    {"groups stand together", R"(graph f(%0: f32[9, 4] arg, %1: f32[4, 4] arg) {
  %2: f32[9, 4] = exp(%0)
  %3: f32[9, 4] = matmul(%0, %1)
  %4: f32[9, 4] = sin(%2)
  %5: f32[9, 4] = cos(%3)
  %6: f32[9, 4] = add(%5, %0)
  return %4, %6
}
)",
     R"(graph f(%0: f32[9, 4] arg, %1: f32[4, 4] arg) {
  %2: f32[9, 4] = exp(%0) @0
  %4: f32[9, 4] = sin(%2) @0
  %3: f32[9, 4] = matmul(%0, %1)
  %5: f32[9, 4] = cos(%3) @1
  %6: f32[9, 4] = add(%5, %0) @1
  return %4, %6
}
)"},
};

TEST(Fuse, BeforeAndAfter) { test::expect_pass("fuse", kCases); }

TEST(Fuse, CarefulFusionNeverJoinsGroups) {
  Graph g = parse_graph(R"(graph f(%0: f32[9, 4] arg, %1: f32[9, 4] arg) {
  %2: f32[9, 4] = exp(%0)
  %3: f32[9, 4] = sin(%1)
  %4: f32[9, 4] = mul(%2, %3)
  return %4
}
)");
  fuse_carefully(g);
  EXPECT_EQ(std::count_if(g.nodes.begin(), g.nodes.end(), [](const GraphNode& n) { return n.group < 0; }), 1);
}

}  // namespace
}  // namespace thixo
