#include "runtime/executable.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "ir/backend.h"
#include "runtime/fused_kernel.h"

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
  size_t key = 0;         // which one
  Fused* fused = nullptr;
  BackendFn many = nullptr;  // takes the operands of several nodes at once
};

/// A group that became a kernel.
struct Executable::Fused {
  codegen::Scheduled plan;
  KernelFn fn = nullptr;
  std::vector<int> nodes;
  std::vector<void*> pointers;
  std::vector<double> params;
  struct Random {
    size_t param, key;
    bool counter;
  };
  std::vector<Random> random;  // params that are part of a key
};

Executable::Executable(Recording recording)
    : graph_(std::move(recording.graph)),
      bound_(std::move(recording.bound)),
      before_replay_(std::move(recording.before_replay)),
      random_(std::move(recording.random)) {
  tidy(graph_);
  const Graph whole = graph_;
  std::vector<bool> keep;  // composites that did not become part of one kernel
  bool careful = false;
  for (int round = 0; !fuse_and_schedule(&keep, &careful, round); ++round) graph_ = whole;
  if (!compile_groups()) {  // without a compiler everything runs node by node
    graph_ = whole;
    gather_updates(graph_);
  }
  plan_ = plan_memory(graph_);
  place_values();
  build_steps();
}

/// Groups and their kernels. False when composites that were written out, or joined groups, do not come out as one
/// kernel each: they are noted, and the next round leaves them as they are.
bool Executable::fuse_and_schedule(std::vector<bool>* keep, bool* careful, int round) {
  constexpr int kLastRound = 4;
  if (round < kLastRound) decompose(graph_, *keep);
  gather_updates(graph_);
  *careful ? fuse_carefully(graph_) : fuse(graph_);
  verify(graph_, "fuse");
  const bool whole = schedule_groups();
  if (round >= kLastRound) return true;
  std::map<int, std::set<int>> groups_of;  // of each composite
  for (const GraphNode& n : graph_.nodes) {
    const bool free = n.op->tier == Tier::View || n.op->name() == "number";
    if (n.composite >= 0 && !free) groups_of[n.composite].insert(n.group);
  }
  bool again = false;
  for (const auto& [composite, groups] : groups_of) {
    if (groups.size() == 1 && *groups.begin() >= 0) continue;
    keep->resize(std::max(keep->size(), static_cast<size_t>(composite) + 1));
    (*keep)[static_cast<size_t>(composite)] = again = true;
  }
  if (!again && !whole && !*careful) *careful = again = true;
  return !again;
}

/// Turns groups into kernels. A group that cannot be a kernel runs node by node; false when there is one.
bool Executable::schedule_groups() {
  fused_.clear();
  std::vector<Strides> layout(graph_.values.size());
  std::vector<int> maker(graph_.values.size(), -1);
  std::vector<bool> needed(graph_.values.size(), false);
  for (const GraphInput& in : graph_.inputs)
    layout[static_cast<size_t>(in.value)] = graph_.values[static_cast<size_t>(in.value)].strides;
  std::vector<std::vector<int>> groups;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const GraphNode& n = graph_.nodes[i];
    for (ValueId v : n.out) maker[static_cast<size_t>(v)] = n.group;
    for (ValueId v : n.in) {
      if (v >= 0 && (n.group < 0 || maker[static_cast<size_t>(v)] != n.group)) needed[static_cast<size_t>(v)] = true;
    }
    if (n.op->tier == Tier::View) {
      Ref<TensorRecord> base = abstract_value(graph_, n.in[0]).record();
      if (!layout[static_cast<size_t>(n.in[0])].empty()) base->strides = layout[static_cast<size_t>(n.in[0])];
      const Tensor in(base);
      layout[static_cast<size_t>(n.out[0])] =
          n.op->view(Call{n.op, std::span<const Tensor>(&in, 1), n.attrs, n.at}).strides;
    }
    if (n.group < 0) continue;
    groups.resize(std::max(groups.size(), static_cast<size_t>(n.group) + 1));
    groups[static_cast<size_t>(n.group)].push_back(static_cast<int>(i));
  }
  for (ValueId v : graph_.outputs) needed[static_cast<size_t>(v)] = true;
  for (const GraphUpdate& u : graph_.updates) needed[static_cast<size_t>(u.value)] = true;

  int next = 0;
  for (std::vector<int>& nodes : groups) {
    auto plan = codegen::schedule(
        graph_, nodes, [&](ValueId v) { return needed[static_cast<size_t>(v)]; },
        [&](ValueId v) { return layout[static_cast<size_t>(v)]; }, "fused" + std::to_string(next));
    for (int i : nodes) graph_.nodes[static_cast<size_t>(i)].group = plan ? next : -1;
    if (!plan) continue;
    ++next;
    fused_.push_back({std::move(*plan), nullptr, nodes, {}, {}, {}});
  }
  return next == static_cast<int>(groups.size());
}

/// All kernels in one object. False when there is no compiler.
bool Executable::compile_groups() {
  if (fused_.empty()) return true;
  std::vector<Kernel> kernels;
  for (const Fused& f : fused_) kernels.push_back(f.plan.kernel);
  try {
    code_ = codegen::compile_kernels(kernels);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::NotImplemented) throw;
    fused_.clear();
    return false;
  }
  for (size_t i = 0; i < fused_.size(); ++i) fused_[i].fn = code_.functions[i];
  return true;
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
    s.key = random_.index_of(std::get<RngKey>(n.attrs[a]));
  }
  return s;
}

Executable::Step Executable::make_fused_step(Fused& f) {
  Step s;
  s.fused = &f;
  f.params.resize(2 * f.plan.params.size());
  for (ValueId v : f.plan.buffers) {
    Tensor t = v < 0 ? Tensor() : slot(v);
    if (v >= 0 && dynamic_[static_cast<size_t>(v)]) s.patch_in.emplace_back(f.pointers.size(), v);
    f.pointers.push_back(t.defined() ? t.record()->data() : nullptr);
  }
  for (size_t p = 0; p < f.plan.params.size(); ++p) {
    const codegen::ParamSource& from = f.plan.params[p];
    const GraphNode& n = graph_.nodes[static_cast<size_t>(from.node)];
    if (const RngKey* key = random_param(*n.op, n.attrs, from.attr)) {
      f.random.push_back({p, random_.index_of(*key), from.attr.ends_with(".counter")});
    } else {
      store_param(&f.params[2 * p], param_value(*n.op, n.attrs, from.attr), from.dtype);
    }
  }
  return s;
}

/// Joins the step before when that is of the same op.
void Executable::add_to_many(const GraphNode& n) {
  Step s = make_node_step(n);
  s.many = find_backend_entry(n.op->kernel)->run;
  if (steps_.empty() || steps_.back().many == nullptr || steps_.back().node->op != n.op) {
    steps_.push_back(std::move(s));
    return;
  }
  Step& all = steps_.back();
  for (auto [k, v] : s.patch_in) all.patch_in.emplace_back(all.in.size() + k, v);
  for (auto [k, v] : s.patch_out) all.patch_out.emplace_back(all.out.size() + k, v);
  for (Tensor& t : s.in) all.in.push_back(std::move(t));
  for (Tensor& t : s.out) all.out.push_back(std::move(t));
}

void Executable::build_steps() {
  int last_group = -1;
  for (const GraphNode& n : graph_.nodes) {
    ValueId v = n.out[0];
    if (n.group >= 0) {
      if (n.group != last_group) steps_.push_back(make_fused_step(fused_[static_cast<size_t>(n.group)]));
      last_group = n.group;
      continue;
    }
    last_group = -1;
    if (n.op->name() == "number") {
      slot(v) = TensorArg(std::get<Scalar>(n.attrs[0])).tensor();  // weak in promotion, as it was
      continue;
    }
    if (takes_many_calls(*n.op)) {
      add_to_many(n);
      continue;
    }
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

TensorList Executable::run(std::span<const Tensor> args, std::span<const RngKey> keys) {
  std::lock_guard lock(mutex_);
  for (const auto& refresh : before_replay_) refresh();
  Plain plain;
  bind(args);
  for (Step& s : steps_) s.fused != nullptr ? run_fused(s, keys) : run_node(s, keys);
  for (const GraphUpdate& u : plan_.copies) assign(slot(u.input), slot(u.value));
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

std::string Executable::explain() const {
  std::string s = graph_.str();
  for (size_t i = 0; i < fused_.size(); ++i) {
    const Fused& f = fused_[i];
    s += "kernel @" + std::to_string(i) + ": " + std::to_string(f.nodes.size()) + " ops over " + f.plan.extent.str() +
         (f.plan.kernel.vector_par ? " elements" : " rows of " + f.plan.row.str()) + "\n ";
    for (int n : f.nodes) s += " " + graph_.nodes[static_cast<size_t>(n)].op->name();
    s += "\n";
  }
  for (const Step& step : steps_) {
    if (step.many == nullptr) continue;
    const size_t calls = step.out.size() / step.node->out.size();
    s += step.node->op->name() + ": " + std::to_string(calls) + " calls in one loop\n";
  }
  for (const GraphUpdate& u : plan_.copies)
    s += "%" + std::to_string(u.input) + " = %" + std::to_string(u.value) + " is copied at the end\n";
  s += std::to_string(steps_.size()) + " steps, arena " + std::to_string(plan_.arena_bytes) + " bytes";
  return s + (fused_.empty() ? "\n" : code_.from_disk ? ", kernels from the disk cache\n" : ", kernels compiled\n");
}

}  // namespace thixo
