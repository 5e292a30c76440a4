// The members of Tensor that belong to autograd.
#include <algorithm>
#include <atomic>

#include "core/record_of.h"
#include "ir/dispatch.h"
#include "thixo/autograd.h"
#include "transform/interpreter.h"
#include "transform/node.h"
#include "transform/record.h"
#include "transform/write.h"

namespace thixo {
namespace {

std::atomic<int64_t> g_hook_id{0};

/// A recorder wants to know which gradients the program finds and which it sets.
void note_grad(const Tensor& t, bool read) {
  if (Recorder* r = Recorder::active()) r->note_grad(t.record(), read);
}

/// A hook that is not there would be noticed in the middle of backward only.
template <class F> void check_hook(const F& f, const char* what) {
  if (!f) throw ValueError(std::string(what) + ": the hook is an empty function");
}

bool takes_part(const TensorRecord& r) { return r.grad && (r.grad->requires_grad || r.grad->node); }

}  // namespace

void set_data(const Tensor& t, const Tensor& value) {
  TensorRecord& to = *t.record();
  const TensorRecord& from = *value.record();
  if (Recorder::active() != nullptr || to.wrapper || from.wrapper) {
    t.detach().copy_(value);
    return;
  }
  to.dtype = from.dtype;
  to.device = from.device;
  to.shape = from.shape;
  to.strides = from.strides;
  to.offset = from.offset;
  to.storage = from.storage;
  to.view = {};
}

bool is_grad_enabled() { return dispatch_state().grad_enabled; }
void set_grad_enabled(bool on) { dispatch_state().grad_enabled = on; }

bool Tensor::requires_grad() const {
  const TensorRecord& r = record_of(*this, "requires_grad");
  if (r.view && view_is_stale(r)) refresh_view(*this);
  return takes_part(r);
}

Tensor& Tensor::requires_grad_(bool on) {
  if (on && !is_differentiable(dtype())) {
    throw DTypeError("requires_grad_: only floating-point and complex tensors can require gradients")
        .got(describe(*this));
  }
  if (!is_leaf()) {
    if (on) return *this;
    throw ValueError("requires_grad_: only a leaf can stop requiring gradients")
        .got(describe(*this))
        .fix("use detach() instead");
  }
  if (on || record()->grad) tape_meta(*this).requires_grad = on;
  return *this;
}

bool Tensor::is_leaf() const {
  const TensorRecord& r = record_of(*this, "is_leaf");
  if (r.view && view_is_stale(r)) refresh_view(*this);
  return !r.grad || !r.grad->node;
}

Tensor Tensor::grad() const {
  const TensorRecord& r = record_of(*this, "grad");
  note_grad(*this, true);
  return r.grad ? r.grad->grad : Tensor();
}

void Tensor::set_grad(const Tensor& g) {
  if (!g.defined()) return zero_grad();
  if (!(g.shape() == shape()) || g.dtype() != dtype()) {
    throw ShapeError("set_grad: a gradient must look like its tensor")
        .got("grad: " + describe(g) + "   tensor: " + describe(*this));
  }
  note_grad(*this, false);
  tape_meta(*this).grad = g;
}

void Tensor::zero_grad() {
  const TensorRecord& r = record_of(*this, "zero_grad");
  note_grad(*this, false);
  if (r.grad) r.grad->grad = Tensor();
}

void Tensor::retain_grad() {
  if (!requires_grad()) {
    throw ValueError("retain_grad: the tensor does not require gradients").got(describe(*this));
  }
  TapeMeta& m = tape_meta(*this);
  if (!m.node || m.retain_grad) return;  // a leaf's is kept anyway
  m.retain_grad = true;
  m.tape_node()->hooks().retained.push_back(&m);
}

Ref<Object> Tensor::grad_fn() const {
  record_of(*this, "grad_fn");
  return is_leaf() ? Ref<Object>() : record()->grad->node;
}
std::string Tensor::grad_fn_name() const { return is_leaf() ? "" : tape_meta(*this).tape_node()->shown_name(); }

int64_t Tensor::register_hook(std::function<Tensor(const Tensor&)> f) const {
  check_hook(f, "register_hook");
  if (!requires_grad()) {
    throw ValueError("register_hook: the tensor does not require gradients")
        .got(describe(*this))
        .fix("call requires_grad_() first");
  }
  const int64_t id = ++g_hook_id;
  TapeMeta& m = tape_meta(*this);
  if (m.node) {
    m.tape_node()->hooks().hooks.push_back({m.output, id, std::move(f)});
  } else {
    m.hooks.emplace_back(id, std::move(f));
  }
  return id;
}

void Tensor::remove_hook(int64_t id) const {
  if (!record_of(*this, "remove_hook").grad) return;
  TapeMeta& m = tape_meta(*this);
  auto same = [&](const auto& h) { return h.first == id; };
  std::erase_if(m.hooks, same);
  std::erase_if(m.after_accumulate, same);
  if (m.node && m.tape_node()->extras) {
    std::erase_if(m.tape_node()->extras->hooks, [&](const NodeHooks::Hook& h) { return h.id == id; });
  }
}

Tensor Tensor::detach(SourceLoc) const {
  const TensorRecord& r = record_of(*this, "detach");
  Tensor out = alias(*this);
  if (!r.wrapper) return out;
  // Cut at every level: a copy of the wrapper around the detached value, without tangent.
  const Wrapped& w = wrapped(r);
  auto again = make_ref<Wrapped>();
  again->level = w.level;
  again->transform = w.transform;
  again->value = w.value.detach();
  out.record()->wrapper = std::move(again);
  return out;
}

Tensor& Tensor::detach_() {
  if (is_view()) {
    throw ValueError("detach_: a view cannot be detached in place").got(describe(*this)).fix("use detach() instead");
  }
  if (record()->wrapper) record()->wrapper = detach().record()->wrapper;
  if (record()->grad) {
    TapeMeta& m = tape_meta(*this);
    m.leave_node();
    m.requires_grad = m.retain_grad = false;
    m.view_version = 0;
  }
  return *this;
}

void Tensor::backward(const Tensor& gradient, bool retain_graph, bool create_graph) const {
  record_of(*this, "backward");
  autograd::backward({*this}, gradient.defined() ? TensorList{gradient} : TensorList{},
                     {.retain_graph = retain_graph || create_graph, .create_graph = create_graph});
}

namespace autograd {

int64_t register_post_accumulate_grad_hook(const Tensor& leaf, std::function<void(const Tensor&)> f) {
  check_hook(f, "register_post_accumulate_grad_hook");
  if (!leaf.is_leaf() || !leaf.requires_grad()) {
    throw ValueError("register_post_accumulate_grad_hook: only a leaf that requires gradients accumulates one")
        .got(describe(leaf));
  }
  const int64_t id = ++g_hook_id;
  tape_meta(leaf).after_accumulate.emplace_back(id, std::move(f));
  return id;
}

}  // namespace autograd
}  // namespace thixo
