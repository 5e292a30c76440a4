// The passes over a Graph, in the order of kPasses: each is one file with one function, tested on the text form.
#pragma once

#include "ir/graph.h"

namespace thixo {

struct Pass {
  const char* name;
  void (*run)(Graph&);
};

void simplify(Graph& g);  ///< x * 1, casts to the same dtype, copies of what nobody else sees, double transposes
void common_subexpressions(Graph& g);  ///< equal nodes (op, attributes, random key included, and operands) become one
void dead_code(Graph& g);  ///< nodes and values that nothing needs
void copies_for_views(Graph& g);  ///< views that only eager's layout allowed become views of copies
void decompose(Graph& g);  ///< composites over rows become what they are made of
void gather_updates(Graph& g);  ///< optimizer updates stand together at the end: they run as one loop
void fuse(Graph& g);  ///< groups nodes that become one kernel, and makes groups contiguous

/// The first four: what can be done to a graph before it is cut in two.
void tidy(Graph& g);
std::span<const Pass> all_passes();
/// Runs the passes in order; verifies after each in debug builds (and when THIXO_VERIFY is set), else once.
void run_passes(Graph& g, std::span<const Pass> passes);

/// decompose() but for the composites (numbered in the order of the nodes) that `keep` names.
void decompose(Graph& g, const std::vector<bool>& keep);
/// fuse() where groups are never joined: for when a group came out that cannot be one kernel.
void fuse_carefully(Graph& g);
/// Whether the op's kernel takes the operands of several calls, one after the other.
bool takes_many_calls(const OpDef& op);

/// Where a value lives while the program runs.
struct Place {
  enum Kind : uint8_t {
    None,  // inside a fused group: never in memory; or a number, which is a constant of the program
    Input,  // the memory of graph input `root` (also: a new value of a state, written in place)
    Output,  // fresh memory at each call, handed to the caller
    Arena,  // `offset` in the arena
    View,  // of value `root`, by the node's strides
  } kind = None;
  ValueId root = -1;
  int64_t offset = 0, bytes = 0;
};

struct MemoryPlan {
  std::vector<Place> places;  // per value
  std::vector<GraphUpdate> copies;  // updates that could not be done in place: copied at the end
  int64_t arena_bytes = 0;
};

/// Liveness over the node order, then offsets by size, largest first (greedy by size: Pisarchyk and Lee 2020,
/// https://arxiv.org/abs/2001.03288).
MemoryPlan plan_memory(const Graph& g);

}  // namespace thixo
