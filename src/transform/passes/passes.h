// The passes over a Graph, in the order of kPasses: each is one file with one function, tested on the text form.
#pragma once

#include "ir/graph.h"

namespace thixo {

struct Pass {
  const char* name;
  void (*run)(Graph&);
};

void simplify(Graph& g);                  ///< x + 0, x * 1, views of views, casts to the same dtype, double transposes
void common_subexpressions(Graph& g);     ///< equal nodes (op, attributes, operands) become one; random ops never
void dead_code(Graph& g);                 ///< nodes and values that nothing needs
void fuse(Graph& g);                      ///< groups nodes that become one kernel, and makes groups contiguous

std::span<const Pass> all_passes();
/// All passes in order; verifies after each in debug builds (and when THIXO_VERIFY is set).
void run_passes(Graph& g);

/// Where a value lives while the program runs.
struct Place {
  enum Kind : uint8_t {
    None,    // inside a fused group: never in memory
    Input,   // the memory of graph input `root` (also: a new value of a state, written in place)
    Output,  // fresh memory at each call, handed to the caller
    Arena,   // `offset` in the arena
    View,    // of value `root`, by the node's strides
  } kind = None;
  ValueId root = -1;
  int64_t offset = 0, bytes = 0;
};

struct MemoryPlan {
  std::vector<Place> places;               // per value
  std::vector<GraphUpdate> copies;         // updates that could not be done in place: copied at the end
  int64_t arena_bytes = 0;
};

/// Liveness over the node order, then offsets by size, largest first (greedy by size: Pisarchyk and Lee 2020,
/// https://arxiv.org/abs/2001.03288).
MemoryPlan plan_memory(const Graph& g);

}  // namespace thixo
