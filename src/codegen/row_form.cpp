#include "codegen/row_form.h"

#include <algorithm>
#include <set>

#include "codegen/nest_form.h"
#include "codegen/row_names.h"
#include "codegen/sample_calls.h"
#include "codegen/schedule.h"
#include "codegen/trace.h"
#include "core/values.h"

namespace thixo::codegen {
namespace {

bool same_numbers(const Trace& a, const Trace& b) {
  if (a.numbers.size() != b.numbers.size()) return false;
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    const TensorRecord &x = *a.numbers[i].record(), &y = *b.numbers[i].record();
    if (!(load_scalar(x.data(), x.dtype) == load_scalar(y.data(), y.dtype))) return false;
  }
  return true;
}

std::optional<Trace> trace_named(const Call& call, const Naming& n, Hints numbers) {
  SmallVec<Tensor, 4> in;
  for (size_t k = 0; k < call.in.size(); ++k) {
    in.push_back(call.in[k].defined() ? Tensor(new_abstract(n.operands[k], call.in[k].dtype())) : Tensor());
  }
  std::vector<Attr> attrs(call.attrs.begin(), call.attrs.end());
  for (size_t i = 0; i < attrs.size(); ++i) {
    if (!n.attrs[i].empty()) attrs[i] = n.attrs[i];
  }
  const SizeHints hints(std::move(numbers));
  return trace(Call{call.op, {in.data(), in.size()}, attrs, call.at});
}

/// A trace that holds for any sizes, in these names.
struct Named {
  Trace trace;
  Naming naming;
};

std::optional<Named> traced_by_value(const Call& call, const SmallVec<int64_t, 8>& sizes) {
  Naming n = name_by_value(call, sizes);
  std::optional<Trace> first = trace_named(call, n, true_hints(n, sizes));
  if (!first) return std::nullopt;
  const std::optional<Trace> second = trace_named(call, n, other_hints(n, sizes));
  const bool generic = second && first->graph.str() == second->graph.str() && same_numbers(*first, *second);
  return generic ? std::optional(Named{std::move(*first), std::move(n)}) : std::nullopt;
}

/// The same decomposition where sizes that are equal by chance have names of their own.
std::optional<Named> traced_split(const Call& call, const SmallVec<int64_t, 8>& sizes, const Named& by_value) {
  const std::string text = by_value.trace.graph.str();
  for (Naming& n : split_namings(call, sizes)) {
    try {
      std::optional<Trace> t = trace_named(call, n, other_hints(n, sizes));
      if (t && merged_text(t->graph, n) == text && same_numbers(*t, by_value.trace))
        return Named{std::move(*t), std::move(n)};
    } catch (const Error&) {
      // These dims do belong together.
    }
  }
  return std::nullopt;
}

// Nodes that the results need, in order.
std::vector<int> live_nodes(const Graph& g) {
  std::set<ValueId> needed(g.outputs.begin(), g.outputs.end());
  std::vector<int> out;
  for (size_t i = g.nodes.size(); i-- > 0;) {
    const GraphNode& n = g.nodes[i];
    if (std::none_of(n.out.begin(), n.out.end(), [&](ValueId v) { return needed.contains(v); })) continue;
    out.insert(out.begin(), static_cast<int>(i));
    needed.insert(n.in.begin(), n.in.end());
  }
  return out;
}

void add_factors(Dim d, std::vector<Dim>& out) {
  if (d.is_symbolic() && dim_node(d).op == '*') {
    add_factors(dim_node(d).a, out);
    add_factors(dim_node(d).b, out);
  } else {
    out.push_back(d);
  }
}

// A product in one order of its factors, so that equal products are one argument.
Dim sorted_product(Dim d) {
  std::vector<Dim> factors;
  add_factors(d, factors);
  std::sort(factors.begin(), factors.end(), [](Dim a, Dim b) { return a.raw() < b.raw(); });
  Dim product = 1;
  for (Dim f : factors) product *= f;
  return product;
}

// Sizes become arguments z0, z1, ... in the order in which the kernel names them.
class Canonical {
 public:
  explicit Canonical(RowForm& form) : form_(form) {}
  void run() {
    Kernel& k = form_.kernel;
    k.sizes.clear();
    rename(k.body);
    for (KernelBuffer& b : k.buffers) {
      if (b.kind != BufferKind::Scratch) continue;
      form_.scratch.push_back(b.scratch_size);
      b.scratch_size = argument(b.scratch_size);
    }
    for (size_t i = 0; i < k.buffers.size(); ++i) k.buffers[i].name = "b" + std::to_string(i);
  }

 private:
  Dim argument(Dim d) {
    d = sorted_product(d);
    if (!d.is_symbolic()) return d;
    for (size_t i = 0; i < form_.sizes.size(); ++i) {
      if (form_.sizes[i].raw() == d.raw()) return form_.kernel.sizes[i];
    }
    form_.sizes.push_back(d);
    form_.kernel.sizes.push_back(Dim::named("z" + std::to_string(form_.kernel.sizes.size())));
    return form_.kernel.sizes.back();
  }
  void rename(Expr& e) {
    if (!e) return;
    e = substitute(e, [&](Expr n) { return n->op == ExprOp::Size ? size(argument(n->dim)) : Expr(); });
  }
  void rename(Block& block) {
    for (Stmt& s : block) {
      for (AccDecl& a : s.accs) rename(a.init);
      for (Expr* e : {&s.extent, &s.index, &s.predicate, &s.value}) rename(*e);
      rename(s.body);
    }
  }
  RowForm& form_;
};

bool fill_buffers(const Trace& t, const Scheduled& s, RowForm& form) {
  for (ValueId v : s.buffers) {
    if (v < 0) {
      form.buffers.push_back({RowForm::Buffer::Scratch, 0});
      continue;
    }
    const auto out = std::find(t.graph.outputs.begin(), t.graph.outputs.end(), v);
    if (out != t.graph.outputs.end()) {
      form.buffers.push_back({RowForm::Buffer::Result, static_cast<int>(out - t.graph.outputs.begin())});
      continue;
    }
    const auto in = std::find_if(t.graph.inputs.begin(), t.graph.inputs.end(), [&](auto& i) { return i.value == v; });
    const int source = t.operand[static_cast<size_t>(in - t.graph.inputs.begin())];
    form.buffers.push_back(source >= 0 ? RowForm::Buffer{RowForm::Buffer::Operand, source}
                                       : RowForm::Buffer{RowForm::Buffer::Number, -1 - source});
  }
  const std::set<ValueId> distinct(t.graph.outputs.begin(), t.graph.outputs.end());
  const auto written = std::count_if(form.buffers.begin(), form.buffers.end(),
                                     [](const auto& b) { return b.kind == RowForm::Buffer::Result; });
  return distinct.size() == t.graph.outputs.size() && written == static_cast<int64_t>(distinct.size());
}

void fill_params(const Trace& t, const Scheduled& s, RowForm& form) {
  for (const ParamSource& p : s.params) {
    const GraphNode& n = t.graph.nodes[static_cast<size_t>(p.node)];
    const auto [re, im] = attr_param(Call{n.op, {}, n.attrs, n.at}, p.attr, p.dtype);
    form.params.insert(form.params.end(), {re, im});
  }
}

}  // namespace

SmallVec<int64_t, 8> row_sizes(const Call& call) {
  SmallVec<int64_t, 8> out;
  for (const Tensor& t : call.in) {
    if (!t.defined()) continue;
    for (Dim d : t.shape()) {
      const int64_t n = d.value();
      if (n > 1 && std::find(out.begin(), out.end(), n) == out.end()) out.push_back(n);
    }
  }
  return out;
}

namespace {

std::optional<RowForm> form_of(Named& named, std::string* why) {
  const Trace& t = named.trace;
  const std::vector<int> nodes = live_nodes(t.graph);
  if (nodes.empty()) return std::nullopt;
  const auto stored = [&](ValueId v) {
    return std::find(t.graph.outputs.begin(), t.graph.outputs.end(), v) != t.graph.outputs.end();
  };
  const SizeHints hints(other_hints(named.naming, {}));  // shape rules are asked again
  std::optional<Scheduled> s = schedule(t.graph, nodes, stored, [](ValueId) { return Strides(); }, "row", why);
  if (!s) return std::nullopt;
  RowForm form;
  form.kernel = std::move(s->kernel);
  form.numbers = t.numbers;
  form.results = t.results;
  form.extent = s->extent;
  form.row = s->row;
  form.size_names = named.naming.names;
  if (!fill_buffers(t, *s, form)) return std::nullopt;
  fill_params(t, *s, form);
  Canonical(form).run();
  return form;
}

}  // namespace

std::optional<RowForm> row_form(const Call& call, std::string* why) {
  if (why != nullptr) *why = "the decomposition is not the same for all sizes, or wants data";
  const SmallVec<int64_t, 8> sizes = row_sizes(call);
  std::optional<Named> by_value = traced_by_value(call, sizes);
  if (!by_value) return std::nullopt;
  if (std::optional<Named> split = traced_split(call, sizes, *by_value)) {
    if (std::optional<RowForm> form = form_of(*split, why)) return form;
  }
  return form_of(*by_value, why);
}

void add_row_kernels(PackSink& sink) {
  for (const OpDef& op : all_ops()) {
    if (!op.fused_rows) continue;
    sink.group(op.schema.full_name());
    for_each_sample_call(op, [&](const Call& call, std::span<const Spec>) {
      if (std::optional<RowForm> form = row_form(call)) {
        std::string key = content_key(form->kernel);
        sink.add(key, std::move(form->kernel));
      }
    });
  }
}

}  // namespace thixo::codegen
