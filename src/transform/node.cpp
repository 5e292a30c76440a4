#include "transform/node.h"

#include <algorithm>

#include "core/record_of.h"
#include "ir/dispatch.h"
#include "transform/interpreter.h"

namespace thixo {
namespace {

THIXO_FAST_TLS uint64_t t_sequence = 0;
THIXO_FAST_TLS Node* t_dying = nullptr;
THIXO_FAST_TLS bool t_draining = false;

}  // namespace

void Node::enqueue_after_edges() {
  // Above all it leads to, also those that another thread made; else in the order of calls.
  uint64_t s = t_sequence;
  for (const Edge& e : edges) {
    if (e && !e.is_leaf()) s = std::max(s, e.node()->sequence);
  }
  sequence = t_sequence = s + 1;
}

std::string Node::shown_name() const {
  std::string shown;
  bool first = true;  // of a word
  for (char c : name()) {
    const bool between = c == '_' || c == '.';
    if (!between) shown += first && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    first = between;
  }
  return shown + "Backward0";
}

NodeHooks& Node::hooks() {
  if (!extras) extras = std::make_unique<NodeHooks>();
  return *extras;
}

void Node::destroy() const {
  auto* self = const_cast<Node*>(this);
  self->next_dying_ = t_dying;
  t_dying = self;
  if (t_draining) return;
  t_draining = true;
  while (t_dying != nullptr) {
    Node* n = t_dying;
    t_dying = n->next_dying_;
    delete n;
  }
  t_draining = false;
}

TapeMeta::~TapeMeta() { leave_node(); }

void TapeMeta::leave_node() {
  if (retain_grad && node) std::erase(tape_node()->hooks().retained, this);
  node = nullptr;
}

TapeMeta& tape_meta(const Tensor& t) {
  Ref<GradMeta>& m = t.record()->grad;
  if (!m) m = make_ref<TapeMeta>();
  return static_cast<TapeMeta&>(*m);
}

void set_history(const Tensor& t, Ref<Node> node, uint32_t output) {
  TapeMeta& m = tape_meta(t);
  m.leave_node();
  if (m.retain_grad) node->hooks().retained.push_back(&m);
  m.requires_grad = false;
  m.node = std::move(node);
  m.output = output;
  m.view_version = t.record()->view ? version_of(t) : 0;
}

uint32_t version_of(const Tensor& t) {
  const TensorRecord* r = t.record();
  while (r->wrapper) r = wrapped(*r).value.record();
  return r->storage ? r->storage->version : 0;
}

bool view_is_stale(const TensorRecord& r) {
  const GradMeta* base = r.view->base.record()->grad.get();
  if (base == nullptr || base->view_version == 0) return false;
  return base->view_version > std::max(r.view->version, r.grad ? r.grad->view_version : 0);
}

void refresh_view(const Tensor& t) {
  GradMode on(true);
  const ViewMeta& view = *t.record()->view;
  Tensor v = view.base;
  for (const ViewStep& step : *view.chain) {
    v = dispatch1(Call{step.op, std::span<const Tensor>(&v, 1), step.attrs, {}});
  }
  TapeMeta& m = tape_meta(t);
  if (v.record()->grad) {
    set_history(t, Ref<Node>(static_cast<Node*>(v.record()->grad->node.get())), v.record()->grad->output);
  } else {
    m.leave_node();
  }
  m.view_version = version_of(t);
}

Edge gradient_edge(const Tensor& t) {
  TensorRecord* r = &record_of(t, "the gradient");
  if (r->view && view_is_stale(*r)) refresh_view(t);
  if (!r->grad) return {};
  if (r->grad->node) return {r->grad->node, static_cast<int32_t>(r->grad->output)};
  if (r->grad->requires_grad) return {Ref<Object>(r), Edge::kLeaf};
  return {};
}

}  // namespace thixo
