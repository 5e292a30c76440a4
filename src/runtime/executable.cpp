#include "runtime/executable.h"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/executable_parts.h"
#include "runtime/fused_kernel.h"
#include "transform/bottom.h"

namespace thixo {
namespace {

/// The composites of a graph, numbered as decompose() does.
std::vector<const OpDef*> composites_of(const Graph& g) {
  std::vector<const OpDef*> out;
  for (const GraphNode& n : g.nodes) {
    if (n.op->tier == Tier::Composite && n.op->fused_rows) out.push_back(n.op);
  }
  return out;
}

/// "fused: gelu+add+layer_norm": what was written, so a composite has its own name and not those of its pieces.
std::string fused_name(const Graph& g, std::span<const int> nodes, std::span<const OpDef* const> composites) {
  constexpr size_t kMostNames = 8;
  std::set<int> named;
  std::string s = "fused: ";
  size_t count = 0;
  for (int i : nodes) {
    const GraphNode& n = g.nodes[static_cast<size_t>(i)];
    if (n.op->tier == Tier::View || n.op->name() == "number") continue;
    if (n.composite >= 0 && !named.insert(n.composite).second) continue;
    if (++count > kMostNames) continue;
    if (count > 1) s += '+';
    s += n.composite >= 0 ? composites[static_cast<size_t>(n.composite)]->name() : n.op->name();
  }
  return count <= kMostNames ? s : s + "+" + std::to_string(count - kMostNames) + " more";
}

}  // namespace

Executable::Executable(Recording recording)
    : graph_(std::move(recording.graph)),
      bound_(std::move(recording.bound)),
      before_replay_(std::move(recording.before_replay)),
      random_(std::move(recording.random)) {
  const StepWatchers watchers(dispatch_state().bottom);
  const StepWatchers::Step seen(watchers, "compile", "");
  tidy(graph_);
  const Graph whole = graph_;
  std::vector<bool> keep;  // composites that did not become part of one kernel
  bool careful = false;
  for (int round = 0; !fuse_and_schedule(&keep, &careful, round); ++round) graph_ = whole;
  if (!compile_groups()) {  // without a compiler everything runs node by node
    graph_ = whole;
    gather_updates(graph_);
  }
  const std::vector<const OpDef*> composites = composites_of(whole);
  for (Fused& f : fused_) f.name = fused_name(graph_, f.nodes, composites);
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
    fused_.push_back({std::move(*plan), nullptr, nodes, "", {}, {}, {}});
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
        if (!n.op->index_bounds) continue;  // placed once, nothing to do at run time
      }
    } else if (n.op->name() == "write" && plan_.places[static_cast<size_t>(v)].kind == Place::View) {
      dynamic_[static_cast<size_t>(v)] = dynamic_[static_cast<size_t>(n.in[0])];
      slot(v) = slot(n.in[0]);
    }
    steps_.push_back(make_node_step(n));
  }
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
