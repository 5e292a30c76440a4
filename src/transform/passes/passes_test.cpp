// Each pass on the text form: before and after.
#include "transform/passes/passes.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace thixo {
namespace {

struct Case {
  const char *pass, *what, *before, *after;
};

const Case kCases[] = {
    {"simplify", "numbers that change nothing", R"(graph f(%0: f32[2, 3] arg) {
  %1: i64[] weak = number() {value = 1}
  %2: f64[] weak = number() {value = 0.0}
  %3: f32[2, 3] = mul(%0, %1)
  %4: f32[2, 3] = mul(%1, %3)
  %5: f32[2, 3] = div(%4, %1)
  %6: f32[2, 3] = sub(%5, %2)
  %7: f32[2, 3] = add(%6, %2)
  return %7
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: i64[] weak = number() {value = 1}
  %2: f64[] weak = number() {value = 0.0}
  %3: f32[2, 3] = mul(%0, %1)
  %4: f32[2, 3] = mul(%1, %0)
  %5: f32[2, 3] = div(%0, %1)
  %6: f32[2, 3] = sub(%0, %2)
  %7: f32[2, 3] = add(%0, %2)
  return %7
}
)"},
    {"simplify", "x * 1 that widens is none of them", R"(graph f(%0: i32[2] arg) {
  %1: f64[] weak = number() {value = 1.0}
  %2: f32[2] = mul(%0, %1)
  return %2
}
)",
     R"(graph f(%0: i32[2] arg) {
  %1: f64[] weak = number() {value = 1.0}
  %2: f32[2] = mul(%0, %1)
  return %2
}
)"},
    {"copies_for_views", "a view of a transposed value, where it needs a copy", R"(graph f(%0: f32[2, 3] arg) {
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
    {"simplify", "casts and views that change nothing", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = to_dtype(%0) {dtype = f32}
  %2: f32[2, 3] = view(%1) {size = [2, 3]}
  %3: f32[2, 3] = expand(%2) {size = [2, 3]}
  %4: f32[3, 2] = permute(%3) {dims = [1, 0]}
  %5: f32[2, 3] = permute(%4) {dims = [1, 0]}
  %6: f16[2, 3] = to_dtype(%5) {dtype = f16}
  %7: f32[3, 2] = view(%5) {size = [3, 2]}
  return %6, %7
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = to_dtype(%0) {dtype = f32}
  %2: f32[2, 3] = view(%1) {size = [2, 3]}
  %3: f32[2, 3] = expand(%1) {size = [2, 3]}
  %4: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %5: f32[2, 3] = permute(%4) {dims = [1, 0]}
  %6: f16[2, 3] = to_dtype(%1) {dtype = f16}
  %7: f32[3, 2] = view(%1) {size = [3, 2]}
  return %6, %7
}
)"},
    {"simplify", "permutations that are not each other's inverse stay", R"(graph f(%0: f32[2, 3, 4] arg) {
  %1: f32[3, 4, 2] = permute(%0) {dims = [1, 2, 0]}
  %2: f32[4, 2, 3] = permute(%1) {dims = [1, 2, 0]}
  return %2
}
)",
     R"(graph f(%0: f32[2, 3, 4] arg) {
  %1: f32[3, 4, 2] = permute(%0) {dims = [1, 2, 0]}
  %2: f32[4, 2, 3] = permute(%1) {dims = [1, 2, 0]}
  return %2
}
)"},
    {"simplify", "a copy of what nobody else sees", R"(graph f(%0: f32[2, 3] arg, %1: f32[2, 3] state) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = add(%3, %0)
  %5: f32[2, 3] = clone(%4)
  return %5
  update %1 = %3
}
)",
     R"(graph f(%0: f32[2, 3] arg, %1: f32[2, 3] state) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = add(%2, %0)
  %5: f32[2, 3] = clone(%4)
  return %4
  update %1 = %2
}
)"},
    {"simplify", "a value that is assigned whole is what the state becomes",
     R"(graph f(%0: f32[2, 3] state, %1: f32[3] arg) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = assign(%0, %2)
  %4: f32[2, 3] = assign(%3, %1)
  return %4
  update %0 = %3
}
)",
     R"(graph f(%0: f32[2, 3] state, %1: f32[3] arg) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = assign(%0, %2)
  %4: f32[2, 3] = assign(%2, %1)
  return %4
  update %0 = %2
}
)"},
    {"simplify", "copies of inputs and of results stay", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = clone(%0)
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = sin(%0)
  %5: f32[3, 2] = permute(%4) {dims = [1, 0]}
  %6: f32[3, 2] = clone(%5)
  return %1, %2, %3, %6
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = clone(%0)
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = sin(%0)
  %5: f32[3, 2] = permute(%4) {dims = [1, 0]}
  %6: f32[3, 2] = clone(%5)
  return %1, %2, %3, %6
}
)"},
    {"common_subexpressions", "equal nodes become one, and so their users", R"(graph f(%0: f32[2] arg, %1: f32[2] arg) {
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
    {"common_subexpressions", "attributes count, and results stay apart", R"(graph f(%0: f32[2, 3] arg) {
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
    {"common_subexpressions", "random nodes are equal when their keys are", R"(graph f(%0: f32[4] arg) {
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
    {"dead_code", "what nobody needs goes, inputs stay, numbers close up",
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
    {"dead_code", "an update by itself is none", R"(graph f(%0: f32[4] state) {
  %1: f32[4] = exp(%0)
  return
  update %0 = %0
}
)",
     R"(graph f(%0: f32[4] state) {
  return
}
)"},
    {"simplify", "a copy that makes a view row-major stays", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %3: f32[3, 2] = clone(%2)
  %4: f32[6] = view(%3) {size = [6]}
  return %4
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %3: f32[3, 2] = clone(%2)
  %4: f32[6] = view(%3) {size = [6]}
  return %4
}
)"},
    {"simplify", "what only looks like something does not wait for it", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[2, 3] = ones_like(%1)
  %3: i64[2, 3] = full_like(%1) {fill_value = 7, dtype = i64}
  return %2, %3
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[2, 3] = ones() {size = [2, 3], dtype = f32}
  %3: i64[2, 3] = full() {size = [2, 3], fill_value = 7, dtype = i64}
  return %2, %3
}
)"},
    {"decompose", "softmax over rows", R"(graph f(%0: f32[16, 40] arg) {
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
    {"gather_updates", "updates go to the end, those whose results are read stay",
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
    {"fuse", "a chain of pointwise nodes; numbers are no nodes of it", R"(graph f(%0: f32[9, 4] arg, %1: f32[4] arg) {
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
    {"fuse", "chains that meet become one", R"(graph f(%0: f32[9, 4] arg, %1: f32[9, 4] arg) {
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
    {"fuse", "a reduction over rows and what follows", R"(graph f(%0: f32[16, 40] arg) {
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
    {"fuse", "reductions over few rows, or over other dims, stay alone",
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
    {"fuse", "what a node outside makes of the group cannot come back into it",
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
    {"fuse", "nor through another group", R"(graph f(%0: f32[16, 40] arg, %1: f32[40, 40] arg) {
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
    {"fuse", "rows and what all rows share join the group that reads them",
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
    {"fuse", "memory-only types end a group", R"(graph f(%0: f16[9, 4] arg) {
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
    {"fuse", "groups stand together", R"(graph f(%0: f32[9, 4] arg, %1: f32[4, 4] arg) {
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

TEST(Passes, BeforeAndAfter) {
  for (const Case& c : kCases) {
    Graph g = parse_graph(c.before);
    EXPECT_EQ(g.str(), c.before) << c.what;
    size_t run = 0;
    for (const Pass& p : all_passes()) {
      if (p.name != std::string_view(c.pass)) continue;
      p.run(g);
      ++run;
    }
    ASSERT_EQ(run, 1u) << c.pass;
    verify(g, c.pass);
    EXPECT_EQ(g.str(), c.after) << c.pass << ": " << c.what;
  }
}

TEST(Passes, CompositesThatAreKeptStay) {
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

TEST(Passes, CarefulFusionNeverJoinsGroups) {
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
