// Common subexpressions: of equal nodes the first is kept.
#include <unordered_map>

#include "transform/passes/passes.h"
#include "transform/passes/rename.h"

namespace thixo {
namespace {

bool repeatable(const GraphNode& n) {
  for (const AttrDecl& a : n.op->schema.attrs) {
    if (a.kind == AttrKind::Rng) return false;
  }
  return true;
}

std::string key_of(const GraphNode& n) {
  std::string key = std::to_string(n.op->id) + "(";
  for (ValueId v : n.in) key += std::to_string(v) + ",";
  return key + ")" + attrs_str(*n.op, n.attrs);
}

}  // namespace

void common_subexpressions(Graph& g) {
  std::vector<ValueId> to = identity_renaming(g);
  std::unordered_map<std::string, const GraphNode*> seen;
  for (GraphNode& n : g.nodes) {
    for (ValueId& v : n.in) v = v < 0 ? v : to[static_cast<size_t>(v)];
    if (!repeatable(n)) continue;
    auto [first, is_new] = seen.emplace(key_of(n), &n);
    if (is_new) continue;
    for (size_t k = 0; k < n.out.size(); ++k) to[static_cast<size_t>(n.out[k])] = first->second->out[k];
  }
  rename_values(g, to);
}

}  // namespace thixo
