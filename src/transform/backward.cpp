#include "transform/backward.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>

#include "core/tensor_lock.h"
#include "ir/dispatch.h"
#include "thixo/autograd.h"
#include "transform/record.h"
#include "transform/tape.h"
#include "transform/write.h"

namespace thixo {
namespace {

THIXO_FAST_TLS Node* t_running = nullptr;

bool earlier(const Node* a, const Node* b) { return a->sequence < b->sequence; }

/// Whether only the holder of `t` can see its data.
bool is_private(const Tensor& t) {
  const TensorRecord& r = *t.record();
  if (!r.unique() || !r.storage || !r.storage->unique() || r.view || r.grad) return false;
  for (size_t d = 0; d < r.shape.size(); ++d) {
    if (r.strides[d] == 0 && !(r.shape[d] == 1)) return false;  // elements that share a place
  }
  return true;
}

/// Strides in which every element has a place of its own and there are no gaps: as a parameter's gradient may lie.
bool same_layout(const Tensor& g, const TensorRecord& leaf) {
  return g.shape() == leaf.shape &&
         (g.strides() == leaf.strides || (is_contiguous(leaf.shape, leaf.strides) && g.is_contiguous()));
}

/// The dims from the greatest stride to the least; empty when elements share places or leave gaps.
Shape memory_order(const TensorRecord& r) {
  Shape order;
  for (size_t d = 0; d < r.shape.size(); ++d) order.push_back(d);
  auto at = [&](Dim d) { return r.strides[static_cast<size_t>(d.value())].value(); };
  std::stable_sort(order.begin(), order.end(), [&](Dim a, Dim b) { return at(a) > at(b); });
  int64_t expected = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const int64_t n = r.shape[static_cast<size_t>(order[i].value())];
    if (n != 1 && at(order[i]) != expected) return {};
    expected *= n;
  }
  return order;
}

/// A copy of g that lies in memory as the leaf does.
Tensor copy_like(const Tensor& g, const TensorRecord& leaf) {
  if (leaf.wrapper || is_contiguous(leaf.shape, leaf.strides)) return g.clone(MemoryFormat::Contiguous);
  const Shape order = memory_order(leaf);
  if (order.empty()) return g.clone(MemoryFormat::Contiguous);
  Shape back(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[static_cast<size_t>(order[i].value())] = i;
  return alias(g.permute(order).clone(MemoryFormat::Contiguous).permute(back));
}

bool has_leaf_hooks(const TensorRecord& leaf) {
  const auto& m = static_cast<const TapeMeta&>(*leaf.grad);
  return !m.hooks.empty() || !m.after_accumulate.empty();
}

/// The gradient after a hook has seen it.
Tensor after_hook(const TensorHook& hook, Tensor g) {
  Tensor r = hook(g);
  if (!r.defined()) return g;
  if (!(r.shape() == g.shape()) || r.dtype() != g.dtype()) {
    throw Error(r.shape() == g.shape() ? ErrorKind::DType : ErrorKind::Shape,
                "backward: a hook made another gradient than fits its tensor")
        .got("gradient: " + describe(g) + "   the hook returned: " + describe(r))
        .fix("return a tensor of the gradient's shape and dtype, or nothing to leave it as it is");
  }
  return r;
}

Tensor after_leaf_hooks(const TensorRecord& leaf, Tensor g) {
  for (const auto& hook : std::vector(leaf.grad->hooks)) g = after_hook(hook.second, std::move(g));
  return g;
}

/// Backwards of several threads may reach one leaf, each through a graph of its own.
std::mutex& grad_mutex(const TensorRecord* leaf) {
  static std::mutex* stripes = new std::mutex[64];
  return stripes[reinterpret_cast<uintptr_t>(leaf) / alignof(std::max_align_t) % 61];
}

class Running {
 public:
  explicit Running(Node* n) : before_(t_running) { t_running = n; }
  ~Running() { t_running = before_; }
  Running(const Running&) = delete;

 private:
  Node* before_;
};

}  // namespace

Node* running_node() { return t_running; }

Tensor accumulate(Tensor a, const Tensor& b, bool may_reuse) {
  if (!a.defined()) return b;
  if (may_reuse && a.dtype() == b.dtype() && a.shape() == b.shape() && is_private(a)) {
    a.add_(b);
    return a;
  }
  return add(a, b);
}

void add_to_grad(TensorRecord* leaf, Tensor g, bool create_graph) {
  auto& m = static_cast<TapeMeta&>(*leaf->grad);
  if (Recorder* r = Recorder::active()) r->note_grad(leaf, true);
  {
    Tensor before;  // goes after the lock: its owner in another language may wait for a lock of its own
    const auto lock = lock_for_tensors(grad_mutex(leaf));
    if (m.grad.defined() && create_graph) {
      before = std::exchange(m.grad, add(m.grad, g));
    } else if (m.grad.defined()) {
      m.grad.add_(g);
    } else if (create_graph || (is_private(g) && same_layout(g, *leaf))) {
      m.grad = std::move(g);
    } else {
      m.grad = copy_like(g, *leaf);
    }
  }
  if (m.after_accumulate.empty()) return;
  const Tensor t{Ref<TensorRecord>(leaf)};
  for (const auto& hook : std::vector(m.after_accumulate)) hook.second(t);
}

BackwardRun::BackwardRun(BackwardMode mode) : mode_(mode), grad_run_{mode.create_graph, mode.strip, nullptr} {}

BackwardRun::~BackwardRun() {
  for (Node* n : waiting_) claimed_.push_back(n);  // left behind by an error
  for (Node* n : claimed_) {
    n->arrived.clear();
    n->queued = n->wanted = false;
    n->owner = nullptr;
  }
}

void BackwardRun::claim(Node* n) {
  const BackwardRun* free = nullptr;
  if (n->owner.compare_exchange_strong(free, this, std::memory_order_acquire) || free == this) return;
  throw ValueError("backward: another backward is passing through the same graph")
      .fix("let one thread at a time run backward through shared parts of a graph, and none from its own hooks")
      .at(n->at);
}

void BackwardRun::push(Node* n) {
  if (n->owner.load(std::memory_order_relaxed) == this && n->queued) return;
  claim(n);
  n->queued = true;
  n->arrived.resize(n->results());
  waiting_.push_back(n);
  std::push_heap(waiting_.begin(), waiting_.end(), earlier);
}

Node* BackwardRun::pop() {
  std::pop_heap(waiting_.begin(), waiting_.end(), earlier);
  Node* n = waiting_.back();
  waiting_.pop_back();
  n->queued = false;
  return n;
}

void BackwardRun::capture(std::span<const Edge> inputs, bool stop_there) {
  capturing_ = true;
  stops_ = stop_there;
  grad_run_.only = this;
  for (const Edge& e : inputs) captures_.push_back({e, {}});
}

void BackwardRun::add_root(const Edge& to, Tensor g) { roots_.emplace_back(to, std::move(g)); }

BackwardRun::Captured* BackwardRun::captured_leaf(const TensorRecord* leaf) {
  for (Captured& c : captures_) {
    if (c.at.is_leaf() && c.at.leaf() == leaf) return &c;
  }
  return nullptr;
}

BackwardRun::Captured* BackwardRun::stop_at(const Edge& e) {
  if (!stops_) return nullptr;
  auto c = std::find_if(captures_.begin(), captures_.end(),
                        [&](const Captured& x) { return x.at.to == e.to && x.at.output == e.output; });
  return c == captures_.end() ? nullptr : &*c;
}

Tensor BackwardRun::captured(size_t input) const {
  // Of an input that was given twice the first one has it.
  return std::find_if(captures_.begin(), captures_.end(),
                      [&](const Captured& c) { return c.at == captures_[input].at; })
      ->sum;
}

bool BackwardRun::wants(const Edge& e) const {
  if (stops_ && const_cast<BackwardRun*>(this)->stop_at(e) != nullptr) return true;
  if (!e.is_leaf()) return e.node()->wanted;
  return std::any_of(captures_.begin(), captures_.end(), [&](const Captured& c) { return c.at.to == e.to; });
}

/// Marks the nodes from which an input can be reached.
void BackwardRun::mark_wanted() {
  std::vector<Node*> stack;
  auto visit = [&](Node* n) {
    if (n->owner.load(std::memory_order_relaxed) == this) return;
    claim(n);
    claimed_.push_back(n);
    stack.push_back(n);
  };
  for (auto& [edge, g] : roots_) {
    if (!edge.is_leaf() && stop_at(edge) == nullptr) visit(edge.node());
  }
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    for (const Edge& e : n->edges) {
      if (e && !e.is_leaf() && stop_at(e) == nullptr) visit(e.node());
    }
  }
  for (const Captured& c : captures_) {
    if (!c.at.is_leaf() && c.at.node()->owner == this) c.at.node()->wanted = true;
  }
  std::sort(claimed_.begin(), claimed_.end(), earlier);
  for (Node* n : claimed_) {
    for (const Edge& e : n->edges) n->wanted |= e && wants(e);
  }
}

void BackwardRun::deliver(const Edge& to, Tensor g) {
  if (Captured* c = stop_at(to)) {
    c->sum = accumulate(std::move(c->sum), g, !mode_.grad_enabled);
    return;
  }
  if (to.is_leaf()) return deliver_leaf(to.leaf(), std::move(g));
  Node* n = to.node();
  if (capturing_ && !n->wanted) return;
  push(n);
  Tensor& slot = n->arrived[static_cast<size_t>(to.output)];
  slot = slot.defined() ? accumulate(std::move(slot), g, !mode_.grad_enabled) : std::move(g);
}

void BackwardRun::deliver_leaf(TensorRecord* leaf, Tensor g) {
  if (capturing_) {
    if (Captured* c = captured_leaf(leaf)) c->sum = accumulate(std::move(c->sum), g, !mode_.grad_enabled);
    return;
  }
  if (!has_leaf_hooks(*leaf)) return add_to_grad(leaf, std::move(g), mode_.create_graph);
  HookedLeaf& h = hooked_[leaf];
  h.sum = accumulate(std::move(h.sum), g, !mode_.grad_enabled);
}

/// Hooks of a leaf run once, when the last gradient has come: here the gradients still to come are counted.
void BackwardRun::count_leaf_uses(Node* from) {
  counted_ = true;
  std::vector<Node*> stack = waiting_;
  stack.push_back(from);
  std::unordered_set<Node*> seen(stack.begin(), stack.end());
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    for (const Edge& e : n->edges) {
      if (!e) continue;
      if (e.is_leaf()) {
        if (has_leaf_hooks(*e.leaf())) ++hooked_[e.leaf()].uses;
      } else if (seen.insert(e.node()).second) {
        stack.push_back(e.node());
      }
    }
  }
}

void BackwardRun::finish_leaf(TensorRecord* leaf, HookedLeaf& h) {
  Tensor g = std::move(h.sum);
  h.sum = Tensor();
  if (!g.defined()) return;
  add_to_grad(leaf, after_leaf_hooks(*leaf, std::move(g)), mode_.create_graph);
}

/// The gradients of n's operands; none where they lead nowhere. The node is this run's until it returns.
Values BackwardRun::run_node(Node* n) {
  struct Leave {
    Node* node;
    ~Leave() {
      if (node != nullptr) node->owner.store(nullptr, std::memory_order_release);
    }
  } leave{capturing_ ? nullptr : n};  // a run with capture leaves all its nodes at its end
  SmallVec<Tensor, 1> g = std::move(n->arrived);
  if (n->extras) {
    for (const NodeHooks::Hook& hook : std::vector(n->extras->hooks)) {
      Tensor& own = g[hook.output];
      if (own.defined()) own = after_hook(hook.call, std::move(own));
    }
    for (GradMeta* m : n->extras->retained) {
      if (g[m->output].defined() && !capturing_) m->grad = accumulate(m->grad, g[m->output], false);
    }
  }
  for (Captured& c : captures_) {
    if (!c.at.is_leaf() && c.at.node() == n) c.sum = g[static_cast<size_t>(c.at.output)];
  }
  const bool goes_on =
      std::any_of(n->edges.begin(), n->edges.end(), [&](const Edge& e) { return e && (!capturing_ || wants(e)); });
  if (!goes_on) return {};
  Running running(n);
  Values out = n->apply({g.data(), g.size()}, grad_run_);
  if (!mode_.retain_graph) n->release_saved();
  return out;
}

void BackwardRun::process(Node* n) {
  Values out = run_node(n);
  if (out.empty()) return;
  Running running(n);
  for (size_t k = 0; k < n->edges.size(); ++k) {
    const Edge& e = n->edges[k];
    if (!e) continue;
    const bool hooked = e.is_leaf() && !capturing_ && has_leaf_hooks(*e.leaf());
    if (hooked && !counted_) count_leaf_uses(n);
    if (out[k].defined()) deliver(e, std::move(out[k]));
    if (!hooked) continue;
    HookedLeaf& h = hooked_[e.leaf()];
    if (--h.uses == 0) finish_leaf(e.leaf(), h);
  }
}

bool can_run_backward(const Edge& from, std::span<const Edge> stops) {
  std::vector<Node*> stack;
  std::unordered_set<Node*> seen;
  auto visit = [&](const Edge& e) {
    if (!e || e.is_leaf()) return;
    const bool stop =
        std::any_of(stops.begin(), stops.end(), [&](const Edge& s) { return s.to == e.to && s.output == e.output; });
    if (!stop && seen.insert(e.node()).second) stack.push_back(e.node());
  };
  visit(from);
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    if (n->freed()) return false;
    for (const Edge& e : n->edges) visit(e);
  }
  return true;
}

void BackwardRun::run() {
  GradMode mode(mode_.grad_enabled);
  if (capturing_) mark_wanted();
  for (auto& [edge, g] : roots_) deliver(edge, std::move(g));
  while (!waiting_.empty()) process(pop());
  for (auto& [leaf, h] : hooked_) finish_leaf(leaf, h);
  if (stops_) return;  // a walk that goes on elsewhere: hooks run there
  for (Captured& c : captures_) {
    if (c.at.is_leaf() && c.sum.defined()) c.sum = after_leaf_hooks(*c.at.leaf(), std::move(c.sum));
  }
}

}  // namespace thixo
