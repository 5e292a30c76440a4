// Dead code: nodes whose results nobody reads, then the numbering closed up. Inputs stay: callers count on them.
#include <algorithm>

#include "transform/passes/passes.h"
#include "transform/passes/rename.h"

namespace thixo {

void dead_code(Graph& g) {
  std::vector<bool> live(g.values.size(), false);
  for (ValueId v : g.outputs) live[static_cast<size_t>(v)] = true;
  for (const GraphUpdate& u : g.updates) live[static_cast<size_t>(u.value)] = true;
  std::vector<bool> keep(g.nodes.size(), false);
  for (size_t i = g.nodes.size(); i-- > 0;) {
    const GraphNode& n = g.nodes[i];
    keep[i] = std::any_of(n.out.begin(), n.out.end(), [&](ValueId v) { return live[static_cast<size_t>(v)]; });
    if (!keep[i]) continue;
    for (ValueId v : n.in) {
      if (v >= 0) live[static_cast<size_t>(v)] = true;
    }
  }
  std::erase_if(g.updates, [](const GraphUpdate& u) { return u.input == u.value; });

  std::vector<ValueId> to(g.values.size(), -1);
  std::vector<GraphValue> values;
  auto number = [&](ValueId v) {
    to[static_cast<size_t>(v)] = static_cast<ValueId>(values.size());
    values.push_back(g.values[static_cast<size_t>(v)]);
  };
  for (GraphInput& in : g.inputs) number(in.value);
  std::vector<GraphNode> nodes;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!keep[i]) continue;
    for (ValueId v : g.nodes[i].out) number(v);
    nodes.push_back(std::move(g.nodes[i]));
  }
  g.nodes = std::move(nodes);
  rename_values(g, to);
  for (GraphInput& in : g.inputs) in.value = to[static_cast<size_t>(in.value)];
  for (GraphUpdate& u : g.updates) u.input = to[static_cast<size_t>(u.input)];
  for (GraphNode& n : g.nodes) {
    for (ValueId& v : n.out) v = to[static_cast<size_t>(v)];
  }
  g.values = std::move(values);
}

}  // namespace thixo
