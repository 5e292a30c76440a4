#include "transform/passes/split.h"

#include <gtest/gtest.h>

#include "thixo/error.h"
#include "transform/passes/passes.h"

namespace thixo {
namespace {

struct Case {
  const char* what;
  size_t forward_outputs;
  std::vector<bool> late;
  const char *whole, *forward, *backward, *sources;  // sources: i<n> an input of the whole, s<n> an output of forward
};

const Case kCases[] = {
    {"the operand of a product is saved, what is cheap is made again",
     1,
     {false, false, true},
     R"(graph f(%0: f32[8, 4] arg, %1: f32[4, 5] state, %2: f32[8, 5] arg) {
  %3: f32[8, 5] = matmul(%0, %1)
  %4: f32[8, 5] = sin(%3)
  %5: f32[8, 5] = exp(%4)
  %6: f32[8, 5] = cos(%3)
  %7: f32[8, 5] = mul(%2, %5)
  %8: f32[8, 5] = mul(%7, %6)
  %9: f32[5, 8] = permute(%8) {dims = [1, 0]}
  %10: f32[5, 4] = matmul(%9, %0)
  return %5, %10
}
)",
     R"(graph f(%0: f32[8, 4] arg, %1: f32[4, 5] state) {
  %2: f32[8, 5] = matmul(%0, %1)
  %3: f32[8, 5] = sin(%2)
  %4: f32[8, 5] = exp(%3)
  return %4, %2
}
)",
     R"(graph f_backward(%0: f32[8, 5] arg, %1: f32[8, 5] arg, %2: f32[8, 5] arg, %3: f32[8, 4] arg) {
  %4: f32[8, 5] = cos(%1)
  %5: f32[8, 5] = mul(%0, %2)
  %6: f32[8, 5] = mul(%5, %4)
  %7: f32[5, 8] = permute(%6) {dims = [1, 0]}
  %8: f32[5, 4] = matmul(%7, %3)
  return %8
}
)",
     "i2 s1 s0 i0"},
    {"a result that was handed out is read again",
     1,
     {false, true},
     R"(graph f(%0: f32[8, 4] arg, %1: f32[8, 4] arg) {
  %2: f32[8, 4] = softmax(%0) {dim = -1}
  %3: f32[8, 4] = mul(%2, %1)
  return %2, %3
}
)",
     R"(graph f(%0: f32[8, 4] arg) {
  %1: f32[8, 4] = softmax(%0) {dim = -1}
  return %1
}
)",
     R"(graph f_backward(%0: f32[8, 4] arg, %1: f32[8, 4] arg) {
  %2: f32[8, 4] = mul(%1, %0)
  return %2
}
)",
     "i1 s0"},
    {"an input that is overwritten is kept as it was",
     1,
     {false, false, true},
     R"(graph f(%0: f32[4] arg, %1: f32[4] state, %2: f32[4] arg) {
  %3: f32[4] = mul(%0, %1)
  %4: f32[4] = add(%1, %0)
  %5: f32[4] = mul(%2, %1)
  return %3, %5
  update %1 = %4
}
)",
     R"(graph f(%0: f32[4] arg, %1: f32[4] state) {
  %2: f32[4] = mul(%0, %1)
  %3: f32[4] = add(%1, %0)
  %4: f32[4] = clone(%1)
  return %2, %4
  update %1 = %3
}
)",
     R"(graph f_backward(%0: f32[4] arg, %1: f32[4] arg) {
  %2: f32[4] = mul(%0, %1)
  return %2
}
)",
     "i2 s1"},
    {"of a view its base is saved",
     1,
     {false, true},
     R"(graph f(%0: f32[4, 3] arg, %1: f32[4] arg) {
  %2: f32[4, 3] = softmax(%0) {dim = -1}
  %3: f32[4] = select(%2) {dim = 1, index = 0}
  %4: f32[4] = exp(%3)
  %5: f32[4] = mul(%3, %1)
  return %4, %5
}
)",
     R"(graph f(%0: f32[4, 3] arg) {
  %1: f32[4, 3] = softmax(%0) {dim = -1}
  %2: f32[4] = select(%1) {dim = 1, index = 0}
  %3: f32[4] = exp(%2)
  return %3, %1
}
)",
     R"(graph f_backward(%0: f32[4] arg, %1: f32[4, 3] arg) {
  %2: f32[4] = select(%1) {dim = 1, index = 0}
  %3: f32[4] = mul(%2, %0)
  return %3
}
)",
     "i1 s1"},
    {"random values are saved, not drawn again",
     1,
     {false, true},
     R"(graph f(%0: f32[4] arg, %1: f32[4] arg) {
  %2: f32[4] = rand() {size = [4], generator = rng(1, 2)}
  %3: f32[4] = mul(%0, %2)
  %4: f32[4] = mul(%1, %2)
  return %3, %4
}
)",
     R"(graph f(%0: f32[4] arg) {
  %1: f32[4] = rand() {size = [4], generator = rng(1, 2)}
  %2: f32[4] = mul(%0, %1)
  return %2, %1
}
)",
     R"(graph f_backward(%0: f32[4] arg, %1: f32[4] arg) {
  %2: f32[4] = mul(%0, %1)
  return %2
}
)",
     "i1 s1"},
};

std::string sources_str(const SplitGraph& s) {
  std::string text;
  for (const SplitGraph::Source& x : s.backward_inputs) {
    text += (text.empty() ? "" : " ") + std::string(x.kind == SplitGraph::Source::Input ? "i" : "s") +
            std::to_string(x.index);
  }
  return text;
}

TEST(Split, CutsForwardFromBackward) {
  for (const Case& c : kCases) {
    SplitGraph s = split_graph(parse_graph(c.whole), c.forward_outputs, c.late);
    for (Graph* g : {&s.forward, &s.backward}) {
      verify(*g, "split");
      dead_code(*g);  // closes the numbering up
      for (const GraphNode& n : g->nodes) EXPECT_FALSE(n.out.empty());
    }
    EXPECT_EQ(s.forward.str(), c.forward) << c.what;
    EXPECT_EQ(s.backward.str(), c.backward) << c.what;
    EXPECT_EQ(sources_str(s), c.sources) << c.what;
  }
}

TEST(Split, RefusesAForwardThatNeedsTheGradient) {
  const Graph g = parse_graph(
      "graph f(%0: f32[3] state, %1: f32[3] arg) {\n  %2: f32[3] = add(%0, %1)\n  return %0\n  update %0 = %2\n}");
  try {
    split_graph(g, 1, {false, true});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::NotImplemented);
    EXPECT_EQ(e.headline(), "compile: the backward of the function changes a tensor outside of it");
  }
}

}  // namespace
}  // namespace thixo
