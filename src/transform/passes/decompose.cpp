// Composites over rows written out as what they are made of, so that fusion can join them with what stands around.
// Eager has one kernel for each: who schedules the groups takes a composite that did not become part of one kernel back
// (`keep`).
#include <algorithm>
#include <unordered_map>

#include "ir/dispatch.h"
#include "transform/passes/passes.h"
#include "transform/passes/rename.h"

namespace thixo {
namespace {

struct CannotWriteOut {};

/// Shapes that broadcast alike: equal but for leading sizes of 1.
bool same_broadcast(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  for (size_t d = 0; d < rank; ++d) {
    const Dim x = d < a.size() ? a[a.size() - 1 - d] : Dim(1), y = d < b.size() ? b[b.size() - 1 - d] : Dim(1);
    if (!(x == y)) return false;
  }
  return true;
}

/// Runs a decomposition on abstract operands and notes the ops that it calls.
class WriteOut final : public Interpreter {
 public:
  WriteOut(Graph& g, const GraphNode& n, int composite) : g_(g), composite_(composite), at_(n.at) {
    std::swap(outer_, dispatch_state());
    dispatch_state().grad_enabled = false;
    dispatch_state().bottom.push_back(this);
  }
  ~WriteOut() override { std::swap(outer_, dispatch_state()); }
  WriteOut(const WriteOut&) = delete;

  std::vector<ValueId> run(const GraphNode& n) {
    SmallVec<Tensor, 4> in;
    for (ValueId v : n.in) {
      in.push_back(v < 0 ? Tensor() : abstract_value(g_, v));
      if (v >= 0) remember(in.back(), v);
    }
    std::vector<ValueId> out;
    for (const Tensor& t : n.op->compose(Call{n.op, in, n.attrs, n.at})) out.push_back(value_of(t));
    return out;
  }

  Values apply(const Call& call) override {
    if (call.op->tier == Tier::Composite) return call.op->compose(call);
    Values out;
    for (const Spec& s : infer(call)) out.push_back(Tensor(new_abstract(s.shape, s.dtype)));
    if (call.op->tier == Tier::View) {
      views_.emplace(out[0].record(), View{call.in[0], call.op, {call.attrs.begin(), call.attrs.end()}});
      kept_.push_back(out[0]);
      return out;
    }
    GraphNode n{call.op, {call.attrs.begin(), call.attrs.end()}, {}, {}, at_, -1, composite_};
    const bool reads_through =
        call.op->tier == Tier::Pointwise && std::any_of(call.in.begin(), call.in.end(), [&](const Tensor& t) {
          return t.defined() && t.shape().size() == out[0].shape().size() && !views_.contains(t.record());
        });
    for (const Tensor& t : call.in) n.in.push_back(t.defined() ? operand(t, reads_through) : -1);
    for (const Tensor& t : out) remember(t, n.out.emplace_back(g_.add_value(t.dtype(), t.shape())));
    nodes.push_back(std::move(n));
    return out;
  }
  void write(const Tensor&, const Tensor&) override { throw CannotWriteOut(); }

  std::vector<GraphNode> nodes;

 private:
  struct View {
    Tensor base;
    const OpDef* op;
    std::vector<Attr> attrs;
  };

  void remember(const Tensor& t, ValueId v) {
    known_[t.record()] = v;
    kept_.push_back(t);
  }
  /// A pointwise op reads [5] as well as [1, 5] where another operand gives the result its rank: such a view need not
  /// be there.
  ValueId operand(const Tensor& t, bool reads_through) {
    auto view = views_.find(t.record());
    if (reads_through && view != views_.end() && same_broadcast(view->second.base.shape(), t.shape()))
      return operand(view->second.base, true);
    return value_of(t);
  }
  ValueId value_of(const Tensor& t) {
    auto known = known_.find(t.record());
    if (known != known_.end()) return known->second;
    if (auto view = views_.find(t.record()); view != views_.end()) {
      const View v = view->second;
      return add(v.op, v.attrs, {value_of(v.base)}, t);
    }
    if (!t.record()->wrapped_number) throw CannotWriteOut();
    static const OpDef* number = find_op("number");
    const ValueId v = add(number, {t.item_scalar()}, {}, t);
    g_.values[static_cast<size_t>(v)].weak = true;
    return v;
  }
  ValueId add(const OpDef* op, std::vector<Attr> attrs, std::vector<ValueId> in, const Tensor& result) {
    const ValueId v = g_.add_value(result.dtype(), result.shape());
    nodes.push_back({op, std::move(attrs), std::move(in), {v}, at_, -1, composite_});
    remember(result, v);
    return v;
  }

  Graph& g_;
  int composite_;
  SourceLoc at_;
  DispatchState outer_;
  std::unordered_map<const TensorRecord*, ValueId> known_;
  std::unordered_map<const TensorRecord*, View> views_;
  std::vector<Tensor> kept_;  // so that no address is used twice
};

}  // namespace

void decompose(Graph& g) { decompose(g, {}); }

void decompose(Graph& g, const std::vector<bool>& keep) {
  std::vector<ValueId> to = identity_renaming(g);
  std::vector<GraphNode> nodes;
  size_t count = 0;
  for (GraphNode& n : g.nodes) {
    const bool composite = n.op->tier == Tier::Composite && n.op->fused_rows;
    const size_t number = composite ? count++ : 0;
    if (!composite || (number < keep.size() && keep[number])) {
      nodes.push_back(std::move(n));
      continue;
    }
    const size_t values = g.values.size();
    try {
      WriteOut writer(g, n, static_cast<int>(number));
      const std::vector<ValueId> out = writer.run(n);
      for (size_t k = 0; k < n.out.size(); ++k) {  // out[k] may be an operand that another composite made
        const auto v = static_cast<size_t>(out[k]);
        to[static_cast<size_t>(n.out[k])] = v < to.size() ? to[v] : out[k];
      }
      for (GraphNode& made : writer.nodes) nodes.push_back(std::move(made));
    } catch (const CannotWriteOut&) {
      g.values.resize(values);
      nodes.push_back(std::move(n));
    } catch (const Error&) {  // it wants to see values
      g.values.resize(values);
      nodes.push_back(std::move(n));
    }
  }
  g.nodes = std::move(nodes);
  while (to.size() < g.values.size()) to.push_back(static_cast<ValueId>(to.size()));
  rename_values(g, to);
  dead_code(g);  // results that nobody reads
}

}  // namespace thixo
