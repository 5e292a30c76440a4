// The tape: a node for each recorded call, linked to the nodes that made its operands. backward.cpp walks it.
#pragma once

#include <atomic>
#include <memory>

#include "core/allocator.h"
#include "core/record.h"
#include "ir/op.h"

namespace thixo {

class Node;
class BackwardRun;

/// Where the gradient of an operand goes: to a result of the node that made it, or to a leaf.
struct Edge {
  Ref<Object> to;  ///< a Node, or the TensorRecord of a leaf; null: no gradient is wanted
  int32_t output = 0;

  static constexpr int32_t kLeaf = -1;
  explicit operator bool() const { return static_cast<bool>(to); }
  bool is_leaf() const { return output == kLeaf; }
  bool operator==(const Edge& e) const { return to == e.to && output == e.output; }
  Node* node() const;
  TensorRecord* leaf() const { return static_cast<TensorRecord*>(to.get()); }
};

/// How one backward runs the nodes.
struct GradRun {
  bool create_graph = false;
  /// Wrappers that this transform made are taken off saved values: its own tape ends here (func::grad).
  uint64_t strip = 0;
  /// Set when gradients are wanted of some tensors only.
  const BackwardRun* only = nullptr;
};

/// Memory of nodes and gradient records: the allocator's size classes, cached per thread.
template <class T> struct Pooled {
  static void* operator new(size_t n) { return detail::small_new(detail::small_class(n)); }
  static void operator delete(void* p, size_t n) { detail::small_delete(p, detail::small_class(n)); }
};

using TensorHook = std::function<Tensor(const Tensor&)>;

/// What few tensors have: kept beside the node.
struct NodeHooks {
  struct Hook {
    uint32_t output;
    int64_t id;
    TensorHook call;
  };
  std::vector<Hook> hooks;
  std::vector<GradMeta*> retained;  ///< of results whose `grad` is kept; not owned
};

class Node : public Object, public Pooled<Node> {
 public:
  SourceLoc at;             ///< where the user called
  uint64_t sequence = 0;    ///< greater than that of every node that this one leads to
  SmallVec<Edge, 2> edges;  ///< one per operand
  std::unique_ptr<NodeHooks> extras;

  virtual std::string name() const = 0;
  /// As the user is shown it: AddBackward0.
  virtual std::string shown_name() const;
  virtual size_t results() const = 0;
  /// The gradients of the operands from those of the results (undefined where none arrived, not all).
  virtual Values apply(std::span<const Tensor> g, const GradRun& run) = 0;
  /// Drops what was saved for apply().
  virtual void release_saved() = 0;
  /// Whether apply() lacks what release_saved() dropped.
  virtual bool freed() const = 0;

  /// Takes a sequence number; after the edges are set.
  void enqueue_after_edges();
  NodeHooks& hooks();

  // State of the one backward that is passing through.
  std::atomic<const BackwardRun*> owner{nullptr};
  bool queued = false, wanted = false;
  SmallVec<Tensor, 1> arrived;

 protected:
  void destroy() const override;  // without recursion: graphs may be a million nodes deep

 private:
  Node* next_dying_ = nullptr;
};

inline Node* Edge::node() const { return static_cast<Node*>(to.get()); }

/// The tape's part of a tensor.
struct TapeMeta final : GradMeta, Pooled<TapeMeta> {
  std::vector<std::pair<int64_t, std::function<void(const Tensor&)>>> after_accumulate;
  ~TapeMeta() override;
  Node* tape_node() const { return static_cast<Node*>(node.get()); }
  /// This tensor is no result of `node` any more.
  void leave_node();
};

/// The gradient record of t; made when there is none.
TapeMeta& tape_meta(const Tensor& t);
/// t is result `output` of `node` from now on.
void set_history(const Tensor& t, Ref<Node> node, uint32_t output);
/// Where a gradient of t goes; brings a view whose base was written up to date first.
Edge gradient_edge(const Tensor& t);
/// Storage version of the data below all wrappers.
uint32_t version_of(const Tensor& t);
/// True when the base of view t was written, with a gradient, after t's node was made.
bool view_is_stale(const TensorRecord& r);
/// Gives a stale view a node of its own, made from its base's.
void refresh_view(const Tensor& t);

/// The node whose gradient is being computed on this thread, or null: for errors and checks.
Node* running_node();

}  // namespace thixo
