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
  void mark_dirty(const Tensor& t) override { written.push_back(t); }
  void set_materialize_grads(bool on) override { materialize = on; }

  struct Saved {
    Tensor value;
    uint32_t version = 0;
    int32_t output = -1;  ///< which result it is: kept without history, or the node would own itself
  };
  std::vector<bool> needs;
  std::vector<const TensorRecord*> constant;
  TensorList written;
  bool materialize = true, freed = false;
  TensorList to_save;
  std::vector<Saved> saved;
  const GradRun* run = nullptr;
  FunctionNode* node = nullptr;
};

/// How the backward that is at work runs: known to the context until it ends or throws.
class Running {
 public:
  Running(Context& c, const GradRun& how) : run_(c.run), before_(std::exchange(c.run, &how)) {}
  ~Running() { run_ = before_; }
  Running(const Running&) = delete;

 private:
  const GradRun*& run_;
  const GradRun* before_;
};

class FunctionNode final : public Node {
 public:
  FunctionNode(Ref<Function> f, std::unique_ptr<Context> c) : function_(std::move(f)), context_(std::move(c)) {}
  std::string name() const override { return function_->name(); }
  std::string shown_name() const override { return name() + "Backward"; }
  size_t results() const override { return outputs.size(); }
  void release_saved() override {
    context_->freed = !context_->saved.empty();
    context_->saved.clear();
  }
  bool freed() const override { return context_->freed; }
  Values apply(std::span<const Tensor> g, const GradRun& how) override;

  Function* sole_function() const noexcept { return function_->use_count() <= 1 ? function_.get() : nullptr; }

  std::vector<Like> inputs, outputs;

 private:
  Tensor fit(Tensor g, size_t input) const;
  Ref<Function> function_;
  std::unique_ptr<Context> context_;
};

TensorList Context::saved_tensors() const {
  if (node == nullptr) return to_save;
  if (freed) {
    throw ValueError("backward: the saved values of " + node->name() + " were freed by an earlier backward")
        .fix("keep the graph in the first backward, with retain_graph, when it is used again")
        .at(node->at);
  }
  TensorList out;
  for (const Saved& s : saved) {
    if (s.value.defined() && version_of(s.value) != s.version) {
      Error e = ValueError("backward: a value that " + node->name() + " saved was overwritten in place");
      e.got(describe(s.value));
      if (auto w = writer_after(s.value, s.version)) e.got("overwritten by " + *w);
      e.fix("use the out-of-place form of the later op, or save a clone").at(node->at);
      throw e;
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

/// The gradient in the shape and dtype of its input; what an input was broadcast to is summed.
Tensor FunctionNode::fit(Tensor g, size_t input) const {
  const Like& i = inputs[input];
  const size_t more = g.shape().size() - i.shape.size();
  bool fits = g.shape().size() >= i.shape.size();
  for (size_t d = 0; fits && d < i.shape.size(); ++d) fits = i.shape[d] == 1 || i.shape[d] == g.shape()[more + d];
  if (!fits) {
    throw ShapeError(name() + ": backward returned a gradient of shape " + shape_str(g.shape()) + " for input " +
                     std::to_string(input) + " of shape " + shape_str(i.shape))
        .need("the shape of the input, or one that it broadcasts to")
        .at(at);
  }
  if (!(g.shape() == i.shape)) g = g.sum_to_size(i.shape);
  return g.dtype() == i.dtype ? g : g.to(i.dtype);
}

Values FunctionNode::apply(std::span<const Tensor> g, const GradRun& how) {
  Context& c = *context_;
  TensorList grads;
  for (size_t k = 0; k < g.size(); ++k) {
    const Like& o = outputs[k];
    const bool zero = !g[k].defined() && c.materialize && is_differentiable(o.dtype);
    grads.push_back(zero ? zeros(o.shape, {.dtype = o.dtype, .device = o.device}) : g[k]);
  }
  TensorList got;
  {
    const Running running(c, how);
    got = function_->backward(c, grads);
  }
  if (got.size() != edges.size()) {
    throw ValueError(name() + ": backward returned " + std::to_string(got.size()) + " gradients for " +
                     std::to_string(edges.size()) + " inputs")
        .fix("return one per input, an undefined Tensor where there is none")
        .at(at);
  }
  Values out;
  for (size_t k = 0; k < got.size(); ++k) {
    out.push_back(got[k].defined() && edges[k] ? fit(std::move(got[k]), k) : Tensor());
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

/// What forward wrote must be among the results, and such as an in-place op may write.
void check_written(const Function& f, const TensorList& written, const TensorList& out, SourceLoc at) {
  for (const Tensor& t : written) {
    auto same = [&](const Tensor& o) { return o.is_same(t); };
    if (std::none_of(out.begin(), out.end(), same)) {
      throw ValueError(f.name() + ": an input was marked dirty but is not among the results").got(describe(t)).at(at);
    }
    const Tensor base = t.is_view() ? t.base() : t;
    if (base.is_leaf() && base.requires_grad()) {
      throw ValueError(f.name() + ": a leaf that requires grad, or a view of one, was marked dirty")
          .got(describe(t))
          .fix("clone() it before the call");
    }
  }
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
  check_written(*f, c.written, out, at);
  if (!any) return out;
  const TensorList results = out, written = std::move(c.written);
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
    for (const Tensor& t : written) {
      if (!t.is_same(results[k])) continue;
      tape_wrote(t, out[k]);
      out[k] = t;
    }
  }
  return out;
}

Function* sole_function(const Object& tensor) noexcept {
  const GradMeta* meta = static_cast<const TensorRecord&>(tensor).grad.get();
  if (meta == nullptr || meta->use_count() != 1 || !meta->node || meta->node->use_count() != 1) return nullptr;
  const auto* node = dynamic_cast<const FunctionNode*>(meta->node.get());
  return node != nullptr ? node->sole_function() : nullptr;
}

}  // namespace thixo::autograd
