// A graph that holds a forward and its backward, cut in two: the second runs later, with gradients that are not known
// before, and gets what it needs of the first handed over.
#pragma once

#include "ir/graph.h"

namespace thixo {

struct SplitGraph {
  Graph forward;   ///< outputs: those of the whole that count as forward, then values that only the backward needs
  Graph backward;  ///< outputs: the others
  std::vector<int> forward_inputs;  ///< per input of `forward`: its number in the whole
  /// Where an input of `backward` comes from.
  struct Source {
    enum Kind : uint8_t { Input, Saved } kind;  // an input of the whole; an output of `forward`
    int index;
  };
  std::vector<Source> backward_inputs;
};

/// `forward_outputs`: how many of the outputs are the forward's; `late[i]`: input i is known to the backward only.
/// Cheap values (pointwise ones of what is at hand anyway) are computed again instead of saved. NotImplementedError
/// when the forward's results or updates depend on a late input.
SplitGraph split_graph(const Graph& whole, size_t forward_outputs, const std::vector<bool>& late);

}  // namespace thixo
