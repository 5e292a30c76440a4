// Capture: the function runs once for real while every op that reaches the bottom of the stack writes itself
// down, so forward, backward and optimizer step land in one Graph, in-place updates included.
#pragma once

#include <unordered_map>

#include "ir/dispatch.h"
#include "ir/graph.h"
#include "transform/random_keys.h"

namespace thixo {

/// What the function did to the `grad` of a tensor from outside.
struct GradUse {
  Tensor leaf;
  bool read = false;  ///< before it was set: the program depends on whether there was one
  Tensor before, after;
};

/// A finished recording: the graph and what its State and Constant inputs are bound to.
struct Recording {
  Graph graph;
  std::vector<Tensor> bound;                         ///< per graph input; undefined for arguments
  std::vector<std::function<void()>> before_replay;  ///< bring bound host state (a learning rate) up to date
  RandomKeys random;
};

class Recorder final : public Interpreter {
 public:
  /// From now on the tensors of `args` are the graph's arguments, in this order. One that is a view is known by its
  /// base, which must be among them too, or not used at all.
  explicit Recorder(std::span<const Tensor> args);
  ~Recorder() override;
  Recorder(const Recorder&) = delete;

  Values apply(const Call& call) override;
  void write(const Tensor& self, const Tensor& value) override;
  void drew(const Generator& g, RngKey* key) override;
  /// Where the generators are that were drawn from, and back there: what was drawn since is not the program's.
  std::vector<Generator::State> generator_states() const;
  void rewind(std::span<const Generator::State> states);
  /// One more argument.
  void add_argument(const Tensor& t) { input(t, InputKind::Arg); }
  /// The graph so far with `outputs` as results. Recording ends.
  Recording finish(std::span<const Tensor> outputs);

  /// The value that t has now; a tensor never seen before becomes a State input.
  ValueId value_of(const Tensor& t);
  /// True when t's current value was computed inside this recording.
  bool made_here(const Tensor& t) const;
  /// The tensors of the graph's inputs so far.
  const std::vector<Tensor>& bound() const { return bound_; }
  /// Tensors with a gradient or a history of their own over the memory of inputs and of values made here.
  const std::vector<Tensor>& other_handles() const { return other_handles_; }
  /// `t` is what the function sees of argument `i`, made before the recording.
  void stands_for(const Tensor& t, size_t i) { input_of_[t.record()] = static_cast<int>(i); }
  /// The memory of `t` is that of a leaf that requires grad, of which the function sees a view: not to be written with
  /// gradients on.
  void guard_leaf(const Tensor& t) { guarded_.push_back(t.record()->storage); }
  bool is_view_of_leaf(const Tensor& t) const;
  /// Which input t is, or -1.
  int input_of(const Tensor& t) const;
  /// The inputs that have another value now than they had at the start.
  std::vector<int> written() const;
  /// Leaves of which `grad` was read or set, in the order in which that happened.
  const std::vector<GradUse>& grad_uses() const { return grads_; }
  /// The grad of `leaf` is about to be read or set.
  void note_grad(TensorRecord* leaf, bool read);
  /// Whether the function made t itself.
  bool is_own(const Tensor& t) const { return t.record()->recording == number_; }
  /// Whether its memory was new during the recording.
  bool is_fresh(const Tensor& t) const { return t.record()->storage && t.record()->storage->recording == number_; }
  /// Arguments that the function was found to know from elsewhere too: the program is right for this memory alone.
  const std::vector<size_t>& known_arguments() const { return known_arguments_; }
  /// The recorder of this thread, or null.
  static Recorder* active();
  void before_replay(std::function<void()> f) { refreshers_.push_back(std::move(f)); }
  void replay_while(std::function<bool()> holds) { conditions_.push_back(std::move(holds)); }
  const std::vector<std::function<bool()>>& conditions() const { return conditions_; }

 private:
  struct Seen {
    Tensor keep;  // so that the record's address is not used again
    ValueId value;
    uint32_t version;
  };
  ValueId add_input(const Tensor& t, InputKind kind);
  ValueId input(const Tensor& t, InputKind kind);
  Values composite(const Call& call);
  Values noted(const Call& call);
  Values eager(const Call& call) const;
  bool view_by_place(const Call& call, Values* out);
  ValueId replay_views(const Tensor& t);
  ValueId replay(const std::vector<ViewStep>& steps, ValueId v);
  ValueId write_through(ValueId root, const std::vector<ViewStep>& steps, ValueId v);
  ValueId value_beside(const Tensor& t);
  ValueId constant(const Tensor& t);
  void note_known(const Tensor& t);
  static void refuse_value_read(const Tensor& t, const char* what);
  ValueId node(const OpDef* op, std::span<const Attr> attrs, std::vector<ValueId> in, const SourceLoc& at);
  void remember(const Tensor& t, ValueId v);
  bool is_input(ValueId v) const;
  void end();

  Graph graph_;
  uint32_t number_;
  std::vector<Tensor> bound_, other_handles_;
  std::vector<size_t> known_arguments_;
  std::unordered_map<const TensorRecord*, int> input_of_;
  std::unordered_map<const TensorRecord*, Seen> views_;  // views, at a version of their storage
  std::unordered_map<const Storage*, Seen> current_;  // whole storages
  // States over memory of which the current value is another tensor's, that does not contain them: as long as nothing
  // is written there, each is an input of its own.
  std::unordered_map<const TensorRecord*, Seen> beside_;
  std::vector<Ref<Storage>> guarded_;
  std::vector<GradUse> grads_;
  std::unordered_map<const TensorRecord*, size_t> grad_of_;
  std::vector<std::function<void()>> refreshers_;
  std::vector<std::function<bool()>> conditions_;
  RandomKeys random_;
  bool active_ = true;
};

}  // namespace thixo
