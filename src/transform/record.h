// Capture: the function runs once for real while every op that reaches the bottom of the stack writes itself
// down, so forward, backward and optimizer step land in one Graph, in-place updates included.
#pragma once

#include <unordered_map>

#include "ir/dispatch.h"
#include "ir/graph.h"

namespace thixo {

/// A finished recording: the graph and what its State and Constant inputs are bound to.
struct Recording {
  Graph graph;
  std::vector<Tensor> bound;                       ///< per graph input; undefined for arguments
  std::vector<Tensor> results;                     ///< per graph output, the values of this first run
  std::vector<std::function<void()>> before_replay;  ///< bring bound host state (a learning rate) up to date
};

class Recorder final : public Interpreter {
 public:
  /// From now on the tensors of `args` are the graph's arguments, in this order.
  explicit Recorder(std::span<const Tensor> args);
  ~Recorder() override;
  Recorder(const Recorder&) = delete;

  Values apply(const Call& call) override;
  void write(const Tensor& self, const Tensor& value) override;
  /// The graph so far with `outputs` as results. Recording ends.
  Recording finish(std::span<const Tensor> outputs);

  /// The value that t has now; a tensor never seen before becomes a State input.
  ValueId value_of(const Tensor& t);
  /// True when t's current value was computed inside this recording.
  bool made_here(const Tensor& t) const;
  /// The tensors of the graph's inputs so far.
  const std::vector<Tensor>& bound() const { return bound_; }
  bool is_bound(const Tensor& t) const;
  /// The recorder of this thread, or null.
  static Recorder* active();
  void before_replay(std::function<void()> f) { refreshers_.push_back(std::move(f)); }

 private:
  struct Seen {
    Tensor keep;  // so that the record's address is not used again
    ValueId value;
    uint32_t version;
  };
  ValueId input(const Tensor& t, InputKind kind);
  ValueId replay_views(const Tensor& t);
  ValueId node(const OpDef* op, std::span<const Attr> attrs, std::vector<ValueId> in, const SourceLoc& at);
  void remember(const Tensor& t, ValueId v);

  Graph graph_;
  std::vector<Tensor> bound_;
  std::unordered_map<const TensorRecord*, Seen> views_;   // views, at a version of their storage
  std::unordered_map<const Storage*, Seen> current_;      // whole storages
  std::vector<std::function<void()>> refreshers_;
  bool active_ = true;
};

}  // namespace thixo
