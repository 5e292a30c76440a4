// backward() and grad(): checks, the first gradients, and the run.
#include "thixo/autograd.h"

#include <algorithm>

#include "ir/dispatch.h"
#include "transform/backward.h"
#include "transform/tape.h"

namespace thixo::autograd {
namespace {

Tensor first_gradient(const Tensor& output, const Tensor* given, const char* what, size_t i) {
  const std::string name = std::string(what) + ": element " + std::to_string(i) + " of the outputs";
  if (given == nullptr || !given->defined()) {
    if (output.numel() != 1) {
      throw ValueError(std::string(what) + ": grad can be implicitly created only for scalar outputs")
          .got("output: " + describe(output))
          .fix("reduce it (y.sum()), or pass the gradient of each element");
    }
    if (is_complex(output.dtype())) {
      throw ValueError(std::string(what) + ": grad can be implicitly created only for real scalar outputs")
          .got("output: " + describe(output))
          .fix("make it real (y.abs(), y.real()), or pass its gradient");
    }
    return ones_like(output);
  }
  if (!(given->shape() == output.shape())) {
    throw ShapeError(name + " and its gradient have different shapes")
        .got("output: " + describe(output) + "   gradient: " + describe(*given));
  }
  return given->dtype() == output.dtype() ? *given : given->to(output.dtype());
}

void add_roots(BackwardRun& run, const TensorList& outputs, const TensorList& gradients, const char* what) {
  if (!gradients.empty() && gradients.size() != outputs.size()) {
    throw ValueError(std::string(what) + ": " + std::to_string(outputs.size()) + " outputs but " +
                     std::to_string(gradients.size()) + " gradients");
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Edge e = gradient_edge(outputs[i]);
    if (!e) {
      throw ValueError(std::string(what) + ": element " + std::to_string(i) +
                       " of the outputs does not require grad and was not made from tensors that do")
          .got("output: " + describe(outputs[i]))
          .fix("call requires_grad_() on what the gradient is wanted of, and compute outside of no_grad");
    }
    run.add_root(e, first_gradient(outputs[i], gradients.empty() ? nullptr : &gradients[i], what, i));
  }
}

}  // namespace

void backward(const TensorList& tensors, const TensorList& gradients, const BackwardOptions& options) {
  const BackwardMode mode{.retain_graph = options.retain_graph.value_or(options.create_graph),
                          .create_graph = options.create_graph,
                          .grad_enabled = options.create_graph};
  if (options.inputs.empty()) {
    BackwardRun run(mode);
    add_roots(run, tensors, gradients, "backward");
    run.run();
    return;
  }
  std::vector<Edge> at;
  for (const Tensor& t : options.inputs) at.push_back(gradient_edge(t));
  for (size_t i = 0; i < at.size(); ++i) {
    if (!at[i] || !at[i].is_leaf()) {
      throw ValueError("backward: inputs[" + std::to_string(i) + "] is no leaf that requires grad")
          .got(describe(options.inputs[i]));
    }
  }
  BackwardRun run(mode);
  run.capture(at);
  add_roots(run, tensors, gradients, "backward");
  run.run();
  GradMode grad_mode(options.create_graph);
  for (auto e = at.begin(); e != at.end(); ++e) {
    if (std::find(at.begin(), e, *e) != e) continue;  // given twice
    Tensor g = run.captured(static_cast<size_t>(e - at.begin()));
    if (g.defined()) add_to_grad(e->leaf(), std::move(g), options.create_graph);
  }
}

TensorList grad(const TensorList& outputs, const TensorList& inputs, const GradOptions& options) {
  std::vector<Edge> at;
  for (size_t i = 0; i < inputs.size(); ++i) {
    at.push_back(gradient_edge(inputs[i]));
    if (at.back()) continue;
    throw ValueError("grad: element " + std::to_string(i) + " of the inputs does not require grad")
        .got("input: " + describe(inputs[i]))
        .fix("call requires_grad_() on it before the outputs are computed");
  }
  BackwardRun run({.retain_graph = options.retain_graph.value_or(options.create_graph),
                   .create_graph = options.create_graph,
                   .grad_enabled = options.create_graph});
  run.capture(at);
  add_roots(run, outputs, options.grad_outputs, "grad");
  run.run();
  TensorList out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Tensor g = run.captured(i);
    if (!g.defined() && options.materialize_grads) g = zeros_like(inputs[i]);
    if (!g.defined() && !options.allow_unused) {
      throw ValueError("grad: the outputs do not depend on element " + std::to_string(i) + " of the inputs")
          .got("input: " + describe(inputs[i]))
          .fix("pass allow_unused to get an undefined gradient for it, or materialize_grads to get zeros");
    }
    out.push_back(std::move(g));
  }
  return out;
}

}  // namespace thixo::autograd
