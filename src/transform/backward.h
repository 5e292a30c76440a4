// One walk over the tape. Nodes run in the reverse order of their calls: a sequence number is greater than those of
// all nodes that a node leads to, so when a node is the greatest one waiting, all its gradients have arrived.
#pragma once

#include <unordered_map>

#include "transform/node.h"

namespace thixo {

struct BackwardMode {
  bool retain_graph = false;
  bool create_graph = false;
  bool grad_enabled = false;  ///< grad mode while gradients are computed
  uint64_t strip = 0;         ///< see GradRun
};

class BackwardRun {
 public:
  explicit BackwardRun(BackwardMode mode);
  ~BackwardRun();
  BackwardRun(const BackwardRun&) = delete;

  /// Gradients of these are kept for captured() instead of being added to the leaves. Before run(). With `stop_there`
  /// the walk does not go on from them: what made the inputs is not looked at.
  void capture(std::span<const Edge> inputs, bool stop_there = false);
  /// The walk starts here with gradient g.
  void add_root(const Edge& to, Tensor g);
  void run();
  Tensor captured(size_t input) const;

  bool wants(const Edge& e) const;

 private:
  struct Captured {
    Edge at;
    Tensor sum;
  };
  struct HookedLeaf {
    int64_t uses = 0;
    Tensor sum;
  };
  void claim(Node* n);
  void push(Node* n);
  Node* pop();
  void mark_wanted();
  void deliver(const Edge& to, Tensor g);
  void deliver_leaf(TensorRecord* leaf, Tensor g);
  void count_leaf_uses(Node* from);
  void finish_leaf(TensorRecord* leaf, HookedLeaf& h);
  Values run_node(Node* n);
  void process(Node* n);
  Captured* captured_leaf(const TensorRecord* leaf);
  Captured* stop_at(const Edge& e);

  BackwardMode mode_;
  GradRun grad_run_;
  std::vector<Node*> waiting_;  // a heap by sequence
  std::vector<Node*> claimed_;  // of a run with capture: all nodes that it may touch
  std::vector<std::pair<Edge, Tensor>> roots_;
  std::vector<Captured> captures_;
  std::unordered_map<TensorRecord*, HookedLeaf> hooked_;
  bool capturing_ = false, counted_ = false, stops_ = false;
};

/// Whether no node from `from` down to `stops` has dropped the values that its gradient needs.
bool can_run_backward(const Edge& from, std::span<const Edge> stops);
/// a + b, in place when nobody else knows a.
Tensor accumulate(Tensor a, const Tensor& b, bool may_reuse);
/// Adds g to the grad of a leaf, with its hooks.
void add_to_grad(TensorRecord* leaf, Tensor g, bool create_graph);

}  // namespace thixo
