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
#include "split_cases.inc"
};

std::string sources_str(const SplitGraph& s) {
  std::string text;
  for (const SplitGraph::Source& x : s.backward_inputs) {
    text += (text.empty() ? "" : " ") + std::string(x.kind == SplitGraph::Source::Input ? "i" : "s") + std::to_string(x.index);
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
  const Graph g = parse_graph("graph f(%0: f32[3] state, %1: f32[3] arg) {\n  %2: f32[3] = add(%0, %1)\n  return %0\n  update %0 = %2\n}");
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
