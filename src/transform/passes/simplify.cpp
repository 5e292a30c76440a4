// Nodes that give one of their operands unchanged. A node stays in the list, unused: dead_code takes it away.
#include <cmath>

#include "transform/passes/passes.h"
#include "transform/passes/rename.h"

namespace thixo {
namespace {

struct Simplifier {
  Graph& g;
  std::vector<ValueId> to = identity_renaming(g);
  std::vector<const GraphNode*> maker = std::vector<const GraphNode*>(g.values.size(), nullptr);
  std::vector<bool> outside = known_outside(g);

  const GraphValue& value(ValueId v) const { return g.values[static_cast<size_t>(v)]; }
  bool same_type(ValueId a, ValueId b) const {
    return value(a).dtype == value(b).dtype && value(a).shape == value(b).shape && !value(a).weak;
  }
  /// Whether v is this very number (-0 is not 0).
  bool is_number(ValueId v, double x) const {
    const GraphNode* n = maker[static_cast<size_t>(v)];
    if (n == nullptr || n->op->name() != "number") return false;
    const std::complex<double> z = std::get<Scalar>(n->attrs[0]).to_complex();
    return z.imag() == 0 && z.real() == x && std::signbit(z.real()) == std::signbit(x);
  }

  /// The operand that stands for the node's result, or -1. Rules keep every bit: x + 0 is none of them (-0 + 0).
  ValueId stands_for(const GraphNode& n) const {
    if (n.op->tier == Tier::View) {
      const std::string& op = n.op->name();
      const bool reshaped = op == "expand" || op == "view" || op == "reshape";
      return reshaped && same_type(n.in[0], n.out[0]) ? n.in[0] : inverse_permute(n);
    }
    const ValueId x = equal_operand(n);
    return x >= 0 && is_row_major(x) && needs_no_memory(n.out[0], x) ? x : -1;
  }
  /// As the results of nodes lie in memory, so that every view of those is one of x. Of views it is not known.
  bool is_row_major(ValueId x) const {
    const GraphNode* n = maker[static_cast<size_t>(x)];
    return n == nullptr ? value(x).strides.empty() : n->op->tier != Tier::View;
  }
  /// The operand that has the values of the node's result, or -1.
  ValueId equal_operand(const GraphNode& n) const {
    const std::string& op = n.op->name();
    ValueId out = n.out[0];
    const bool complex = is_complex(value(out).dtype);  // its products add parts: a zero may change its sign
    if ((op == "mul" || op == "div") && !complex && is_number(n.in[1], 1) && same_type(n.in[0], out)) return n.in[0];
    if (op == "mul" && !complex && is_number(n.in[0], 1) && same_type(n.in[1], out)) return n.in[1];
    if (op == "sub" && is_number(n.in[1], 0) && same_type(n.in[0], out)) return n.in[0];
    if (op == "to_dtype" && same_type(n.in[0], out)) return n.in[0];
    if (op == "assign" && same_type(n.in[1], out)) return n.in[1];
    if (op == "clone" && same_type(n.in[0], out) && std::get<std::string>(n.attrs[0]) != "channels_last")
      return n.in[0];
    return -1;
  }
  /// Memory of its own is for those who write in place, or hold two tensors. In a graph nobody writes, so a value needs
  /// it only when it is handed out, and what stands for it is known outside as well.
  bool needs_no_memory(ValueId v, ValueId x) const {
    if (!outside[static_cast<size_t>(v)]) return true;
    const GraphNode* n = maker[static_cast<size_t>(x)];
    return n != nullptr && n->op->tier != Tier::View && !outside[static_cast<size_t>(x)];
  }

  /// ones_like(x) as ones(size): it does not wait for x, and x need not be kept for it.
  void forget_like(GraphNode* n) const {
    const std::string& name = n->op->name();
    const OpDef* plain = name.ends_with("_like") ? find_op(name.substr(0, name.size() - 5)) : nullptr;
    if (plain == nullptr || !plain->schema.operands.empty() || n->in.size() != 1) return;
    const GraphValue& out = value(n->out[0]);
    std::vector<Attr> attrs;
    for (const AttrDecl& d : plain->schema.attrs) {
      if (d.kind == AttrKind::Rng) return;
      if (d.name == "size") {
        attrs.emplace_back(out.shape);
      } else if (d.name == "dtype") {
        attrs.emplace_back(out.dtype);
      } else {
        attrs.push_back(Call{n->op, {}, n->attrs, n->at}.attr(d.name));
      }
    }
    n->op = plain;
    n->attrs = std::move(attrs);
    n->in.clear();
  }

  ValueId inverse_permute(const GraphNode& n) const {
    if (n.op->name() != "permute" && n.op->name() != "transpose") return -1;
    const GraphNode* before = maker[static_cast<size_t>(n.in[0])];
    if (before == nullptr || before->op != n.op) return -1;
    ValueId x = before->in[0];
    if (!same_type(x, n.out[0])) return -1;
    if (n.op->name() == "transpose") return n.attrs == before->attrs ? x : -1;
    const Shape &a = std::get<Shape>(before->attrs[0]), &b = std::get<Shape>(n.attrs[0]);
    auto rank = static_cast<int64_t>(a.size());
    for (size_t d = 0; d < a.size(); ++d) {
      int64_t via = b[d].value() < 0 ? b[d].value() + rank : b[d].value();
      int64_t end = a[static_cast<size_t>(via)].value();
      if ((end < 0 ? end + rank : end) != static_cast<int64_t>(d)) return -1;
    }
    return x;
  }
};

}  // namespace

void simplify(Graph& g) {
  Simplifier s{g};
  for (GraphNode& n : g.nodes) {
    for (ValueId& v : n.in) v = v < 0 ? v : s.to[static_cast<size_t>(v)];
    for (ValueId v : n.out) s.maker[static_cast<size_t>(v)] = &n;
    s.forget_like(&n);
    ValueId stand_in = s.stands_for(n);
    if (stand_in < 0) continue;
    s.to[static_cast<size_t>(n.out[0])] = stand_in;
    if (s.outside[static_cast<size_t>(n.out[0])]) s.outside[static_cast<size_t>(stand_in)] = true;
  }
  rename_values(g, s.to);
}

}  // namespace thixo
