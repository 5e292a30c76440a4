// Common subexpressions: of equal nodes the first is kept. Random nodes are equal when they were recorded with the same
// key: then they are one draw (a value that a checkpoint computes again).
#include <algorithm>
#include <unordered_map>

#include "transform/passes/passes.h"
#include "transform/passes/rename.h"

namespace thixo {
namespace {

std::string key_of(const GraphNode& n) {
  std::string key = std::to_string(n.op->id) + "(";
  for (ValueId v : n.in) key += std::to_string(v) + ",";
  return key + ")" + attrs_str(*n.op, n.attrs);
}

}  // namespace

void common_subexpressions(Graph& g) {
  std::vector<ValueId> to = identity_renaming(g);
  std::unordered_map<std::string, const GraphNode*> seen;
  std::vector<bool> outside = known_outside(g);
  auto is_outside = [&](const GraphNode& n) {
    return std::any_of(n.out.begin(), n.out.end(), [&](ValueId v) { return outside[static_cast<size_t>(v)]; });
  };
  for (GraphNode& n : g.nodes) {
    for (ValueId& v : n.in) v = v < 0 ? v : to[static_cast<size_t>(v)];
    auto [first, is_new] = seen.emplace(key_of(n), &n);
    if (is_new) continue;
    if (is_outside(n)) {
      // Two tensors that are handed out stay two, except where they show the same memory anyway.
      if (n.op->tier != Tier::View && is_outside(*first->second)) continue;
      for (ValueId v : first->second->out) outside[static_cast<size_t>(v)] = true;
    }
    for (size_t k = 0; k < n.out.size(); ++k) to[static_cast<size_t>(n.out[k])] = first->second->out[k];
  }
  rename_values(g, to);
}

}  // namespace thixo
