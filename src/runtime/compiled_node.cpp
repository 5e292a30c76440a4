#include "runtime/compiled_node.h"

#include "core/tensor_lock.h"
#include "thixo/error.h"
#include "transform/passes/absent.h"
#include "transform/write.h"

namespace thixo {

const CompiledBackward::Part& CompiledBackward::part(const std::vector<bool>& absent) {
  const auto lock = lock_for_tensors(mutex_);
  if (auto known = parts_.find(absent); known != parts_.end()) return known->second;
  PartialBackward p = without_gradients(whole.graph, shapes.size(), absent);
  Part made;
  for (int k : result_of) made.result_of.push_back(k < 0 ? -1 : p.output_of[static_cast<size_t>(k)]);
  made.run = make_ref<Executable>(Recording{std::move(p.graph), whole.bound, {}, whole.random});
  return parts_.emplace(absent, std::move(made)).first->second;
}

CompiledNode::CompiledNode(Ref<CompiledBackward> backward, std::span<const Tensor> inputs,
                           std::span<const Tensor> outputs, std::vector<RngKey> keys, SmallVec<Edge, 2> e)
    : backward_(std::move(backward)), keys_(std::move(keys)) {
  edges = std::move(e);
  for (const SplitGraph::Source& s : backward_->sources) {
    const auto i = static_cast<size_t>(s.index);
    // Without its history a result does not own the node that keeps it.
    save(s.kind == SplitGraph::Source::Input ? inputs[i] : alias(outputs[i]));
  }
  for (const Tensor& t : backward_->bound) save(t);
  enqueue_after_edges();
}

void CompiledNode::save(const Tensor& t) {
  saved_.push_back(t);
  versions_.push_back(version_of(t));
}

Values CompiledNode::apply(std::span<const Tensor> g, const GradRun& how) {
  if (how.create_graph) {
    throw NotImplementedError("backward: the gradient of a compiled function cannot be differentiated again")
        .fix(
            "compile a function that computes the gradient (autograd::grad with create_graph) itself, or call the "
            "function uncompiled")
        .at(at);
  }
  if (freed_) {
    throw ValueError("backward: the saved values of a compiled function were freed by an earlier backward")
        .fix("keep the graph in the first backward, with retain_graph, when it is used again")
        .at(at);
  }
  for (size_t i = 0; i < saved_.size(); ++i) {
    if (version_of(saved_[i]) == versions_[i]) continue;
    throw ValueError("backward: a value that the compiled function needs was overwritten in place")
        .got(describe(saved_[i]) + " saved at version " + std::to_string(versions_[i]) + ", now at version " +
             std::to_string(version_of(saved_[i])))
        .fix("run backward before the value is overwritten, or clone it")
        .at(at);
  }
  std::vector<Tensor> args;
  std::vector<bool> absent;
  for (size_t k = 0; k < backward_->shapes.size(); ++k) {
    absent.push_back(!g[k].defined());
    args.push_back(g[k].defined() ? g[k].contiguous() : Tensor());
  }
  const CompiledBackward::Part& part = backward_->part(absent);
  args.insert(args.end(), saved_.begin(), saved_.begin() + static_cast<std::ptrdiff_t>(backward_->sources.size()));
  TensorList grads = part.run->run(args, keys_);
  args.clear();
  Values out;
  for (int k : part.result_of) out.push_back(k < 0 ? Tensor() : grads[static_cast<size_t>(k)]);
  return out;
}

void CompiledNode::release_saved() {
  freed_ = true;
  saved_.clear();
}

}  // namespace thixo
