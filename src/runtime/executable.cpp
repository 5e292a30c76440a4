#include "runtime/executable.h"

#include <algorithm>

#include "thixo/generator.h"

namespace thixo {
namespace {

/// Steps run below every transform, recorder and tape.
class Plain {
 public:
  Plain() : grad_(false) { std::swap(saved_, dispatch_state().bottom); }
  ~Plain() { std::swap(saved_, dispatch_state().bottom); }

 private:
  GradMode grad_;
  std::vector<Interpreter*> saved_;
};

Tensor apply_view(const OpDef* op, const Tensor& base, std::span<const Attr> attrs) {
  ViewSpec v = op->view(Call{op, std::span<const Tensor>(&base, 1), attrs, {}});
  return Tensor(new_record_on(base.record()->storage, v.shape, v.strides, v.offset, base.dtype()));
}

void assign(const Tensor& to, const Tensor& from) {
  static const OpDef* op = find_op("assign");
  const Tensor in[] = {to, from};
  dispatch_table().eager_into(Call{op, in, {}, {}}, std::span<const Tensor>(&to, 1));
}

}  // namespace

struct Executable::Step {
  const GraphNode* node = nullptr;
  SmallVec<Tensor, 4> in;
  Values out;
  std::vector<std::pair<size_t, ValueId>> patch_in, patch_out;
  std::vector<Attr> attrs;
  int rng = -1;           // the attribute that gets a new key at each call
  uint64_t blocks = 0;    // how far it moves the generator
};

Executable::Executable(Recording recording)
    : graph_(std::move(recording.graph)), bound_(std::move(recording.bound)), before_replay_(std::move(recording.before_replay)) {
  run_passes(graph_);
  plan_ = plan_memory(graph_);
  place_values();
  build_steps();
}

Executable::~Executable() = default;

void Executable::place_values() {
  slots_.resize(graph_.values.size());
  dynamic_.assign(graph_.values.size(), false);
  if (plan_.arena_bytes > 0) arena_ = empty({Dim(plan_.arena_bytes)}, {.dtype = DType::U8});
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    ValueId v = graph_.inputs[i].value;
    dynamic_[static_cast<size_t>(v)] = graph_.inputs[i].kind == InputKind::Arg;
    slot(v) = bound_[i];
  }
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    const Place& p = plan_.places[i];
    const GraphValue& x = graph_.values[i];
    auto v = static_cast<ValueId>(i);
    if (p.kind == Place::Output) {
      dynamic_[i] = true;
    } else if (p.kind == Place::Input) {
      dynamic_[i] = dynamic_[static_cast<size_t>(p.root)];
      slot(v) = slot(p.root);
    } else if (p.kind == Place::Arena) {
      if (!arena_.defined()) arena_ = empty({0}, {.dtype = DType::U8});  // every value is empty
      int64_t offset = p.offset / static_cast<int64_t>(item_size(x.dtype));
      slot(v) = Tensor(new_record_on(arena_.record()->storage, x.shape, contiguous_strides(x.shape), offset, x.dtype));
    }
  }
}

Executable::Step Executable::make_node_step(const GraphNode& n) {
  Step s;
  s.node = &n;
  s.attrs = n.attrs;
  for (ValueId v : n.in) {
    if (v >= 0 && dynamic_[static_cast<size_t>(v)]) s.patch_in.emplace_back(s.in.size(), v);
    s.in.push_back(v < 0 ? Tensor() : slot(v));
  }
  for (ValueId v : n.out) {
    if (dynamic_[static_cast<size_t>(v)]) s.patch_out.emplace_back(s.out.size(), v);
    s.out.push_back(slot(v));
  }
  for (size_t a = 0; a < n.attrs.size(); ++a) {
    if (n.op->schema.attrs[a].kind != AttrKind::Rng) continue;
    s.rng = static_cast<int>(a);
    s.blocks = static_cast<uint64_t>(numel_of(graph_.values[static_cast<size_t>(n.out[0])].shape).value());
  }
  return s;
}

void Executable::build_steps() {
  for (const GraphNode& n : graph_.nodes) {
    ValueId v = n.out[0];
    if (n.op->tier == Tier::View) {
      dynamic_[static_cast<size_t>(v)] = dynamic_[static_cast<size_t>(n.in[0])];
      if (!dynamic_[static_cast<size_t>(v)]) {
        slot(v) = apply_view(n.op, slot(n.in[0]), n.attrs);
        continue;  // placed once, nothing to do at run time
      }
    } else if (n.op->name() == "write" && plan_.places[static_cast<size_t>(v)].kind == Place::View) {
      dynamic_[static_cast<size_t>(v)] = dynamic_[static_cast<size_t>(n.in[0])];
      slot(v) = slot(n.in[0]);
    }
    steps_.push_back(make_node_step(n));
  }
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

TensorList Executable::run(std::span<const Tensor> args) {
  std::lock_guard lock(mutex_);
  for (const auto& refresh : before_replay_) refresh();
  Plain plain;
  bind(args);
  for (Step& s : steps_) {
    for (auto [k, v] : s.patch_in) s.in[k] = slot(v);
    for (auto [k, v] : s.patch_out) s.out[k] = slot(v);
    const GraphNode& n = *s.node;
    if (n.op->tier == Tier::View) {
      slot(n.out[0]) = apply_view(n.op, s.in[0], s.attrs);
      continue;
    }
    if (n.op->name() == "write") {
      Tensor target = slot(n.out[0]).defined() ? slot(n.out[0]) : s.in[0];
      slot(n.out[0]) = target;
      if (target.record()->storage.get() != s.in[0].record()->storage.get() || target.storage_offset() != s.in[0].storage_offset()) assign(target, s.in[0]);
      for (const ViewStep& step : *std::get<ViewChain>(s.attrs[0])) target = apply_view(step.op, target, step.attrs);
      assign(target, s.in[1]);
      continue;
    }
    if (s.rng >= 0) s.attrs[static_cast<size_t>(s.rng)] = RngKey{default_generator().seed(), default_generator().take(s.blocks)};
    dispatch_table().eager_into(Call{n.op, s.in, s.attrs, n.at}, s.out);
  }
  for (const GraphUpdate& u : plan_.copies) assign(slot(u.input), slot(u.value));
  TensorList out;
  for (ValueId v : graph_.outputs) out.push_back(slot(v));
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (dynamic_[i]) slots_[i] = Tensor();  // results belong to the caller, arguments are not kept
  }
  for (Step& s : steps_) {
    for (auto [k, v] : s.patch_in) s.in[k] = Tensor();
    for (auto [k, v] : s.patch_out) s.out[k] = Tensor();
  }
  return out;
}

std::string Executable::explain() const {
  std::string s = graph_.str();
  s += "steps: " + std::to_string(steps_.size()) + ", arena: " + std::to_string(plan_.arena_bytes) + " bytes\n";
  return s;
}

}  // namespace thixo
