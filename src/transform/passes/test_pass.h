// A pass on the text form: before and after.
#pragma once

#include <gtest/gtest.h>

#include "transform/passes/passes.h"

namespace thixo::test {

struct PassCase {
  const char *what, *before, *after;
};

inline void expect_pass(std::string_view pass, std::span<const PassCase> cases) {
  for (const PassCase& c : cases) {
    Graph g = parse_graph(c.before);
    EXPECT_EQ(g.str(), c.before) << c.what;
    size_t run = 0;
    for (const Pass& p : all_passes()) {
      if (p.name != pass) continue;
      p.run(g);
      ++run;
    }
    ASSERT_EQ(run, 1u) << pass;
    verify(g, pass);
    EXPECT_EQ(g.str(), c.after) << c.what;
  }
}

}  // namespace thixo::test
