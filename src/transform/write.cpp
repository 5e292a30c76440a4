#include "transform/write.h"

#include "ir/write_log.h"
#include "transform/interpreter.h"
#include "transform/record.h"
#include "transform/tape.h"

namespace thixo {
namespace {

const OpDef* assign_op() {
  static const OpDef* op = find_op("assign");
  return op;
}

void check_fits(const Tensor& self, const Tensor& value, const Call& call) {
  if (level_of(value) > level_of(self)) {
    throw call
        .error(ErrorKind::Value,
               "an in-place op writes a value of this transform (grad, vmap, jvp) into a tensor made without it")
        .fix("use the out-of-place form, or make the tensor from the function's arguments (zeros_like(x))");
  }
  if (!(value.shape() == self.shape())) {
    throw call.error(ErrorKind::Shape, "the result of shape " + shape_str(value.shape()) +
                                           " does not fit in place into " + shape_str(self.shape()));
  }
  if (!can_cast(value.dtype(), self.dtype())) {
    throw call.error(ErrorKind::DType, "the result, " + std::string(dtype_name(value.dtype())) +
                                           ", cannot be written in place into " +
                                           std::string(dtype_name(self.dtype())));
  }
  if (overlaps_itself(*self.record())) {
    throw call
        .error(ErrorKind::Value,
               "an in-place op on an expanded tensor: several of its elements are one place in memory")
        .fix("clone() it first");
  }
}

/// Its base would be overwritten and the tape know nothing of it. (A leaf has no history that this could make wrong.)
void check_view(const Tensor& self, const Call& call) {
  if (!self.is_view() || self.requires_grad() || self.base().is_leaf()) return;
  throw call.error(ErrorKind::Value, "a view made inside no_grad of a tensor with a history is written outside of it")
      .fix("make the view and write it both inside no_grad, or both outside");
}

void check_leaf(const Tensor& self, const Call& call) {
  if (self.is_leaf() && self.requires_grad()) {
    throw call.error(ErrorKind::Value, "a leaf that requires grad is used in an in-place operation")
        .fix("update it inside no_grad, or use the out-of-place form");
  }
  const Recorder* recorder = Recorder::active();
  const bool argument = recorder != nullptr && recorder->is_view_of_leaf(self);
  if (argument || (self.is_view() && self.base().is_leaf() && self.base().requires_grad())) {
    throw call.error(ErrorKind::Value, "a view of a leaf that requires grad is used in an in-place operation")
        .fix("update it inside no_grad, or use the out-of-place form");
  }
}

void record_write(const Tensor& self, const Tensor& value, const Call& call) {
  const TensorRecord& r = *self.record();
  if (!r.view) {
    const Edge e = gradient_edge(value);
    set_history(self, Ref<Node>(e.node()), static_cast<uint32_t>(e.output));
    self.record()->grad->view_version = version_of(self);
    return;
  }
  static const OpDef* write_op = find_op("write");
  const Tensor& base = r.view->base;
  const Tensor in[] = {base, value};
  const Attr attrs[] = {r.view->chain};
  SmallVec<Edge, 2> edges;
  edges.push_back(gradient_edge(base));
  edges.push_back(gradient_edge(value));
  auto node = make_ref<OpNode>(Call{write_op, in, attrs, call.at}, Values{base}, std::move(edges));
  set_history(base, std::move(node), 0);
  base.record()->grad->view_version = version_of(base);  // self and its siblings are stale from now on
}

}  // namespace

void tape_write(const Tensor& self, const Tensor& value, const Call& call) {
  DispatchState& state = dispatch_state();
  check_fits(self, value, call);
  if (state.grad_enabled && is_differentiable(self.dtype())) check_view(self, call);
  const bool record =
      state.grad_enabled && is_differentiable(self.dtype()) && (self.requires_grad() || value.requires_grad());
  if (record) check_leaf(self, call);  // as where the tape is not asked
  Tensor v = value.dtype() == self.dtype() ? value : value.to(self.dtype());
  if (record && v.record()->grad && v.record()->grad->node && self.record()->storage) {
    // The op computed from the old value of self; should its gradient need it, it must be kept.
    auto* node = dynamic_cast<OpNode*>(v.record()->grad->node.get());
    if (node != nullptr) node->copy_saved_from(self.record()->storage.get());
  }
  const int level = level_of(self);
  if (level > 0) {
    interpreter_at(level).write(self, v);
  } else {
    write_data(self, v, state.bottom.size());
    note_write(self, call.op, call.at);
  }
  if (record) record_write(self, v, call);
}

void tape_wrote(const Tensor& self, const Tensor& value) {
  const Tensor in[] = {self, value};
  record_write(self, value, Call{assign_op(), in, {}, {}});
}

void write_value(const Tensor& self, const Tensor& value) {
  const Tensor in[] = {self, value};
  const Call call{assign_op(), in, {}, {}};
  tape_write(self, dispatch1(call), call);
}

void write_data(const Tensor& self, const Tensor& value, size_t depth) {
  if (depth > 0) return dispatch_state().bottom[depth - 1]->write(self, value);
  const Tensor in[] = {self, value};
  dispatch_table().eager_into(Call{assign_op(), in, {}, {}}, std::span<const Tensor>(&self, 1));
}

Tensor alias(const Tensor& t) {
  const TensorRecord& r = *t.record();
  Ref<TensorRecord> again;
  if (r.storage) {
    again = new_record_on(r.storage, r.shape, r.strides, r.offset, r.dtype);
  } else {
    again = new_abstract(r.shape, r.dtype, r.device);
    again->strides = r.strides;
    again->offset = r.offset;
    again->wrapper = r.wrapper;
  }
  return Tensor(std::move(again));
}

Tensor replay_chain(Tensor t, const std::vector<ViewStep>& chain) {
  for (const ViewStep& step : chain) {
    t = dispatch1(Call{step.op, std::span<const Tensor>(&t, 1), step.attrs, {}});
  }
  return t;
}

Tensor view_grad(GradCtx& c) {
  static const OpDef* write_op = find_op("write");
  const Call& k = c.call();
  auto chain = std::make_shared<std::vector<ViewStep>>();
  chain->push_back({k.op, {k.attrs.begin(), k.attrs.end()}});
  const Tensor g = c.g();
  const Tensor in[] = {zeros(k.shape(0), {.dtype = g.dtype(), .device = g.device()}), g};
  const Attr attrs[] = {ViewChain(std::move(chain))};
  return dispatch1(Call{write_op, in, attrs, k.at});
}

std::optional<std::string> writer_after(const Tensor& t, uint32_t version) {
  const TensorRecord* r = t.record();
  while (r->wrapper) r = wrapped(*r).value.record();
  const WriteNote* n = find_write(*r->storage, version + 1);
  if (n == nullptr) return std::nullopt;
  const Schema& schema = n->op->schema;
  if (schema.is_private && !schema.inplace) return "an optimizer's step (" + n->op->name() + ")";
  std::string text = n->op->name() + "_";
  if (n->at.line() != 0) text += " (" + std::string(n->at.file_name()) + ":" + std::to_string(n->at.line()) + ")";
  return text;
}

}  // namespace thixo
