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

/// Values that a result of the graph is, or shows a part of, or that a state becomes.
inline std::vector<bool> known_outside(const Graph& g) {
  std::vector<const GraphNode*> maker(g.values.size(), nullptr);
  for (const GraphNode& n : g.nodes) {
    for (ValueId v : n.out) maker[static_cast<size_t>(v)] = &n;
  }
  std::vector<bool> outside(g.values.size(), false);
  for (ValueId v : g.outputs) {
    for (;;) {
      outside[static_cast<size_t>(v)] = true;
      const GraphNode* n = maker[static_cast<size_t>(v)];
      if (n == nullptr || n->op->tier != Tier::View) break;
      v = n->in[0];
    }
  }
  for (const GraphUpdate& u : g.updates) outside[static_cast<size_t>(u.value)] = true;
  return outside;
}

inline std::vector<ValueId> identity_renaming(const Graph& g) {
  std::vector<ValueId> to(g.values.size());
  for (size_t v = 0; v < to.size(); ++v) to[v] = static_cast<ValueId>(v);
  return to;
}

}  // namespace thixo
