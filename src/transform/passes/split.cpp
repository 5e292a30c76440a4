#include "transform/passes/split.h"

#include <algorithm>

#include "thixo/error.h"

namespace thixo {
namespace {

constexpr int kMostNodes = 16;  // that are run again for one value
constexpr int kNever = kMostNodes + 1;

class Splitter {
 public:
  Splitter(const Graph& whole, size_t forward_outputs, const std::vector<bool>& late)
      : g_(whole),
        results_(forward_outputs),
        late_(late),
        maker_(whole.values.size(), -1),
        input_(whole.values.size(), -1),
        updated_(whole.values.size(), false),
        at_hand_(whole.values.size(), false) {
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      for (ValueId v : g_.nodes[i].out) maker_[at(v)] = static_cast<int>(i);
    }
    for (size_t i = 0; i < g_.inputs.size(); ++i) input_[at(g_.inputs[i].value)] = static_cast<int>(i);
    for (const GraphUpdate& u : g_.updates) updated_[at(u.input)] = true;
  }

  SplitGraph run() {
    mark_sides();
    choose_saved();
    build_forward();
    build_backward();
    return std::move(out_);
  }

 private:
  static size_t at(ValueId v) { return static_cast<size_t>(v); }
  template <class F> void each_operand(int node, F f) const {
    for (ValueId v : g_.nodes[static_cast<size_t>(node)].in) {
      if (v >= 0) f(v);
    }
  }
  bool is_late(ValueId v) const { return input_[at(v)] >= 0 && late_[static_cast<size_t>(input_[at(v)])]; }

  /// The forward is what its results and the updates need; the backward is the rest of what its results need.
  void mark_sides() {
    forward_.assign(g_.nodes.size(), false);
    backward_.assign(g_.nodes.size(), false);
    auto need = [&](std::vector<bool>& side, ValueId v) {
      if (maker_[at(v)] >= 0) side[static_cast<size_t>(maker_[at(v)])] = true;
    };
    for (size_t k = 0; k < g_.outputs.size(); ++k) need(k < results_ ? forward_ : backward_, g_.outputs[k]);
    for (const GraphUpdate& u : g_.updates) need(forward_, u.value);
    for (size_t i = g_.nodes.size(); i-- > 0;) {
      if (!forward_[i] && !backward_[i]) continue;
      each_operand(static_cast<int>(i), [&](ValueId v) {
        need(forward_[i] ? forward_ : backward_, v);
        if (forward_[i] && is_late(v)) {
          throw NotImplementedError("compile: the backward of the function changes a tensor outside of it")
              .fix("let custom functions and hooks return their values instead of writing them in place");
        }
      });
    }
  }

  bool cheap(const GraphNode& n) const {
    for (const Attr& a : n.attrs) {
      if (std::holds_alternative<RngKey>(a)) return false;
    }
    return n.out.size() == 1 &&
           (n.op->tier == Tier::Pointwise || n.op->tier == Tier::View || (n.op->tier == Tier::Nest && n.in.empty()));
  }
  /// How many nodes it takes the backward to have v without its being saved (0: an input as it was, or something
  /// saved), kNever when it would take too many or something dear. Operands have been asked before.
  int price(ValueId v) const {
    if (at_hand_[at(v)]) return 0;
    if (input_[at(v)] >= 0) return updated_[at(v)] ? kNever : 0;
    const GraphNode& n = g_.nodes[static_cast<size_t>(maker_[at(v)])];
    if (!cheap(n)) return kNever;
    int sum = 1;
    for (ValueId x : n.in) sum += x < 0 ? 0 : price_[at(x)];
    return sum > kMostNodes ? kNever : sum;
  }
  static bool is_view(const GraphNode& n) { return n.op->tier == Tier::View; }

  /// In the order of the nodes: what the backward reads of the forward and cannot make of what it has is saved. Of a
  /// view its base is.
  void choose_saved() {
    std::vector<bool> wanted(g_.values.size(), false);
    auto want = [&](ValueId v) {
      while (maker_[at(v)] >= 0 && forward_[static_cast<size_t>(maker_[at(v)])] &&
             is_view(g_.nodes[static_cast<size_t>(maker_[at(v)])])) {
        v = g_.nodes[static_cast<size_t>(maker_[at(v)])].in[0];
      }
      wanted[at(v)] = true;
    };
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (backward_[i] && !forward_[i]) each_operand(static_cast<int>(i), want);
    }
    for (size_t k = results_; k < g_.outputs.size(); ++k) want(g_.outputs[k]);
    for (size_t k = 0; k < results_; ++k) at_hand_[at(g_.outputs[k])] = handed_out_whole(g_.outputs[k]);
    price_.assign(g_.values.size(), 0);
    for (const GraphInput& in : g_.inputs) {
      price_[at(in.value)] = price(in.value);
      if (wanted[at(in.value)] && price_[at(in.value)] == kNever) save(in.value);
    }
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (!forward_[i]) continue;
      for (ValueId v : g_.nodes[i].out) {
        price_[at(v)] = price(v);
        if (wanted[at(v)] && price_[at(v)] == kNever) save(v);
      }
    }
  }
  /// A result in memory of its own, row-major: the backward may read it there.
  bool handed_out_whole(ValueId v) const {
    return maker_[at(v)] >= 0 && !is_view(g_.nodes[static_cast<size_t>(maker_[at(v)])]);
  }
  void save(ValueId v) {
    saved_.push_back(v);
    at_hand_[at(v)] = true;
    price_[at(v)] = 0;
  }

  void build_forward() {
    Graph& f = out_.forward;
    f.name = g_.name;
    f.values = g_.values;
    for (size_t i = 0; i < g_.inputs.size(); ++i) {
      if (late_[i]) continue;
      f.inputs.push_back(g_.inputs[i]);
      out_.forward_inputs.push_back(static_cast<int>(i));
    }
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (forward_[i]) f.nodes.push_back(g_.nodes[i]);
    }
    f.outputs.assign(g_.outputs.begin(), g_.outputs.begin() + static_cast<std::ptrdiff_t>(results_));
    for (ValueId v : saved_) f.outputs.push_back(input_[at(v)] >= 0 ? copy_of(f, v) : v);
    f.updates = g_.updates;
  }
  /// An input that the program overwrites is kept as it was.
  static ValueId copy_of(Graph& f, ValueId v) {
    static const OpDef* clone = find_op("clone");
    ValueId copy = f.add_value(f.values[at(v)].dtype, f.values[at(v)].shape);
    GraphNode n{clone, {}, {v}, {copy}, {}, -1};
    for (const AttrDecl& d : clone->schema.attrs) n.attrs.push_back(d.def);
    f.nodes.push_back(std::move(n));
    return copy;
  }

  void build_backward() {
    Graph& b = out_.backward;
    b.name = g_.name + "_backward";
    b.values = g_.values;
    std::vector<bool> ready(g_.values.size(), false);
    auto input = [&](ValueId v, InputKind kind, SplitGraph::Source from) {
      b.inputs.push_back({v, kind});
      out_.backward_inputs.push_back(from);
      ready[at(v)] = true;
    };
    std::function<void(const GraphNode&)> add;
    const std::function<void(ValueId)> provide = [&](ValueId v) {
      if (ready[at(v)]) return;
      if (int k = output_of(v); k >= 0) {
        b.values[at(v)].strides = {};
        return input(v, InputKind::Arg, {SplitGraph::Source::Saved, k});
      }
      if (int i = input_[at(v)]; i >= 0)
        return input(v, g_.inputs[static_cast<size_t>(i)].kind, {SplitGraph::Source::Input, i});
      add(g_.nodes[static_cast<size_t>(maker_[at(v)])]);  // cheap: made again
    };
    add = [&](const GraphNode& n) {
      for (ValueId x : n.in) {
        if (x >= 0) provide(x);
      }
      b.nodes.push_back(n);
      for (ValueId o : n.out) ready[at(o)] = true;
    };
    // Late inputs first and in their order, so that the caller knows where they stand.
    for (size_t i = 0; i < g_.inputs.size(); ++i) {
      if (late_[i]) provide(g_.inputs[i].value);
    }
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      if (backward_[i] && !forward_[i]) add(g_.nodes[i]);
    }
    for (size_t k = results_; k < g_.outputs.size(); ++k) {
      provide(g_.outputs[k]);
      b.outputs.push_back(g_.outputs[k]);
    }
  }
  /// Which output of the forward v can be had from, or -1.
  int output_of(ValueId v) const {
    for (size_t k = 0; k < saved_.size(); ++k) {
      if (saved_[k] == v) return static_cast<int>(results_ + k);
    }
    if (!handed_out_whole(v)) return -1;
    for (size_t k = 0; k < results_; ++k) {
      if (g_.outputs[k] == v) return static_cast<int>(k);
    }
    return -1;
  }

  const Graph& g_;
  size_t results_;
  const std::vector<bool>& late_;
  std::vector<int> maker_, input_;
  std::vector<bool> updated_, at_hand_, forward_, backward_;
  std::vector<int> price_;
  std::vector<ValueId> saved_;
  SplitGraph out_;
};

}  // namespace

SplitGraph split_graph(const Graph& whole, size_t forward_outputs, const std::vector<bool>& late) {
  return Splitter(whole, forward_outputs, late).run();
}

}  // namespace thixo
