// Shared by the passes: replacing values by others.
#pragma once

#include "ir/graph.h"

namespace thixo {

/// to[v] is the value that stands for v from now on (itself when unchanged). Chains must be resolved by the caller.
inline void rename_values(Graph& g, const std::vector<ValueId>& to) {
  auto at = [&](ValueId v) { return v < 0 ? v : to[static_cast<size_t>(v)]; };
  for (GraphNode& n : g.nodes) {
    for (ValueId& v : n.in) v = at(v);
  }
  for (ValueId& v : g.outputs) v = at(v);
  for (GraphUpdate& u : g.updates) u.value = at(u.value);
}

inline std::vector<ValueId> identity_renaming(const Graph& g) {
  std::vector<ValueId> to(g.values.size());
  for (size_t v = 0; v < to.size(); ++v) to[v] = static_cast<ValueId>(v);
  return to;
}

}  // namespace thixo
