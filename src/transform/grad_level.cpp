#include "transform/grad_level.h"

#include "transform/backward.h"
#include "transform/write.h"

namespace thixo {

Values GradLevel::apply(const Call& call) {
  SmallVec<Tensor, 4> in;
  for (const Tensor& t : call.in) in.push_back(t.defined() ? leave(t) : t);
  Values out;
  {
    // no_grad inside the function stops this level's tape, not those around it.
    GradMode mode(outer_mode_);
    const BelowLevel below(level());
    out = dispatch(Call{call.op, {in.data(), in.size()}, call.attrs, call.at});
  }
  for (Tensor& t : out) t = wrap(t, t.shape());
  link_view(call, out);
  return out;
}

void GradLevel::write(const Tensor& self, const Tensor& v) {
  GradMode mode(outer_mode_);
  LevelInterpreter::write(self, v);
}

Tensor GradLevel::enter(const Tensor& t, bool requires_grad) {
  Tensor inside = wrap(t, t.shape());
  if (requires_grad && is_differentiable(t.dtype())) inside.requires_grad_();
  return inside;
}

Pullback::Pullback(const GradLevel& level, const TensorList& outputs, const TensorList& inputs)
    : transform_(level.transform()), mode_(level.outer_mode()) {
  for (const Tensor& t : outputs) {
    // An output of a lower level does not depend on the inputs.
    outputs_.push_back(level.owns(t) ? gradient_edge(t) : Edge{});
  }
  for (const Tensor& t : inputs) {
    inputs_.push_back(gradient_edge(t));
    like_.push_back(level.leave(t));
  }
}

TensorList Pullback::operator()(const TensorList& grads, bool retain_graph) const {
  BackwardRun run({.retain_graph = retain_graph, .create_graph = false, .grad_enabled = mode_, .strip = transform_});
  run.capture(inputs_);
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i] && grads[i].defined()) run.add_root(outputs_[i], grads[i]);
  }
  run.run();
  TensorList out;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Tensor g = run.captured(i);
    out.push_back(g.defined() ? g : zeros_like(like_[i]));
  }
  return out;
}

}  // namespace thixo
