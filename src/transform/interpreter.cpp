#include "transform/interpreter.h"

#include <atomic>

#include "transform/node.h"
#include "transform/write.h"

namespace thixo {
namespace {

std::atomic<uint64_t> g_transforms{0};

}  // namespace

LevelInterpreter::LevelInterpreter() : transform_(++g_transforms) {
  dispatch_state().levels.push_back(this);
  level_ = static_cast<int>(dispatch_state().levels.size());
}

LevelInterpreter::~LevelInterpreter() { dispatch_state().levels.pop_back(); }

bool LevelInterpreter::owns(const Tensor& t) const {
  if (!t.defined()) return false;
  const TensorRecord& r = *t.record();
  if (!r.wrapper || r.wrapper->level != level_) return false;
  if (wrapped(r).transform != transform_) throw used_after_its_transform();
  return true;
}

Tensor LevelInterpreter::wrap(const Tensor& value, const Shape& shape, Tensor tangent) const {
  Ref<TensorRecord> r = new_abstract(shape, value.dtype(), value.device());
  const Strides& inner = value.strides();  // of a batch: those of one example
  for (size_t d = 0; d < shape.size(); ++d) r->strides[d] = inner[inner.size() - shape.size() + d];
  auto w = make_ref<Wrapped>();
  w->level = level_;
  w->transform = transform_;
  w->value = value;
  w->tangent = std::move(tangent);
  r->wrapper = std::move(w);
  return Tensor(std::move(r));
}

void LevelInterpreter::link_view(const Call& call, const Values& results) {
  if (call.op->tier != Tier::View) return;
  const TensorRecord& from = *call.in[0].record();
  auto chain = std::make_shared<std::vector<ViewStep>>();
  if (from.view) *chain = *from.view->chain;
  chain->push_back({call.op, {call.attrs.begin(), call.attrs.end()}});
  for (const Tensor& t : results) {
    auto meta = make_ref<ViewMeta>();
    meta->base = from.view ? from.view->base : call.in[0];
    meta->chain = chain;
    meta->version = version_of(t);
    t.record()->view = std::move(meta);
  }
}

Tensor LevelInterpreter::lower(const Tensor& self, const Tensor& v) {
  (void)self;
  return owns(v) ? value(v) : v;
}

void LevelInterpreter::write(const Tensor& self, const Tensor& v) { write_value(value(self), lower(self, v)); }

Tensor strip_wrapper(const Tensor& t, uint64_t transform) {
  const TensorRecord& r = *t.record();
  return r.wrapper && wrapped(r).transform == transform ? wrapped(r).value : t;
}

}  // namespace thixo
