#include "codegen/schedule_group.h"

#include <algorithm>

namespace thixo::codegen {

void refuse(std::string why) { throw CannotSchedule{std::move(why)}; }

NodeGroup::NodeGroup(const Graph& g, std::span<const int> nodes, const std::function<bool(ValueId)>& stored,
                     const LayoutOf& layout)
    : g_(g), nodes_(nodes), stored_(stored), layout_(layout) {
  for (const GraphNode& n : g.nodes) {
    if (n.op->name() == "number") numbers_.emplace(n.out[0], std::get<Scalar>(n.attrs[0]));
  }
}

bool NodeGroup::from_outside(ValueId v) const {
  return std::none_of(nodes_.begin(), nodes_.end(), [&](int i) {
    const auto& o = node(i).out;
    return std::find(o.begin(), o.end(), v) != o.end();
  });
}

Strides NodeGroup::strides(ValueId v) const {
  Strides own = layout_(v);
  return own.empty() ? contiguous_strides(gv(v).shape) : own;
}

const Scalar* NodeGroup::number(ValueId v) const {
  const auto found = numbers_.find(v);
  return found == numbers_.end() ? nullptr : &found->second;
}

SmallVec<Tensor, 4> NodeGroup::abstract_operands(const GraphNode& n) const {
  SmallVec<Tensor, 4> in;
  for (ValueId v : n.in) in.push_back(v < 0 ? Tensor() : abstract_value(g_, v));
  return in;
}

NestCtx NodeGroup::nest_of(const GraphNode& n, SmallVec<Tensor, 4>* in, SmallVec<Spec, 2>* specs) const {
  *in = abstract_operands(n);
  Call call{n.op, *in, n.attrs, n.at};
  *specs = infer(call);
  NestCtx c(call, *specs);
  n.op->nest(c);
  return c;
}

}  // namespace thixo::codegen
