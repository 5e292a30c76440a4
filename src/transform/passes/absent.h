// A backward some of whose gradients never came.
#pragma once

#include "ir/graph.h"

namespace thixo {

struct PartialBackward {
  Graph graph;                  ///< with the same inputs
  std::vector<int> output_of;   ///< per output of the whole: which output of `graph` it is, -1: it never comes
};

/// The backward `whole` without the gradients that inputs marked `absent` stand for. As on the tape: what comes of
/// those alone does not come (it is not zero: 0 * inf), and a sum with them is its other part. `gradients` inputs, the
/// first ones, are gradients; in them the rest of the graph is linear.
PartialBackward without_gradients(const Graph& whole, size_t gradients, const std::vector<bool>& absent);

}  // namespace thixo
