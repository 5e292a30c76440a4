// A group of nodes that the scheduler joins, and how it says that it cannot.
#pragma once

#include <map>

#include "codegen/schedule.h"

namespace thixo::codegen {

/// Thrown by refuse(); schedule() returns nullopt for it.
struct CannotSchedule {
  std::string why;
};
[[noreturn]] void refuse(std::string why);

/// What schedule() was given.
class NodeGroup {
 public:
  NodeGroup(const Graph& g, std::span<const int> nodes, const std::function<bool(ValueId)>& stored,
            const LayoutOf& layout);

  std::span<const int> nodes() const { return nodes_; }
  const GraphNode& node(int n) const { return g_.nodes[static_cast<size_t>(n)]; }
  const GraphValue& gv(ValueId v) const { return g_.values[static_cast<size_t>(v)]; }
  bool stored(ValueId v) const { return stored_(v); }
  bool from_outside(ValueId v) const;
  /// Strides of an outside value in its own dims.
  Strides strides(ValueId v) const;
  /// The number that a `number` node makes v; null when none does.
  const Scalar* number(ValueId v) const;

  SmallVec<Tensor, 4> abstract_operands(const GraphNode& n) const;
  /// The loops of a node with a nest; the caller keeps what they look at.
  NestCtx nest_of(const GraphNode& n, SmallVec<Tensor, 4>* in, SmallVec<Spec, 2>* specs) const;

 private:
  const Graph& g_;
  std::span<const int> nodes_;
  const std::function<bool(ValueId)>& stored_;
  const LayoutOf& layout_;
  std::map<ValueId, Scalar> numbers_;
};

}  // namespace thixo::codegen
