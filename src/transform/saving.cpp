#include "transform/saving.h"

#include <vector>

#include "base/thread_state.h"
#include "ir/dispatch.h"

namespace thixo {
namespace {

/// Computes shapes only.
class AbstractInterpreter final : public Interpreter {
 public:
  Values apply(const Call& call) override {
    Values out;
    for (Spec& s : infer(call)) out.push_back(Tensor(new_abstract(s.shape, s.dtype, s.device)));
    return out;
  }
  void write(const Tensor&, const Tensor&) override {}
};

/// While it lives, this thread's ops only infer shapes, outside of all transforms.
class AbstractScope {
 public:
  AbstractScope() {
    std::swap(saved_, dispatch_state());
    dispatch_state().grad_enabled = false;
    dispatch_state().bottom.push_back(&shapes_);
  }
  ~AbstractScope() { std::swap(saved_, dispatch_state()); }
  AbstractScope(const AbstractScope&) = delete;

 private:
  AbstractInterpreter shapes_;
  DispatchState saved_;
};

Tensor shape_only(const Tensor& t) {
  if (!t.defined()) return {};
  Ref<TensorRecord> r = new_abstract(t.shape(), t.dtype(), t.device());
  r->strides = t.strides();
  r->offset = t.storage_offset();
  return Tensor(std::move(r));
}

class Probe final : public GradCtx {
 public:
  Probe(const Call& call, std::span<const Tensor> out, std::span<const bool> wanted) : wanted_(wanted), call_(call) {
    for (const Tensor& t : call.in) in_.push_back(shape_only(t));
    for (const Tensor& t : out) out_.push_back(shape_only(t));
    call_.in = {in_.data(), in_.size()};
  }
  const Call& call() const override { return call_; }
  Tensor in(int k) override {
    mask.in |= 1U << call_.op->schema.operand_at(static_cast<size_t>(k), in_.size());
    return in_[static_cast<size_t>(k)];
  }
  Tensor out(int k) override {
    mask.out |= 1U << k;
    return out_[static_cast<size_t>(k)];
  }
  Tensor g(int k) override { return out_[static_cast<size_t>(k)]; }
  bool needs(int k) const override { return wanted_[static_cast<size_t>(k)]; }

  SaveMask mask;

 private:
  std::span<const bool> wanted_;
  Call call_;
  std::vector<Tensor> in_, out_;
};

SaveMask probe(const Call& call, std::span<const Tensor> out, std::span<const bool> wanted) {
  Probe ctx(call, out, wanted);
  AbstractScope scope;
  try {
    Values g = call.op->grad(ctx);
    for (size_t k = 0; k < g.size(); ++k) {
      if (g[k].defined()) ctx.mask.reaches |= 1U << call.op->schema.operand_at(k, call.in.size());
    }
  } catch (const Error&) {
    ctx.mask = {~0U, ~0U, false, ~0U};  // it looks at values: keep everything
    return ctx.mask;
  }
  ctx.mask.linear = ctx.mask.in == 0 && ctx.mask.out == 0;
  return ctx.mask;
}

void mix(uint64_t& h, uint64_t v) { h = (h ^ v) * 0x9E3779B97F4A7C15ULL ^ (h >> 29); }

/// What a gradient may branch on: which gradients are wanted, ranks and kinds of operands, attributes that are no
/// numbers.
uint64_t kind_of_call(const Call& call, std::span<const bool> wanted) {
  uint64_t h = call.in.size();
  for (size_t k = 0; k < call.in.size(); ++k) {
    const Tensor& t = call.in[k];
    mix(h, !t.defined() ? 1
                        : static_cast<uint64_t>(wanted[k]) << 1 | static_cast<uint64_t>(t.dtype()) << 2 |
                              static_cast<uint64_t>(t.dim() + 1) << 8);
  }
  for (const Attr& a : call.attrs) {
    uint64_t v = a.index();
    if (const bool* b = std::get_if<bool>(&a)) v |= static_cast<uint64_t>(*b) << 8;
    if (const std::string* s = std::get_if<std::string>(&a)) v |= std::hash<std::string>()(*s) << 8;
    if (const Shape* s = std::get_if<Shape>(&a)) v |= s->size() << 8;
    if (const DType* t = std::get_if<DType>(&a)) v |= static_cast<uint64_t>(*t) << 8;
    mix(h, v);
  }
  return h;
}

using Known = SmallVec<std::pair<uint64_t, SaveMask>, 2>;
THIXO_FAST_TLS std::vector<Known>* t_known = nullptr;

std::vector<Known>& known_masks() {
  if (t_known == nullptr) {
    thread_local std::vector<Known> table;
    t_known = &table;
  }
  return *t_known;
}

}  // namespace

SaveMask values_to_save(const Call& call, std::span<const Tensor> out, std::span<const bool> wanted) {
  const uint64_t kind = kind_of_call(call, wanted);
  std::vector<Known>& table = known_masks();
  const auto id = static_cast<size_t>(call.op->id);
  if (id >= table.size()) table.resize(all_ops().size());
  for (const auto& [k, mask] : table[id]) {
    if (k == kind) return mask;
  }
  SaveMask mask = probe(call, out, wanted);
  known_masks()[id].push_back({kind, mask});  // looked up again: the probe may have recursed
  return mask;
}

}  // namespace thixo
