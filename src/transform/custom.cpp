// Custom functions: a node that runs the user's backward.
#include <algorithm>

#include "ir/dispatch.h"
#include "thixo/autograd.h"
#include "transform/interpreter.h"
#include "transform/node.h"
#include "transform/write.h"

namespace thixo::autograd {
namespace {

class FunctionNode;

struct Like {
  Shape shape;
  DType dtype;
  Device device;
};

class Context final : public FunctionContext {
 public:
  void save_for_backward(TensorList tensors) override { to_save = std::move(tensors); }
  TensorList saved_tensors() const override;
  bool needs_input_grad(size_t k) const override { return k < needs.size() && needs[k]; }
  void mark_non_differentiable(const Tensor& t) override { constant.push_back(t.record()); }
  void set_materialize_grads(bool on) override { materialize = on; }

  struct Saved {
    Tensor value;
    uint32_t version = 0;
    int32_t output = -1;  ///< which result it is: kept without history, or the node would own itself
  };
  std::vector<bool> needs;
  std::vector<const TensorRecord*> constant;
  bool materialize = true, freed = false;
  TensorList to_save;
  std::vector<Saved> saved;
  const GradRun* run = nullptr;
  FunctionNode* node = nullptr;
};

class FunctionNode final : public Node {
 public:
  FunctionNode(Ref<Function> f, std::unique_ptr<Context> c) : function_(std::move(f)), context_(std::move(c)) {}
  std::string name() const override { return function_->name(); }
  size_t results() const override { return outputs.size(); }
  void release_saved() override {
    context_->freed = !context_->saved.empty();
    context_->saved.clear();
  }
  bool freed() const override { return context_->freed; }
  Values apply(std::span<const Tensor> g, const GradRun& how) override;

  std::vector<Like> inputs, outputs;

 private:
  Ref<Function> function_;
  std::unique_ptr<Context> context_;
};

TensorList Context::saved_tensors() const {
  if (node == nullptr) return to_save;
  if (freed) {
    throw ValueError("backward: the saved values of " + node->name() + " were freed by an earlier backward")
        .fix("pass retain_graph=true to the first backward when the graph is used again")
        .at(node->at);
  }
  TensorList out;
  for (const Saved& s : saved) {
    if (s.value.defined() && version_of(s.value) != s.version) {
      throw ValueError("backward: a value that " + node->name() + " saved was overwritten in place")
          .got(describe(s.value))
          .at(node->at);
    }
    Tensor t = s.value;
    if (t.defined() && run != nullptr && run->strip != 0) t = strip_wrapper(t, run->strip);
    if (s.output >= 0 && run != nullptr && run->create_graph) {
      t = alias(t);
      set_history(t, Ref<Node>(node), static_cast<uint32_t>(s.output));
    }
    out.push_back(std::move(t));
  }
  return out;
}

Values FunctionNode::apply(std::span<const Tensor> g, const GradRun& how) {
  Context& c = *context_;
  TensorList grads;
  for (size_t k = 0; k < g.size(); ++k) {
    const Like& o = outputs[k];
    const bool zero = !g[k].defined() && c.materialize && is_differentiable(o.dtype);
    grads.push_back(zero ? zeros(o.shape, {.dtype = o.dtype, .device = o.device}) : g[k]);
  }
  c.run = &how;
  TensorList got = function_->backward(c, grads);
  c.run = nullptr;
  if (got.size() != edges.size()) {
    throw ValueError(name() + ": backward returned " + std::to_string(got.size()) + " gradients for " +
                     std::to_string(edges.size()) + " inputs")
        .fix("return one per input, an undefined Tensor where there is none")
        .at(at);
  }
  Values out;
  for (size_t k = 0; k < got.size(); ++k) {
    Tensor& t = got[k];
    if (!t.defined() || !edges[k]) {
      out.push_back({});
      continue;
    }
    const Like& i = inputs[k];
    if (!(t.shape() == i.shape)) t = t.sum_to_size(i.shape);
    out.push_back(t.dtype() == i.dtype ? std::move(t) : t.to(i.dtype));
  }
  return out;
}

int highest_level(const TensorList& inputs) {
  int level = 0;
  for (const Tensor& t : inputs) {
    if (t.defined()) level = std::max(level, level_of(t));
  }
  return level;
}

}  // namespace

TensorList apply(Ref<Function> f, const TensorList& inputs, SourceLoc at) {
  if (!f) throw ValueError("apply: the function is null").at(at);
  auto context = std::make_unique<Context>();
  Context& c = *context;
  const int level = highest_level(inputs);
  SmallVec<Edge, 2> edges;
  bool any = false;
  for (const Tensor& t : inputs) {
    const bool flows = is_grad_enabled() && t.defined() && level_of(t) == level && t.requires_grad();
    edges.push_back(flows ? gradient_edge(t) : Edge{});
    c.needs.push_back(flows);
    any |= flows;
  }
  TensorList out;
  {
    NoGrad guard;
    out = f->forward(c, inputs);
  }
  if (!any) return out;
  // A result that is an input, or has a history already, gets one here without changing that tensor's.
  for (Tensor& t : out) {
    const bool known =
        std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& i) { return i.is_same(t); }) || t.requires_grad();
    if (known) t = alias(t);
  }
  auto node = make_ref<FunctionNode>(std::move(f), std::move(context));
  node->at = at;
  node->edges = std::move(edges);
  for (const Tensor& t : inputs) node->inputs.push_back(t.defined() ? Like{t.shape(), t.dtype(), t.device()} : Like{});
  for (const Tensor& t : out) node->outputs.push_back({t.shape(), t.dtype(), t.device()});
  for (const Tensor& t : c.to_save) {
    Context::Saved s{t, t.defined() ? version_of(t) : 0, -1};
    for (size_t k = 0; k < out.size(); ++k) {
      if (!t.is_same(out[k])) continue;
      s.output = static_cast<int32_t>(k);
      s.value = alias(t);
    }
    c.saved.push_back(std::move(s));
  }
  c.to_save.clear();
  c.node = node.get();
  node->enqueue_after_edges();
  for (size_t k = 0; k < out.size(); ++k) {
    const bool constant = std::find(c.constant.begin(), c.constant.end(), out[k].record()) != c.constant.end();
    if (is_differentiable(out[k].dtype()) && !constant) set_history(out[k], node, static_cast<uint32_t>(k));
  }
  return out;
}

}  // namespace thixo::autograd
