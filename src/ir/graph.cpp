#include "ir/graph.h"

#include <algorithm>
#include <cstdio>

namespace thixo {
namespace {

std::string number_str(double v) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", v);
  for (int digits = 1; digits < 17; ++digits) {  // the shortest text that reads back as the same number
    char shorter[40];
    std::snprintf(shorter, sizeof shorter, "%.*g", digits, v);
    if (std::strtod(shorter, nullptr) == v) return shorter;
  }
  return text;
}

std::string scalar_str(const Scalar& s) {
  switch (s.kind()) {
    case DType::Bool: return s.to_int() != 0 ? "true" : "false";
    case DType::I64: return std::to_string(s.to_int());
    case DType::F64: {
      std::string t = number_str(s.to_double());
      return t.find_first_of(".enf") == std::string::npos ? t + ".0" : t;
    }
    default: return "complex(" + number_str(s.to_complex().real()) + ", " + number_str(s.to_complex().imag()) + ")";
  }
}

std::string attr_str(const Attr& a);

std::string chain_str(const ViewChain& chain) {
  std::string s = "[";
  for (const ViewStep& step : *chain) {
    if (s.size() > 1) s += ", ";
    s += step.op->schema.full_name() + "(" + attrs_str(*step.op, step.attrs) + ")";
  }
  return s + "]";
}

std::string attr_str(const Attr& a) {
  struct Printer {
    std::string operator()(std::monostate) const { return "none"; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(const Dim& v) const { return v.str(); }
    std::string operator()(double v) const { return number_str(v); }
    std::string operator()(const Scalar& v) const { return scalar_str(v); }
    std::string operator()(const Shape& v) const { return shape_str(v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(DType v) const { return std::string(dtype_short_name(v)); }
    std::string operator()(const Device& v) const { return v.str(); }
    std::string operator()(const RngKey& v) const {
      const std::string source = v.source == 0 ? "" : ", " + std::to_string(v.source);
      return "rng(" + std::to_string(v.key) + ", " + std::to_string(v.counter) + source + ")";
    }
    std::string operator()(const ViewChain& v) const { return chain_str(v); }
  };
  return std::visit(Printer(), a);
}

std::string value_str(const Graph& g, ValueId v) {
  const GraphValue& x = g.values[static_cast<size_t>(v)];
  std::string s = "%" + std::to_string(v) + ": " + std::string(dtype_short_name(x.dtype)) + shape_str(x.shape);
  if (x.weak) s += " weak";
  if (!x.strides.empty() && !is_contiguous(x.shape, x.strides)) s += " strides " + shape_str(x.strides);
  return s;
}

std::string ids_str(const std::vector<ValueId>& ids) {
  std::string s;
  for (ValueId v : ids) s += (s.empty() ? "" : ", ") + (v < 0 ? std::string("none") : "%" + std::to_string(v));
  return s;
}

const char* kind_name(InputKind k) {
  return k == InputKind::Arg ? "arg" : k == InputKind::State ? "state" : "constant";
}

[[noreturn]] void broken(const Graph& g, int node, std::string_view after, const std::string& rule) {
  Error e = InternalError("graph " + g.name + ": " + rule);
  if (node >= 0) {
    const GraphNode& n = g.nodes[static_cast<size_t>(node)];
    e.got("node " + std::to_string(node) + ": " + ids_str(n.out) + " = " + n.op->schema.full_name() + "(" +
          ids_str(n.in) + ")");
  }
  if (!after.empty()) e.need("a well-formed graph after the pass '" + std::string(after) + "'");
  throw e;
}

/// As many operands as the schema has, a list as long as it likes.
bool operands_fit(const Schema& s, size_t n) {
  const bool list = std::any_of(s.operands.begin(), s.operands.end(), [](const OperandDecl& d) { return d.list; });
  return list ? n + 1 >= s.operands.size() : n == s.operands.size();
}

void check_results(const Graph& g, int index, std::string_view after) {
  const GraphNode& n = g.nodes[static_cast<size_t>(index)];
  SmallVec<Tensor, 4> in;
  for (ValueId v : n.in) in.push_back(v < 0 ? Tensor() : abstract_value(g, v));
  SmallVec<Spec, 2> specs = infer(Call{n.op, in, n.attrs, n.at});
  if (specs.size() != n.out.size())
    broken(g, index, after,
           "a node has " + std::to_string(n.out.size()) + " results, its op " + std::to_string(specs.size()));
  for (size_t k = 0; k < specs.size(); ++k) {
    const GraphValue& v = g.values[static_cast<size_t>(n.out[k])];
    if (v.dtype != specs[k].dtype || !(v.shape == specs[k].shape)) {
      broken(g, index, after,
             "result " + value_str(g, n.out[k]) + " should be " + std::string(dtype_short_name(specs[k].dtype)) +
                 shape_str(specs[k].shape));
    }
  }
}

}  // namespace

std::string attrs_str(const OpDef& op, std::span<const Attr> attrs) {
  std::string s;
  for (size_t i = 0; i < attrs.size(); ++i) {
    const AttrDecl& d = op.schema.attrs[i];
    if (d.has_default && d.def == attrs[i]) continue;
    s += (s.empty() ? "" : ", ") + d.name + " = " + attr_str(attrs[i]);
  }
  return s;
}

std::string Graph::str() const {
  std::string s = "graph " + name + "(";
  for (size_t i = 0; i < inputs.size(); ++i)
    s += (i > 0 ? ", " : "") + value_str(*this, inputs[i].value) + " " + kind_name(inputs[i].kind);
  s += ") {\n";
  for (const GraphNode& n : nodes) {
    s += "  ";
    for (size_t k = 0; k < n.out.size(); ++k) s += (k > 0 ? ", " : "") + value_str(*this, n.out[k]);
    s += " = " + n.op->schema.full_name() + "(" + ids_str(n.in) + ")";
    std::string attrs = attrs_str(*n.op, n.attrs);
    if (!attrs.empty()) s += " {" + attrs + "}";
    if (n.group >= 0) s += " @" + std::to_string(n.group);
    s += "\n";
  }
  s += "  return" + std::string(outputs.empty() ? "" : " ") + ids_str(outputs) + "\n";
  for (const GraphUpdate& u : updates)
    s += "  update %" + std::to_string(u.input) + " = %" + std::to_string(u.value) + "\n";
  return s + "}\n";
}

Tensor abstract_value(const Graph& g, ValueId v) {
  const GraphValue& x = g.values[static_cast<size_t>(v)];
  Ref<TensorRecord> r = new_abstract(x.shape, x.dtype, DeviceType::Meta);
  if (!x.strides.empty()) r->strides = x.strides;
  r->wrapped_number = x.weak;
  return Tensor(r);
}

std::vector<std::vector<int>> uses_of(const Graph& g) {
  std::vector<std::vector<int>> uses(g.values.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    for (ValueId v : g.nodes[i].in) {
      if (v >= 0) uses[static_cast<size_t>(v)].push_back(static_cast<int>(i));
    }
  }
  return uses;
}

void verify(const Graph& g, std::string_view after) {
  std::vector<bool> made(g.values.size(), false);
  auto known = [&](ValueId v) {
    return v >= 0 && static_cast<size_t>(v) < g.values.size() && made[static_cast<size_t>(v)];
  };
  auto make = [&](ValueId v, int node) {
    if (v < 0 || static_cast<size_t>(v) >= g.values.size()) broken(g, node, after, "no value %" + std::to_string(v));
    if (made[static_cast<size_t>(v)]) broken(g, node, after, "%" + std::to_string(v) + " is made twice");
    made[static_cast<size_t>(v)] = true;
  };
  for (const GraphInput& in : g.inputs) make(in.value, -1);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const GraphNode& n = g.nodes[i];
    int index = static_cast<int>(i);
    if (n.attrs.size() != n.op->schema.attrs.size())
      broken(g, index, after, "a node has the wrong number of attributes");
    if (!operands_fit(n.op->schema, n.in.size())) broken(g, index, after, "a node has the wrong number of operands");
    for (ValueId v : n.in) {
      if (v != -1 && !known(v)) broken(g, index, after, "%" + std::to_string(v) + " is used before it is made");
    }
    for (ValueId v : n.out) {
      if (v < 0 || static_cast<size_t>(v) >= g.values.size()) broken(g, index, after, "no value %" + std::to_string(v));
    }
    check_results(g, index, after);
    for (ValueId v : n.out) make(v, index);
  }
  for (ValueId v : g.outputs) {
    if (!known(v)) broken(g, -1, after, "the output %" + std::to_string(v) + " is never made");
  }
  for (const GraphUpdate& u : g.updates) {
    auto in = std::find_if(g.inputs.begin(), g.inputs.end(), [&](const GraphInput& i) { return i.value == u.input; });
    if (in == g.inputs.end() || in->kind == InputKind::Constant)
      broken(g, -1, after, "%" + std::to_string(u.input) + " is updated but is no argument or state");
    if (!known(u.value)) broken(g, -1, after, "an update takes %" + std::to_string(u.value) + ", which is never made");
    const GraphValue &a = g.values[static_cast<size_t>(u.input)], &b = g.values[static_cast<size_t>(u.value)];
    if (a.dtype != b.dtype || !(a.shape == b.shape))
      broken(g, -1, after, "an update changes " + value_str(g, u.input) + " into " + value_str(g, u.value));
  }
}

}  // namespace thixo
