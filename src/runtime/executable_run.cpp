// Running an Executable.
#include <cstring>
#include <optional>

#include "core/tensor_lock.h"
#include "runtime/eager.h"
#include "runtime/executable_parts.h"
#include "runtime/fused_kernel.h"
#include "transform/bottom.h"

namespace thixo {
namespace {

/// Steps run below every transform, recorder and tape.
class Plain {
 public:
  Plain() : grad_(false) { std::swap(saved_, dispatch_state().bottom); }
  ~Plain() { std::swap(saved_, dispatch_state().bottom); }
  const std::vector<Interpreter*>& outside() const { return saved_; }

 private:
  GradMode grad_;
  std::vector<Interpreter*> saved_;
};

std::string shapes_of(const Graph& g, std::span<const ValueId> values) {
  std::string s;
  for (ValueId v : values) {
    if (!s.empty()) s += ", ";
    if (v < 0) {
      s += "None";
      continue;
    }
    const GraphValue& x = g.values[static_cast<size_t>(v)];
    s += std::string(dtype_short_name(x.dtype)) + shape_str(x.shape);
  }
  return s;
}

void assign(const Tensor& to, const Tensor& from) {
  static const OpDef* op = find_op("assign");
  const Tensor in[] = {to, from};
  dispatch_table().eager_into(Call{op, in, {}, {}}, std::span<const Tensor>(&to, 1));
}

}  // namespace

Tensor apply_view(const OpDef* op, const Tensor& base, std::span<const Attr> attrs) {
  ViewSpec v = op->view(Call{op, std::span<const Tensor>(&base, 1), attrs, {}});
  return Tensor(new_record_on(base.record()->storage, v.shape, v.strides, v.offset, base.dtype()));
}

void Executable::bind(std::span<const Tensor> args) {
  size_t next = 0;
  for (const GraphInput& in : graph_.inputs) {
    if (in.kind == InputKind::Arg) slot(in.value) = args[next++];
  }
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    const Place& p = plan_.places[i];
    if (!dynamic_[i]) continue;
    if (p.kind == Place::Output) slots_[i] = empty(graph_.values[i].shape, {.dtype = graph_.values[i].dtype});
    if (p.kind == Place::Input) slots_[i] = slot(p.root);
  }
}

void Executable::run_fused(Step& s, std::span<const RngKey> keys) {
  Fused& f = *s.fused;
  for (auto [k, v] : s.patch_in) f.pointers[k] = slot(v).record()->data();
  for (const Fused::Random& r : f.random) {
    const uint64_t bits = r.counter ? keys[r.key].counter : keys[r.key].key;
    std::memcpy(&f.params[2 * r.param], &bits, sizeof bits);
  }
  run_rows(f.plan.kernel, f.fn, f.pointers, nullptr, f.params.data(), f.plan.extent, f.plan.row);
}

void Executable::run_node(Step& s, std::span<const RngKey> keys) {
  for (auto [k, v] : s.patch_in) s.in[k] = slot(v);
  for (auto [k, v] : s.patch_out) s.out[k] = slot(v);
  const GraphNode& n = *s.node;
  if (s.many != nullptr) return s.many(Call{n.op, s.in, s.attrs, n.at}, s.out);
  if (n.op->tier == Tier::View) {
    detail::check_index_bounds(Call{n.op, s.in, s.attrs, n.at});
    slot(n.out[0]) = apply_view(n.op, s.in[0], s.attrs);
    return;
  }
  if (n.op->name() == "write") {
    Tensor target = slot(n.out[0]).defined() ? slot(n.out[0]) : s.in[0];
    slot(n.out[0]) = target;
    if (target.record()->data() != s.in[0].record()->data()) assign(target, s.in[0]);
    for (const ViewStep& step : *std::get<ViewChain>(s.attrs[0])) target = apply_view(step.op, target, step.attrs);
    assign(target, s.in[1]);
    return;
  }
  if (s.rng >= 0) s.attrs[static_cast<size_t>(s.rng)] = keys[s.key];
  dispatch_table().eager_into(Call{n.op, s.in, s.attrs, n.at}, s.out);
}

/// A step as a watcher shows it: its operands, for a loop over many calls their number.
std::string Executable::shapes_of_step(const Step& s) const {
  if (s.fused == nullptr) {
    const size_t calls = s.out.size() / s.node->out.size();
    return s.many != nullptr && calls > 1 ? std::to_string(calls) + " calls" : shapes_of(graph_, s.node->in);
  }
  const codegen::Scheduled& plan = s.fused->plan;
  std::vector<ValueId> operands;
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const BufferKind kind = plan.kernel.buffers[i].kind;
    if (kind == BufferKind::In || kind == BufferKind::InOut) operands.push_back(plan.buffers[i]);
  }
  return shapes_of(graph_, operands);
}

std::string Executable::shapes_of_arguments() const {
  std::vector<ValueId> arguments;
  for (const GraphInput& in : graph_.inputs) {
    if (in.kind == InputKind::Arg) arguments.push_back(in.value);
  }
  return shapes_of(graph_, arguments);
}

void Executable::run_watched(const StepWatchers& watchers, std::span<const RngKey> keys) {
  for (Step& s : steps_) {
    const StepWatchers::Step seen(watchers, s.fused != nullptr ? s.fused->name : s.node->op->name(), shapes_of_step(s));
    s.fused != nullptr ? run_fused(s, keys) : run_node(s, keys);
  }
  for (const GraphUpdate& u : plan_.copies) {
    const StepWatchers::Step seen(watchers, "copy", shapes_of(graph_, std::span<const ValueId>(&u.value, 1)));
    assign(slot(u.input), slot(u.value));
  }
}

TensorList Executable::run(std::span<const Tensor> args, std::span<const RngKey> keys) {
  const auto lock = lock_for_tensors(mutex_);
  for (const auto& refresh : before_replay_) refresh();
  const Plain plain;
  const StepWatchers watchers(plain.outside());
  std::optional<StepWatchers::Step> seen;  // the whole call
  if (watchers.any()) seen.emplace(watchers, "compiled", shapes_of_arguments());
  bind(args);
  if (watchers.any()) {
    run_watched(watchers, keys);
  } else {
    for (Step& s : steps_) s.fused != nullptr ? run_fused(s, keys) : run_node(s, keys);
    for (const GraphUpdate& u : plan_.copies) assign(slot(u.input), slot(u.value));
  }
  for (const GraphUpdate& u : graph_.updates) ++slot(u.input).record()->storage->version;  // the tape is to see it
  TensorList out;
  for (ValueId v : graph_.outputs) out.push_back(slot(v));
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (dynamic_[i]) slots_[i] = Tensor();  // results belong to the caller, arguments are not kept
  }
  for (Step& s : steps_) {
    if (s.fused != nullptr) continue;
    for (auto [k, v] : s.patch_in) s.in[k] = Tensor();
    for (auto [k, v] : s.patch_out) s.out[k] = Tensor();
  }
  return out;
}

}  // namespace thixo
