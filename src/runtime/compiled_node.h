// The tape's node of a call of a compiled function: its gradient is the compiled backward.
#pragma once

#include <map>

#include "runtime/executable.h"
#include "transform/node.h"
#include "transform/passes/split.h"

namespace thixo {

/// What all calls of one program share.
struct CompiledBackward : Object {
  /// The backward for when the gradients of these results come. Others than all of them are made when they first do.
  struct Part {
    Ref<Executable> run;
    std::vector<int> result_of;  ///< per edge: which result of `run` is its gradient, -1: none
  };
  const Part& part(const std::vector<bool>& absent);

  Recording whole;  ///< what Part::run is made of
  std::vector<SplitGraph::Source> sources;  ///< per argument of `run`, after the gradients of the results
  std::vector<Tensor> bound;                ///< those tensors
  std::vector<int> result_of;               ///< per edge: which result of the whole is its gradient, -1: none
  std::vector<Shape> shapes;                ///< of the results of the forward that have a gradient

 private:
  std::mutex mutex_;
  std::map<std::vector<bool>, Part> parts_;
};

class CompiledNode final : public Node {
 public:
  /// `inputs`, `outputs`: of this run of the forward, in the order of the whole graph's inputs and of the forward's
  /// outputs.
  CompiledNode(Ref<CompiledBackward> backward, std::span<const Tensor> inputs, std::span<const Tensor> outputs,
               std::vector<RngKey> keys, SmallVec<Edge, 2> e);
  std::string name() const override { return "compiled"; }
  size_t results() const override { return backward_->shapes.size(); }
  Values apply(std::span<const Tensor> g, const GradRun& how) override;
  void release_saved() override;
  bool freed() const override { return freed_; }

 private:
  void save(const Tensor& t);
  Ref<CompiledBackward> backward_;
  std::vector<Tensor> saved_;        // arguments of the backward, then the states that it reads
  std::vector<uint32_t> versions_;
  std::vector<RngKey> keys_;
  bool freed_ = false;
};

}  // namespace thixo
