#include "transform/passes/absent.h"

#include <algorithm>

namespace thixo {
namespace {

enum class Kind : uint8_t { Constant, Present, Absent };  // as far as gradients go

class Remover {
 public:
  Remover(const Graph& whole, size_t gradients, const std::vector<bool>& absent)
      : g_(whole), kind_(whole.values.size(), Kind::Constant), stands_for_(whole.values.size()) {
    for (size_t v = 0; v < stands_for_.size(); ++v) stands_for_[v] = static_cast<ValueId>(v);
    for (size_t i = 0; i < gradients; ++i) kind_[at(g_.inputs[i].value)] = absent[i] ? Kind::Absent : Kind::Present;
  }

  PartialBackward run() {
    PartialBackward out;
    out.graph = g_;
    out.graph.nodes.clear();
    out.graph.outputs.clear();
    for (const GraphNode& n : g_.nodes) add(n, &out.graph);
    for (ValueId v : g_.outputs) {
      const bool comes = kind_[at(v)] != Kind::Absent;
      out.output_of.push_back(comes ? static_cast<int>(out.graph.outputs.size()) : -1);
      if (comes) out.graph.outputs.push_back(stands_for_[at(v)]);
    }
    return out;
  }

 private:
  static size_t at(ValueId v) { return static_cast<size_t>(v); }
  bool has(const GraphNode& n, Kind k) const {
    return std::any_of(n.in.begin(), n.in.end(), [&](ValueId v) { return v >= 0 && kind_[at(v)] == k; });
  }

  void add(const GraphNode& n, Graph* to) {
    const bool some = has(n, Kind::Present), missing = has(n, Kind::Absent);
    for (ValueId v : n.out) kind_[at(v)] = some ? Kind::Present : missing ? Kind::Absent : Kind::Constant;
    if (missing && !some) return;
    if (missing && is_other_part(n)) return;
    GraphNode made = n;
    for (ValueId& v : made.in) {
      if (v >= 0) v = kind_[at(v)] == Kind::Absent ? zeros(v, to) : stands_for_[at(v)];
    }
    to->nodes.push_back(std::move(made));
  }
  /// A sum of two gradients one of which is there.
  bool is_other_part(const GraphNode& n) {
    if (n.op->name() != "add") return false;
    const ValueId part = kind_[at(n.in[0])] == Kind::Absent ? n.in[1] : n.in[0], sum = n.out[0];
    const GraphValue &a = g_.values[at(part)], &b = g_.values[at(sum)];
    if (a.dtype != b.dtype || !(a.shape == b.shape)) return false;
    stands_for_[at(sum)] = stands_for_[at(part)];
    return true;
  }
  /// For an op that joins gradients in another way (cat, a write).
  ValueId zeros(ValueId like, Graph* to) {
    static const OpDef* op = find_op("zeros");
    const GraphValue x = to->values[at(like)];
    const ValueId v = to->add_value(x.dtype, x.shape);
    GraphNode n{op, {}, {}, {v}, {}, -1};
    for (const AttrDecl& d : op->schema.attrs) {
      n.attrs.push_back(d.name == "size" ? Attr(x.shape) : d.name == "dtype" ? Attr(x.dtype) : d.def);
    }
    to->nodes.push_back(std::move(n));
    return v;
  }

  const Graph& g_;
  std::vector<Kind> kind_;
  std::vector<ValueId> stands_for_;
};

}  // namespace

PartialBackward without_gradients(const Graph& whole, size_t gradients, const std::vector<bool>& absent) {
  return Remover(whole, gradients, absent).run();
}

}  // namespace thixo
