// Reads the text form of a Graph. Every bad input, hostile ones too, ends in a ValueError with line and column.
#include <cctype>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "ir/graph.h"

namespace thixo {
namespace {

constexpr int64_t kMaxValues = 1 << 20;
constexpr int kMaxDepth = 16;  // of nested view chains in attributes
constexpr double kMaxElements = 0x1p42;  // of a value, where sizes of 0 count as 1: sums of bytes stay in 64 bits

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Graph graph() {
    word("graph");
    g_.name = name();
    expect("(");
    while (!take(")")) {
      input();
      if (!take(",") && !looking_at(")")) fail("expected ',' or ')'");
    }
    expect("{");
    while (!looking_at("return") && !looking_at("update") && !looking_at("}")) node();
    if (take("return")) {
      while (looking_at("%")) {
        g_.outputs.push_back(used());
        take(",");
      }
    }
    while (take("update")) {
      ValueId in = used();
      expect("=");
      g_.updates.push_back({in, used()});
    }
    expect("}");
    space();
    if (at_ != text_.size()) fail("text after the end");
    return std::move(g_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n' ? 1 : 0;
    }
    throw ValueError("parse_graph: " + what + " at line " + std::to_string(line) + ", column " +
                     std::to_string(column));
  }
  void space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool looking_at(std::string_view s) {
    space();
    return text_.substr(at_).starts_with(s);
  }
  bool take(std::string_view s) {
    if (!looking_at(s)) return false;
    at_ += s.size();
    return true;
  }
  void expect(std::string_view s) {
    if (!take(s)) fail("expected '" + std::string(s) + "'");
  }
  void word(std::string_view w) {
    if (name() != w) fail("expected '" + std::string(w) + "'");
  }
  std::string name() {
    space();
    size_t from = at_;
    auto inside = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == ':' || c == '|';
    };
    while (at_ < text_.size() && inside(text_[at_])) ++at_;
    if (from == at_) fail("expected a name");
    return std::string(text_.substr(from, at_ - from));
  }
  int64_t integer() {
    space();
    int64_t v = 0;
    auto [end, err] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
    if (err != std::errc()) fail("expected an integer");
    at_ = static_cast<size_t>(end - text_.data());
    return v;
  }
  Dim dim() {
    int64_t v = integer();
    if (Dim::is_handle(v)) fail("a number that cannot be a size or an index");
    return v;
  }
  double number() {
    space();
    double v = 0;
    auto [end, err] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
    if (err != std::errc()) fail("expected a number");
    at_ = static_cast<size_t>(end - text_.data());
    return v;
  }
  uint64_t natural() {
    space();
    uint64_t v = 0;
    auto [end, err] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
    if (err != std::errc()) fail("expected a natural number");
    at_ = static_cast<size_t>(end - text_.data());
    return v;
  }
  Shape sizes(bool limited) {
    Shape s;
    expect("[");
    while (!take("]")) {
      Dim d = dim();
      if (limited && (d < 0 || d > (int64_t{1} << 40))) fail("a size out of range");
      s.push_back(d);
      if (limited && s.size() > kMaxRank) fail("more than " + std::to_string(kMaxRank) + " dims");
      if (!take(",") && !looking_at("]")) fail("expected ',' or ']'");
    }
    return s;
  }
  DType dtype() {
    space();
    size_t from = at_;
    while (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    std::string_view w = text_.substr(from, at_ - from);
    for (int t = 0; t < kDTypeCount; ++t) {
      if (dtype_short_name(static_cast<DType>(t)) == w) return static_cast<DType>(t);
    }
    at_ = from;
    fail("unknown dtype '" + std::string(w) + "'");
  }

  /// "%3: f32[2, 3] weak strides [3, 1]": makes a value; the text's numbers need not be dense.
  ValueId made() {
    expect("%");
    int64_t id = integer();
    expect(":");
    DType t = dtype();
    Shape s = sizes(true);
    if (static_cast<int64_t>(g_.values.size()) >= kMaxValues) fail("too many values");
    if (!ids_.emplace(id, static_cast<ValueId>(g_.values.size())).second)
      fail("%" + std::to_string(id) + " is made twice");
    double elements = 1;
    for (Dim d : s) elements *= std::max(1.0, static_cast<double>(d.value()));
    if (elements > kMaxElements) fail("too large a shape");
    ValueId v = g_.add_value(t, s);
    if (take("weak")) g_.values.back().weak = true;
    if (take("strides")) {
      g_.values.back().strides = sizes(true);
      if (g_.values.back().strides.size() != s.size()) fail("as many strides as sizes are needed");
    }
    return v;
  }
  ValueId used() {
    expect("%");
    int64_t id = integer();
    auto found = ids_.find(id);
    if (found == ids_.end()) fail("%" + std::to_string(id) + " is used before it is made");
    return found->second;
  }
  void input() {
    ValueId v = made();
    std::string kind = name();
    if (kind != "arg" && kind != "state" && kind != "constant") fail("unknown kind of input '" + kind + "'");
    g_.inputs.push_back({v, kind == "arg" ? InputKind::Arg : kind == "state" ? InputKind::State : InputKind::Constant});
  }
  const OpDef* op() {
    std::string n = name();
    const OpDef* found = find_op(n);
    if (found == nullptr) fail("unknown op '" + n + "'");
    return found;
  }
  void node() {
    GraphNode n;
    // Results are named before the op, but must not be visible to its operands: they are looked up afterwards.
    size_t results_at = at_;
    while (looking_at("%")) {
      skip_value();
      take(",");
    }
    expect("=");
    n.op = op();
    expect("(");
    while (!take(")")) {
      n.in.push_back(take("none") ? -1 : used());
      if (!take(",") && !looking_at(")")) fail("expected ',' or ')'");
    }
    n.attrs = attributes(*n.op, "{", "}", 0);
    if (take("@")) n.group = static_cast<int>(integer());
    size_t end = at_;
    at_ = results_at;
    while (!looking_at("=")) {
      n.out.push_back(made());
      take(",");
    }
    at_ = end;
    if (n.out.empty()) fail("a node without results");
    g_.nodes.push_back(std::move(n));
  }
  void skip_value() {
    expect("%");
    integer();
    expect(":");
    dtype();
    sizes(true);
    take("weak");
    if (take("strides")) sizes(true);
  }

  std::vector<Attr> attributes(const OpDef& op, std::string_view open, std::string_view close, int depth) {
    const std::vector<AttrDecl>& decls = op.schema.attrs;
    std::vector<Attr> attrs;
    for (const AttrDecl& d : decls) attrs.push_back(d.def);
    std::vector<bool> given(decls.size(), false);
    if (take(open)) {
      while (!take(close)) {
        std::string n = name();
        size_t i = 0;
        while (i < decls.size() && decls[i].name != n) ++i;
        if (i == decls.size()) fail(op.name() + " has no attribute '" + n + "'");
        if (given[i]) fail("attribute '" + n + "' is given twice");
        expect("=");
        attrs[i] = attribute(decls[i], depth);
        given[i] = true;
        if (!take(",") && !looking_at(close)) fail("expected ',' or '" + std::string(close) + "'");
      }
    }
    for (size_t i = 0; i < decls.size(); ++i) {
      if (!given[i] && !decls[i].has_default) fail(op.name() + " needs the attribute '" + decls[i].name + "'");
    }
    return attrs;
  }
  bool boolean() {
    if (take("true")) return true;
    expect("false");
    return false;
  }
  Attr attribute(const AttrDecl& d, int depth) {
    if (d.optional && take("none")) return {};
    switch (d.kind) {
      case AttrKind::Bool: return boolean();
      case AttrKind::Int:
      case AttrKind::Dim: return dim();
      case AttrKind::Float: return number();
      case AttrKind::Scalar: return scalar();
      case AttrKind::Dims:
      case AttrKind::Size: return sizes(false);
      case AttrKind::DType: return dtype();
      case AttrKind::Device: return Device(name().c_str());
      case AttrKind::String: return name();
      case AttrKind::Enum: {
        std::string w = name();
        for (const std::string& c : d.choices) {
          if (c == w) return w;
        }
        fail("'" + w + "' is no choice of '" + d.name + "'");
      }
      case AttrKind::Rng: {
        expect("rng(");
        RngKey k;
        k.key = natural();
        expect(",");
        k.counter = natural();
        if (take(",")) k.source = static_cast<uint32_t>(natural());
        expect(")");
        return k;
      }
      case AttrKind::Chain: return chain(depth);
    }
    fail("unknown kind of attribute");
  }
  Scalar scalar() {
    if (looking_at("true") || looking_at("false")) return boolean();
    if (take("complex(")) {
      double re = number();
      expect(",");
      double im = number();
      expect(")");
      return std::complex<double>(re, im);
    }
    space();
    size_t from = at_;
    double v = number();
    std::string_view digits = text_.substr(from, at_ - from);
    if (digits.find_first_of(".einf") != std::string_view::npos) return v;
    at_ = from;
    return integer();
  }
  ViewChain chain(int depth) {
    if (depth > kMaxDepth) fail("view chains nested too deeply");
    auto steps = std::make_shared<std::vector<ViewStep>>();
    expect("[");
    while (!take("]")) {
      const OpDef* o = op();
      steps->push_back({o, attributes(*o, "(", ")", depth + 1)});
      if (!take(",") && !looking_at("]")) fail("expected ',' or ']'");
    }
    return steps;
  }

  std::string_view text_;
  size_t at_ = 0;
  Graph g_;
  std::unordered_map<int64_t, ValueId> ids_;
};

}  // namespace

Graph parse_graph(std::string_view text) {
  Graph g = Reader(text).graph();
  try {
    verify(g, "parse_graph");
  } catch (const Error& e) {
    throw ValueError("parse_graph: the text reads well but is no valid graph").got(e.headline());
  }
  return g;
}

}  // namespace thixo
