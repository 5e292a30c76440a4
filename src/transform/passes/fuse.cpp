// Fusion: which nodes become one kernel. codegen/schedule.h says what a kernel can be: pointwise nodes and
// reductions over the last dims of one domain. A node joins the groups of its operands where shapes allow it, and
// groups that it joins become one, as long as no path leads out of the group and back into it; groups are then moved
// together in the list.
#include <algorithm>
#include <optional>

#include "transform/passes/passes.h"

namespace thixo {
namespace {

struct Group {
  Shape shape;          // of its full values
  int64_t reduced = 0;  // trailing dims that its reductions run over; 0: none yet
  bool leaf = false;    // a value made of nothing (a range, random numbers), alone
  std::vector<int> nodes;
};

constexpr int64_t kMinRows = 8;  // fewer rows leave threads idle: the reduction stays alone
constexpr size_t kMaxNodes = 96;

class Fuser {
 public:
  Fuser(Graph& g, bool joins)
      : g_(g),
        joins_(joins),
        maker_(g.values.size(), -1),
        group_(g.nodes.size(), -1),
        uses_(uses_of(g)),
        seen_(g.nodes.size(), 0) {}

  void run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      auto n = static_cast<int>(i);
      for (ValueId v : g_.nodes[i].out) maker_[static_cast<size_t>(v)] = n;
      place(n);
    }
    if (joins_) absorb();
    number();
  }

 private:
  const GraphNode& node(int n) const { return g_.nodes[static_cast<size_t>(n)]; }
  const GraphValue& value(ValueId v) const { return g_.values[static_cast<size_t>(v)]; }
  Group& group(int g) { return groups_[static_cast<size_t>(g)]; }
  int& group_of(int n) { return group_[static_cast<size_t>(n)]; }
  int maker(ValueId v) const { return v < 0 ? -1 : maker_[static_cast<size_t>(v)]; }
  static bool memory_only(DType t) { return compute_type(t) != t; }

  struct Role {
    enum { Pointwise, Reduction, Nest, Leaf } kind;
    int64_t reduced = 0;
  };

  std::optional<Role> role(const GraphNode& n) const {
    if (n.op->name() == "number" || n.out.size() != 1)
      return std::nullopt;  // a number is a constant wherever it is read
    for (ValueId v : n.out) {
      if (memory_only(value(v).dtype) || is_complex(value(v).dtype)) return std::nullopt;
    }
    for (ValueId v : n.in) {
      if (v >= 0 && is_complex(value(v).dtype)) return std::nullopt;
    }
    if (n.op->tier == Tier::Pointwise) return Role{Role::Pointwise, 0};
    if (n.op->tier != Tier::Nest || !n.op->nest) return std::nullopt;
    if (n.in.empty()) return Role{Role::Leaf, 0};
    if (auto r = reduction(n)) return r;
    // Other nests (gather) read where they like: known to fit in what eager runs as one kernel.
    return n.composite >= 0 && !reduces(n) ? std::optional(Role{Role::Nest, 0}) : std::nullopt;
  }
  bool reduces(const GraphNode& n) const {
    SmallVec<Tensor, 4> in;
    for (ValueId v : n.in) in.push_back(v < 0 ? Tensor() : abstract_value(g_, v));
    const Call call{n.op, in, n.attrs, n.at};
    const SmallVec<Spec, 2> specs = infer(call);
    NestCtx c(call, specs);
    n.op->nest(c);
    return !c.reduce.empty();
  }
  std::optional<Role> reduction(const GraphNode& n) const {
    bool has_dim = std::any_of(n.op->schema.attrs.begin(), n.op->schema.attrs.end(),
                               [](const AttrDecl& a) { return a.name == "dim" && a.kind == AttrKind::Dims; });
    if (!has_dim || n.in.size() != 1) return std::nullopt;
    const Shape& s = value(n.in[0]).shape;
    auto dims = Call{n.op, {}, n.attrs, n.at}.dims("dim", static_cast<int>(s.size()));
    int64_t rows = 1;
    for (size_t d = 0; d < s.size() - dims.size(); ++d) rows *= s[d].value();
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] != static_cast<int>(s.size() - dims.size() + d)) return std::nullopt;
    }
    if (dims.empty() || rows < kMinRows) return std::nullopt;
    return Role{Role::Reduction, static_cast<int64_t>(dims.size())};
  }

  /// The shape of a row value beside full values of shape s: the reduced dims gone, or 1.
  static bool row_of(const Shape& r, const Shape& s, int64_t reduced) {
    auto lead = s.size() - static_cast<size_t>(reduced);
    if (reduced == 0 || (r.size() != lead && r.size() != s.size())) return false;
    for (size_t d = 0; d < r.size(); ++d) {
      if (d < lead ? !(r[d] == s[d]) : !(r[d] == 1)) return false;
    }
    return true;
  }
  /// The shape of a value that all rows share.
  static bool shared_of(const Shape& r, const Shape& s, int64_t reduced) {
    size_t ones = 0;
    while (ones < r.size() && r[ones] == 1) ++ones;
    if (reduced == 0 || r.size() - ones != static_cast<size_t>(reduced)) return false;
    for (size_t d = ones; d < r.size(); ++d) {
      if (!(r[d] == s[s.size() - r.size() + d])) return false;
    }
    return true;
  }

  bool fits(const GraphNode& n, const Role& r, const Group& grp) const {
    const Shape& out = value(n.out[0]).shape;
    if (grp.nodes.size() >= kMaxNodes) return false;
    if (r.kind == Role::Reduction)
      return value(n.in[0]).shape == grp.shape && (grp.reduced == 0 || grp.reduced == r.reduced);
    if (out == grp.shape) return operands_fit(n, grp, false);
    return row_of(out, grp.shape, grp.reduced) && operands_fit(n, grp, true);
  }
  /// Operands made in the group must be of the kinds that the node can read there.
  bool operands_fit(const GraphNode& n, const Group& grp, bool row_node) const {
    for (ValueId v : n.in) {
      const int m = maker(v);
      if (m < 0 || std::find(grp.nodes.begin(), grp.nodes.end(), m) == grp.nodes.end()) continue;
      bool full = value(v).shape == grp.shape;
      bool row = row_of(value(v).shape, grp.shape, grp.reduced);
      if (row_node ? !row || full : !full && !(row && value(v).shape.size() == grp.shape.size())) return false;
    }
    return true;
  }

  /// Whether the groups (and node n, unless it is -1) can run as a whole: no operand made outside depends on what is
  /// made inside. Other groups are whole too.
  bool stays_whole(std::span<const int> groups, int n) {
    ++round_;
    inside_ = groups;
    std::vector<int> todo;
    for (int grp : groups) {
      for (int m : group(grp).nodes) push_operands(m, &todo);
    }
    if (n >= 0) push_operands(n, &todo);
    while (!todo.empty()) {
      const int m = todo.back();
      todo.pop_back();
      const int grp = group_of(m);
      if (grp < 0) {
        if (!push_needs(m, &todo)) return false;
        continue;
      }
      for (int member : group(grp).nodes) {
        if (!push_needs(member, &todo)) return false;
      }
    }
    return true;
  }
  bool is_inside(int n) {
    return group_of(n) >= 0 && std::find(inside_.begin(), inside_.end(), group_of(n)) != inside_.end();
  }
  void visit(int m, std::vector<int>* todo) {
    if (seen_[static_cast<size_t>(m)] == round_) return;
    if (group_of(m) >= 0) {
      for (int member : group(group_of(m)).nodes) seen_[static_cast<size_t>(member)] = round_;
    }
    seen_[static_cast<size_t>(m)] = round_;
    todo->push_back(m);
  }
  void push_operands(int n, std::vector<int>* todo) {
    for (ValueId v : node(n).in) {
      if (const int m = maker(v); m >= 0 && !is_inside(m)) visit(m, todo);
    }
  }
  bool push_needs(int n, std::vector<int>* todo) {
    for (ValueId v : node(n).in) {
      const int m = maker(v);
      if (m < 0) continue;
      if (is_inside(m)) return false;
      visit(m, todo);
    }
    return true;
  }

  /// Whether the values of group `small` can be made in group `big`.
  bool can_join(int small, int big) {
    const Group &a = group(small), &b = group(big);
    if (a.nodes.size() + b.nodes.size() > kMaxNodes) return false;
    if (a.shape == b.shape && (a.reduced == 0 || b.reduced == 0 || a.reduced == b.reduced)) return true;
    if (a.reduced != 0) return false;
    return row_of(a.shape, b.shape, b.reduced) ||
           (a.leaf && shared_of(a.shape, b.shape, b.reduced) && used_in(a.nodes[0], big));
  }
  bool used_in(int n, int grp) {
    const std::vector<int>& uses = uses_[static_cast<size_t>(node(n).out[0])];
    const bool handed_out = std::find(g_.outputs.begin(), g_.outputs.end(), node(n).out[0]) != g_.outputs.end();
    return !handed_out && std::all_of(uses.begin(), uses.end(), [&](int u) { return group_of(u) == grp; });
  }
  void join(int small, int big) {
    Group &a = group(small), &b = group(big);
    for (int m : a.nodes) group_of(m) = big;
    b.nodes.insert(b.nodes.end(), a.nodes.begin(), a.nodes.end());
    std::sort(b.nodes.begin(), b.nodes.end());
    b.reduced = std::max(a.reduced, b.reduced);
    b.leaf = false;
    a.nodes.clear();
  }

  void place(int n) {
    const GraphNode& nd = node(n);
    const std::optional<Role> r = role(nd);
    if (!r) return;
    std::vector<int> near;  // groups of operands, the latest first
    for (ValueId v : nd.in) {
      const int m = maker(v);
      if (m >= 0 && group_of(m) >= 0 && std::find(near.begin(), near.end(), group_of(m)) == near.end())
        near.push_back(group_of(m));
    }
    std::sort(near.begin(), near.end(), std::greater<>());
    int chosen = -1;
    for (int grp : near) {
      if (!fits(nd, *r, group(grp)) || !stays_whole(std::span<const int>(&grp, 1), n)) continue;
      chosen = grp;
      break;
    }
    if (chosen < 0) {
      chosen = static_cast<int>(groups_.size());
      const Shape& full = r->kind == Role::Reduction ? value(nd.in[0]).shape : value(nd.out[0]).shape;
      groups_.push_back({full, 0, r->kind == Role::Leaf, {}});
    }
    group(chosen).nodes.push_back(n);
    group(chosen).leaf = group(chosen).leaf && group(chosen).nodes.size() == 1;
    if (r->kind == Role::Reduction) group(chosen).reduced = r->reduced;
    group_of(n) = chosen;
    for (int grp : near) {
      if (!joins_) break;
      if (grp == chosen || group(grp).nodes.empty()) continue;
      const int both[] = {grp, chosen};
      const bool forward = can_join(grp, chosen), back = !forward && can_join(chosen, grp);
      if ((!forward && !back) || !stays_whole(both, -1)) continue;
      if (forward) {
        join(grp, chosen);
      } else {
        join(chosen, grp);
        chosen = grp;
      }
    }
  }

  /// Rows and shared values whose group is the only one to read them: only now is it known what it reduces over.
  void absorb() {
    for (size_t a = 0; a < groups_.size(); ++a) {
      const auto small = static_cast<int>(a);
      if (group(small).nodes.empty() || group(small).reduced != 0) continue;
      std::vector<int> readers;
      for (int m : group(small).nodes) {
        for (int u : uses_[static_cast<size_t>(node(m).out[0])]) {
          const int big = group_of(u);
          if (big >= 0 && big != small && std::find(readers.begin(), readers.end(), big) == readers.end())
            readers.push_back(big);
        }
      }
      for (int big : readers) {
        const int both[] = {small, big};
        if (!can_join(small, big) || !stays_whole(both, -1)) continue;
        join(small, big);
        break;
      }
    }
  }

  /// Groups of one node are none. The others are numbered and moved to where their last operand is ready.
  void number() {
    std::vector<int> unit(g_.nodes.size());  // what moves together: a group, or a node alone
    auto count = static_cast<int>(groups_.size());
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      int grp = group_[i];
      bool alone = grp < 0 || groups_[static_cast<size_t>(grp)].nodes.size() < 2;
      unit[i] = alone ? count + static_cast<int>(i) : grp;
      g_.nodes[i].group = alone ? -1 : grp;
    }
    std::vector<GraphNode> nodes;
    std::vector<bool> done(g_.nodes.size(), false);
    std::function<void(size_t)> emit = [&](size_t i) {
      if (done[i]) return;
      std::vector<size_t> members;
      if (unit[i] < count) {
        for (int m : groups_[static_cast<size_t>(unit[i])].nodes) members.push_back(static_cast<size_t>(m));
      } else {
        members.push_back(i);
      }
      for (size_t m : members) {
        for (ValueId v : g_.nodes[m].in) {
          int maker = v < 0 ? -1 : maker_[static_cast<size_t>(v)];
          if (maker >= 0 && unit[static_cast<size_t>(maker)] != unit[m]) emit(static_cast<size_t>(maker));
        }
      }
      for (size_t m : members) {
        done[m] = true;
        nodes.push_back(g_.nodes[m]);
      }
    };
    for (size_t i = 0; i < g_.nodes.size(); ++i) emit(i);
    g_.nodes = std::move(nodes);
    renumber();
  }
  void renumber() {
    int next = -1, before = -1;
    for (GraphNode& n : g_.nodes) {
      if (n.group < 0) continue;
      if (n.group != before) ++next;
      before = n.group;
      n.group = next;
    }
  }

  Graph& g_;
  bool joins_;
  std::vector<int> maker_, group_;
  std::vector<std::vector<int>> uses_;
  std::vector<Group> groups_;
  // Of one question to stays_whole():
  std::vector<int> seen_;
  int round_ = 0;
  std::span<const int> inside_;
};

}  // namespace

void fuse(Graph& g) { Fuser(g, true).run(); }
void fuse_carefully(Graph& g) { Fuser(g, false).run(); }

}  // namespace thixo
