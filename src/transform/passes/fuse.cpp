// Fusion: which nodes become one kernel. codegen/schedule.h says what a kernel can be: pointwise nodes and
// reductions over the last dims of one domain. Nodes join the group of an operand when shapes allow it and no path
// leads out of the group and back into it; groups are then moved together in the list.
#include <algorithm>
#include <optional>

#include "transform/passes/passes.h"

namespace thixo {
namespace {

struct Group {
  Shape shape;          // of its full values
  int64_t reduced = 0;  // trailing dims that its reductions run over; 0: none yet
  std::vector<int> nodes;
  std::vector<int> needs;  // groups that it takes values from, directly or through nodes alone
};

constexpr int64_t kMinRows = 8;        // fewer rows leave threads idle: the reduction stays alone
constexpr size_t kMaxNodes = 64;

class Fuser {
 public:
  explicit Fuser(Graph& g) : g_(g), maker_(g.values.size(), -1), group_(g.nodes.size(), -1), depends_(g.nodes.size()) {}

  void run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      auto n = static_cast<int>(i);
      for (ValueId v : g_.nodes[i].out) maker_[static_cast<size_t>(v)] = n;
      place(n);
    }
    number();
  }

 private:
  const GraphNode& node(int n) const { return g_.nodes[static_cast<size_t>(n)]; }
  const GraphValue& value(ValueId v) const { return g_.values[static_cast<size_t>(v)]; }
  static bool memory_only(DType t) { return compute_type(t) != t; }

  struct Role {
    enum { Pointwise, Reduction, Leaf } kind;
    int64_t reduced = 0;
  };

  std::optional<Role> role(const GraphNode& n) const {
    for (ValueId v : n.out) {
      if (memory_only(value(v).dtype) || is_complex(value(v).dtype)) return std::nullopt;
    }
    for (ValueId v : n.in) {
      if (v >= 0 && is_complex(value(v).dtype)) return std::nullopt;
    }
    if (n.out.size() != 1) return std::nullopt;
    if (n.op->tier == Tier::Pointwise) return Role{Role::Pointwise, 0};
    if (n.op->tier != Tier::Nest || !n.op->nest) return std::nullopt;
    if (n.in.empty()) return Role{Role::Leaf, 0};  // numbers, ranges, random values
    return reduction(n);
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
    if (r.size() != lead && r.size() != s.size()) return false;
    for (size_t d = 0; d < r.size(); ++d) {
      if (d < lead ? !(r[d] == s[d]) : !(r[d] == 1)) return false;
    }
    return true;
  }

  bool fits(const GraphNode& n, const Role& r, const Group& grp) const {
    const Shape& out = value(n.out[0]).shape;
    if (grp.nodes.size() >= kMaxNodes) return false;
    if (r.kind == Role::Reduction) {
      return value(n.in[0]).shape == grp.shape && (grp.reduced == 0 || grp.reduced == r.reduced);
    }
    if (out == grp.shape) return operands_fit(n, grp, false);
    return grp.reduced > 0 && row_of(out, grp.shape, grp.reduced) && operands_fit(n, grp, true);
  }
  /// Operands made in the group must be of the kinds that the node can read there.
  bool operands_fit(const GraphNode& n, const Group& grp, bool row_node) const {
    for (ValueId v : n.in) {
      if (v < 0 || maker_[static_cast<size_t>(v)] < 0) continue;
      int m = maker_[static_cast<size_t>(v)];
      if (std::find(grp.nodes.begin(), grp.nodes.end(), m) == grp.nodes.end()) continue;
      bool full = value(v).shape == grp.shape;
      bool row = grp.reduced > 0 && row_of(value(v).shape, grp.shape, grp.reduced);
      if (row_node ? !row || full : !full && !(row && value(v).shape.size() == grp.shape.size())) return false;
    }
    return true;
  }

  /// Whether joining keeps the order possible: no operand made outside the group may need the group, which runs as
  /// a whole, so also through later members of the groups in between.
  bool no_cycle(const GraphNode& n, int group) const {
    for (ValueId v : n.in) {
      int m = v < 0 ? -1 : maker_[static_cast<size_t>(v)];
      if (m < 0 || group_[static_cast<size_t>(m)] == group) continue;
      std::vector<bool> seen(groups_.size(), false);
      for (int d : depends_[static_cast<size_t>(m)]) {
        if (reaches(d, group, &seen)) return false;
      }
    }
    return true;
  }
  bool reaches(int from, int group, std::vector<bool>* seen) const {
    if (from == group) return true;
    if ((*seen)[static_cast<size_t>(from)]) return false;
    (*seen)[static_cast<size_t>(from)] = true;
    const std::vector<int>& needs = groups_[static_cast<size_t>(from)].needs;
    return std::any_of(needs.begin(), needs.end(), [&](int g) { return reaches(g, group, seen); });
  }

  void place(int n) {
    const GraphNode& nd = node(n);
    std::optional<Role> r = role(nd);
    int chosen = -1;
    if (r) {
      for (ValueId v : nd.in) {
        int m = v < 0 ? -1 : maker_[static_cast<size_t>(v)];
        int grp = m < 0 ? -1 : group_[static_cast<size_t>(m)];
        if (grp < 0 || grp == chosen || !fits(nd, *r, groups_[static_cast<size_t>(grp)]) || !no_cycle(nd, grp)) continue;
        if (chosen < 0 || grp > chosen) chosen = grp;
      }
      if (chosen < 0) {
        chosen = static_cast<int>(groups_.size());
        const Shape& full = r->kind == Role::Reduction ? value(nd.in[0]).shape : value(nd.out[0]).shape;
        groups_.push_back({full, 0, {}, {}});
      }
      Group& grp = groups_[static_cast<size_t>(chosen)];
      grp.nodes.push_back(n);
      if (r->kind == Role::Reduction) grp.reduced = r->reduced;
      group_[static_cast<size_t>(n)] = chosen;
    }
    // depends_[n]: a node in a group stands for the group; one alone for the groups that its operands depend on.
    std::vector<int> needs;
    for (ValueId v : nd.in) {
      int m = v < 0 ? -1 : maker_[static_cast<size_t>(v)];
      if (m >= 0) needs.insert(needs.end(), depends_[static_cast<size_t>(m)].begin(), depends_[static_cast<size_t>(m)].end());
    }
    std::sort(needs.begin(), needs.end());
    needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
    if (chosen < 0) {
      depends_[static_cast<size_t>(n)] = std::move(needs);
      return;
    }
    std::erase(needs, chosen);
    std::vector<int>& all = groups_[static_cast<size_t>(chosen)].needs;
    all.insert(all.end(), needs.begin(), needs.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    depends_[static_cast<size_t>(n)] = {chosen};
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
  std::vector<int> maker_, group_;
  std::vector<std::vector<int>> depends_;
  std::vector<Group> groups_;
};

}  // namespace

void fuse(Graph& g) { Fuser(g).run(); }

}  // namespace thixo
