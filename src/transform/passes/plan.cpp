// The arena plan: which values share memory, and which updates happen in place.
#include <algorithm>
#include <numeric>

#include "transform/passes/passes.h"

namespace thixo {
namespace {

constexpr int64_t kAlign = 64;

/// A unit runs as a whole: one node, or a fused group of consecutive nodes. unit_of[node].
std::vector<int> units_of(const Graph& g) {
  std::vector<int> unit(g.nodes.size(), 0);
  for (size_t i = 1; i < g.nodes.size(); ++i) {
    bool same = g.nodes[i].group >= 0 && g.nodes[i].group == g.nodes[i - 1].group;
    unit[i] = unit[i - 1] + (same ? 0 : 1);
  }
  return unit;
}

struct Planner {
  const Graph& g;
  std::vector<int> unit = units_of(g);
  std::vector<int> maker = std::vector<int>(g.values.size(), -1);  // node that makes a value
  std::vector<int> last;                                           // last unit that reads a root's memory
  MemoryPlan plan;

  explicit Planner(const Graph& graph) : g(graph) {
    plan.places.resize(g.values.size());
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      for (ValueId v : g.nodes[i].out) maker[static_cast<size_t>(v)] = static_cast<int>(i);
    }
  }

  Place& place(ValueId v) { return plan.places[static_cast<size_t>(v)]; }
  ValueId root(ValueId v) {
    while (place(v).kind == Place::View) v = place(v).root;
    return v;
  }
  int64_t bytes(ValueId v) const {
    const GraphValue& x = g.values[static_cast<size_t>(v)];
    return numel_of(x.shape).value() * static_cast<int64_t>(item_size(x.dtype));
  }

  void classify() {
    std::vector<bool> outside(g.values.size(), false);  // read by another unit, or handed out
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      for (ValueId v : g.nodes[i].in) {
        if (v >= 0 && maker[static_cast<size_t>(v)] >= 0 &&
            unit[static_cast<size_t>(maker[static_cast<size_t>(v)])] != unit[i])
          outside[static_cast<size_t>(v)] = true;
      }
    }
    for (ValueId v : g.outputs) outside[static_cast<size_t>(v)] = true;
    for (const GraphUpdate& u : g.updates) outside[static_cast<size_t>(u.value)] = true;
    for (const GraphInput& in : g.inputs) place(in.value) = {Place::Input, in.value, 0, 0};
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const GraphNode& n = g.nodes[i];
      for (ValueId v : n.out) {
        if (n.op->name() == "number") {
          place(v) = {Place::None, v, 0, 0};
        } else if (n.op->tier == Tier::View && n.group < 0) {
          place(v) = {Place::View, n.in[0], 0, 0};
        } else if (n.group < 0 || outside[static_cast<size_t>(v)]) {
          place(v) = {Place::Arena, v, 0, bytes(v)};
        }
      }
    }
    for (ValueId v : g.outputs) {
      ValueId r = root(v);
      if (place(r).kind == Place::Arena) place(r) = {Place::Output, r, 0, bytes(r)};
    }
  }

  void liveness() {
    last.assign(g.values.size(), -1);
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      for (ValueId v : g.nodes[i].in) {
        if (v >= 0) last[static_cast<size_t>(root(v))] = unit[i];
      }
    }
    for (const GraphUpdate& u : g.updates) last[static_cast<size_t>(root(u.value))] = static_cast<int>(g.nodes.size());
  }

  /// Whether node n may write its result over operand `s`: it reads and writes the same element, or not at all.
  bool in_place_safe(int n, ValueId s) {
    const GraphNode& node = g.nodes[static_cast<size_t>(n)];
    if (node.op->name() == "write") return root(node.in[1]) != s && (node.in[0] == s || root(node.in[0]) != s);
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      if (unit[i] != unit[static_cast<size_t>(n)]) continue;
      const GraphNode& member = g.nodes[i];
      bool reads = false, aside = false;  // at the same element; through a view
      for (ValueId v : member.in) {
        if (v < 0 || root(v) != s) continue;
        reads = true;
        aside |= v != s;
      }
      if (aside) return false;
      if (member.op->tier == Tier::Pointwise || member.in.empty()) continue;
      // A kernel of several passes may read the old value after the new one is written.
      if (member.group >= 0 || (reads && !reads_own_element(member, s))) return false;
    }
    return true;
  }
  /// Whether each element of the results depends on the same element of operand s alone.
  bool reads_own_element(const GraphNode& n, ValueId s) const {
    if (!n.op->nest) return false;
    SmallVec<Tensor, 4> in;
    for (ValueId v : n.in) in.push_back(v < 0 ? Tensor() : abstract_value(g, v));
    const Call call{n.op, in, n.attrs, n.at};
    const SmallVec<Spec, 2> specs = infer(call);
    NestCtx c(call, specs);
    n.op->nest(c);
    bool own = c.reduce.empty();
    for (Expr value : c.values) {
      visit(value, [&](Expr e) {
        if (e->op != ExprOp::At || n.in[static_cast<size_t>(e->i)] != s) return;
        own = own && !e->guarded && in[static_cast<size_t>(e->i)].shape() == specs[0].shape;
        for (size_t d = 0; own && d < specs[0].shape.size(); ++d) {
          own = e->args[d]->op == ExprOp::Axis && e->args[d]->i == static_cast<int>(d);
        }
      });
    }
    return own;
  }

  void updates() {
    for (const GraphUpdate& u : g.updates) {
      ValueId v = u.value;
      int n = maker[static_cast<size_t>(v)];
      bool free = n >= 0 && place(v).kind == Place::Arena &&
                  last[static_cast<size_t>(u.input)] <= unit[static_cast<size_t>(n)] &&
                  g.values[static_cast<size_t>(u.input)].strides.empty() && in_place_safe(n, u.input);
      if (free) {
        place(v) = {Place::Input, u.input, 0, 0};
      } else {
        plan.copies.push_back(u);
      }
    }
  }

  /// A write whose base dies with it goes into the base's own memory.
  void writes() {
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const GraphNode& n = g.nodes[i];
      if (n.op->name() != "write" || n.group >= 0) continue;
      ValueId base = n.in[0], v = n.out[0];
      bool dies = last[static_cast<size_t>(root(base))] == unit[i] && place(base).kind == Place::Arena &&
                  place(v).kind == Place::Arena;
      if (!dies || (n.in[1] >= 0 && root(n.in[1]) == base)) continue;
      last[static_cast<size_t>(base)] = last[static_cast<size_t>(v)];
      place(v) = {Place::View, base, 0, 0};
    }
  }

  void offsets() {
    std::vector<ValueId> order;
    for (size_t v = 0; v < g.values.size(); ++v) {
      if (plan.places[v].kind == Place::Arena) order.push_back(static_cast<ValueId>(v));
    }
    std::stable_sort(order.begin(), order.end(), [&](ValueId a, ValueId b) { return place(a).bytes > place(b).bytes; });
    struct Span {
      int64_t begin, end;
      int from, to;
    };
    std::vector<Span> placed;  // by address
    for (ValueId v : order) {
      int from = unit[static_cast<size_t>(maker[static_cast<size_t>(v)])],
          to = std::max(from, last[static_cast<size_t>(v)]);
      int64_t size = (place(v).bytes + kAlign - 1) / kAlign * kAlign, at = 0;
      for (const Span& s : placed) {
        if (s.to < from || to < s.from) continue;
        if (at + size <= s.begin) break;
        at = std::max(at, s.end);
      }
      place(v).offset = at;
      plan.arena_bytes = std::max(plan.arena_bytes, at + size);
      Span mine{at, at + size, from, to};
      placed.insert(std::upper_bound(placed.begin(), placed.end(), mine,
                                     [](const Span& a, const Span& b) { return a.begin < b.begin; }),
                    mine);
    }
  }
};

}  // namespace

MemoryPlan plan_memory(const Graph& g) {
  Planner p(g);
  p.classify();
  p.liveness();
  p.updates();
  p.writes();
  p.offsets();
  return std::move(p.plan);
}

}  // namespace thixo
