#include <gtest/gtest.h>

#include "transform/passes/passes.h"

namespace thixo {
namespace {

/// Where values live: "%2 @64" at an offset of the arena, "%2 out", "%2 = %0" in the memory of an input,
/// "%2 of %1" a view, "%2 -" nowhere.
std::string plan_str(const std::string& text) {
  const Graph g = parse_graph(text);
  const MemoryPlan plan = plan_memory(g);
  std::string s;
  for (const GraphNode& n : g.nodes) {
    for (ValueId v : n.out) {
      const Place& p = plan.places[static_cast<size_t>(v)];
      s += (s.empty() ? "%" : ", %") + std::to_string(v);
      switch (p.kind) {
        case Place::None: s += " -"; break;
        case Place::Input: s += " = %" + std::to_string(p.root); break;
        case Place::Output: s += " out"; break;
        case Place::Arena: s += " @" + std::to_string(p.offset); break;
        case Place::View: s += " of %" + std::to_string(p.root); break;
      }
    }
  }
  s += "; " + std::to_string(plan.arena_bytes) + " bytes";
  for (const GraphUpdate& u : plan.copies)
    s += "; copy %" + std::to_string(u.value) + " to %" + std::to_string(u.input);
  return s;
}

TEST(Plan, ValuesThatAreDeadGiveTheirMemory) {
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[100] arg) {
  %1: f32[100] = exp(%0)
  %2: f32[100] = sin(%1)
  %3: f32[100] = cos(%2)
  %4: f32[100] = add(%3, %2)
  return %4
})"),
            "%1 @0, %2 @448, %3 @0, %4 out; 896 bytes")
      << "100 floats take 448 bytes in steps of 64; %1 is dead when %3 is made, %2 is not";
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[1000] arg, %1: f32[10] arg) {
  %2: f32[10] = exp(%1)
  %3: f32[1000] = exp(%0)
  %4: f32[1000] = mul(%3, %0)
  %5: f32[10] = sin(%2)
  %6: f32[] = sum(%4)
  %7: f32[] = sum(%5)
  %8: f32[] = add(%6, %7)
  return %8
})"),
            "%2 @8064, %3 @0, %4 @4032, %5 @0, %6 @64, %7 @128, %8 out; 8128 bytes")
      << "the largest first";
}

TEST(Plan, UpdatesInPlace) {
  EXPECT_EQ(plan_str("graph f(%0: f32[8] state, %1: f32[8] arg) { %2: f32[8] = add(%0, %1) return update %0 = %2 }"),
            "%2 = %0; 0 bytes");
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[8] state, %1: f32[8] arg) {
  %2: f32[8] = add(%0, %1)
  %3: f32[8] = mul(%0, %2)
  return %3
  update %0 = %2
})"),
            "%2 @0, %3 out; 64 bytes; copy %2 to %0")
      << "the old value is read after the new one is made";
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[4, 4] state) {
  %1: f32[4, 4] = permute(%0) {dims = [1, 0]}
  %2: f32[4, 4] = add(%0, %1)
  return
  update %0 = %2
})"),
            "%1 of %0, %2 @0; 64 bytes; copy %2 to %0")
      << "other elements of the old value are read through a view";
  EXPECT_EQ(plan_str("graph f(%0: f32[8] state, %1: f32[8] arg) { %2: f32[8] = add(%0, %1) return %2 update %0 = %2 }"),
            "%2 out; 0 bytes; copy %2 to %0")
      << "the caller gets memory of its own";
  EXPECT_EQ(plan_str("graph f(%0: f32[4, 4] strides [1, 4] state) { %1: f32[4, 4] = exp(%0) return update %0 = %1 }"),
            "%1 @0; 64 bytes; copy %1 to %0")
      << "kernels write row-major";
}

TEST(Plan, UpdatesOfSeveralResults) {
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[8] state, %1: f32[8] arg, %2: f32[8] state, %3: f64[7] state) {
  %4: f32[8], %5: f32[8] = sgd_update.momentum(%0, %1, %2, %3)
  return
  update %0 = %4
  update %2 = %5
})"),
            "%4 = %0, %5 = %2; 0 bytes");
}

TEST(Plan, GroupsOfPointwiseNodesUpdateInPlaceOthersDoNot) {
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[8, 4] state, %1: f32[8, 4] arg) {
  %2: f64[] weak = number() {value = 0.5}
  %3: f32[8, 4] = mul(%0, %2) @0
  %4: f32[8, 4] = add(%3, %1) @0
  return
  update %0 = %4
})"),
            "%2 -, %3 -, %4 = %0; 0 bytes");
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[8, 4] state) {
  %1: f32[8, 1] = sum(%0) {dim = [1], keepdim = true} @0
  %2: f32[8, 4] = div(%0, %1) @0
  return
  update %0 = %2
})"),
            "%1 -, %2 @0; 128 bytes; copy %2 to %0")
      << "a kernel of several passes";
}

TEST(Plan, WritesGoIntoABaseThatDies) {
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[4, 4] arg, %1: f32[4] arg) {
  %2: f32[4, 4] = exp(%0)
  %3: f32[4, 4] = write(%2, %1) {chain = [select(dim = 0, index = 1)]}
  %4: f32[4, 4] = sin(%3)
  return %4
})"),
            "%2 @0, %3 of %2, %4 out; 64 bytes");
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[4, 4] arg, %1: f32[4] arg) {
  %2: f32[4, 4] = exp(%0)
  %3: f32[4, 4] = write(%2, %1) {chain = [select(dim = 0, index = 1)]}
  %4: f32[4, 4] = add(%3, %2)
  return %4
})"),
            "%2 @0, %3 @64, %4 out; 128 bytes")
      << "the old base is read again";
  EXPECT_EQ(plan_str(R"(graph f(%0: f32[4, 4] state, %1: f32[4] arg) {
  %2: f32[4, 4] = write(%0, %1) {chain = [select(dim = 0, index = 1)]}
  return
  update %0 = %2
})"),
            "%2 = %0; 0 bytes");
}

}  // namespace
}  // namespace thixo
