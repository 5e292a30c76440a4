// In a program every value lies row by row. Eager may have kept the order of an operand, and then a view that was made
// of the result (reshape gave one) is none of the program's value: it becomes a view of a copy.
#include "transform/passes/passes.h"

namespace thixo {
namespace {

Tensor with_strides(const Graph& g, ValueId v, const std::vector<Strides>& layout) {
  Tensor t = abstract_value(g, v);
  const Strides& s = layout[static_cast<size_t>(v)];
  if (!s.empty()) t.record()->strides = s;
  return t;
}

/// Strides of the view; nullopt where base's elements do not lie in the order that it needs.
std::optional<Strides> strides_of_view(const GraphNode& n, const Tensor& base) {
  try {
    return n.op->view(Call{n.op, std::span<const Tensor>(&base, 1), n.attrs, n.at}).strides;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Shape || n.op->name() != "view") throw;  // all others take any layout
    return std::nullopt;
  }
}

}  // namespace

void copies_for_views(Graph& g) {
  static const OpDef* clone = find_op("clone");
  std::vector<Strides> layout(g.values.size());  // empty: row by row
  for (const GraphInput& in : g.inputs)
    layout[static_cast<size_t>(in.value)] = g.values[static_cast<size_t>(in.value)].strides;
  std::vector<GraphNode> nodes;
  for (GraphNode& n : g.nodes) {
    if (n.op->tier == Tier::View) {
      std::optional<Strides> strides = strides_of_view(n, with_strides(g, n.in[0], layout));
      if (!strides) {
        const GraphValue base = g.values[static_cast<size_t>(n.in[0])];
        const ValueId copy = g.add_value(base.dtype, base.shape);
        layout.emplace_back();
        nodes.push_back({clone, {std::string("contiguous")}, {n.in[0]}, {copy}, n.at});
        n.in[0] = copy;
        strides = strides_of_view(n, with_strides(g, copy, layout));
      }
      layout[static_cast<size_t>(n.out[0])] = *strides;
    }
    nodes.push_back(std::move(n));
  }
  g.nodes = std::move(nodes);
}

}  // namespace thixo
