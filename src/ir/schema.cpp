// Parses schema texts. The grammar stands in schema.h; tools/opgen.py reads the same texts for the C++ fronts.
#include "thixo/schema.h"

#include <cctype>
#include <charconv>
#include <cmath>

#include "thixo/error.h"

namespace thixo {
namespace {

struct KindName {
  const char* name;
  TensorKind kind;
};
constexpr KindName kTensorKinds[] = {
    {"Tensor", TensorKind::Tensor},     {"Number", TensorKind::Number}, {"Real", TensorKind::Real},
    {"Float", TensorKind::Float},       {"FloatC", TensorKind::FloatC}, {"Int", TensorKind::Int},
    {"Integral", TensorKind::Integral}, {"Bool", TensorKind::Bool},     {"Index", TensorKind::Index}};
struct AttrName {
  const char* name;
  AttrKind kind;
};
constexpr AttrName kAttrKinds[] = {
    {"bool", AttrKind::Bool},     {"int", AttrKind::Int},     {"float", AttrKind::Float},
    {"scalar", AttrKind::Scalar}, {"dim", AttrKind::Dim},     {"dims", AttrKind::Dims},
    {"size", AttrKind::Size},     {"dtype", AttrKind::DType}, {"device", AttrKind::Device},
    {"string", AttrKind::String}, {"rng", AttrKind::Rng},     {"chain", AttrKind::Chain}};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Schema parse() {
    Schema s;
    s.text = std::string(text_);
    s.name = word();
    if (take('.')) s.overload = word();
    expect('(');
    bool keyword = false;
    while (!take(')')) {
      if (take('*')) {
        keyword = true;
      } else {
        parameter(s, keyword);
      }
      if (!take(',') && peek() != ')') fail("expected ',' or ')'");
    }
    expect('-');
    expect('>');
    results(s);
    while (take('@')) flag(s, word());
    if (at_ != text_.size()) fail("text after the end");
    return s;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InternalError("schema: " + what + " at column " + std::to_string(at_)).got(text_);
  }
  void space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  char peek() {
    space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("expected '") + c + "'");
  }
  std::string word() {
    space();
    size_t from = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    if (from == at_) fail("expected a name");
    return std::string(text_.substr(from, at_ - from));
  }
  static const KindName* tensor_kind(const std::string& w) {
    for (const KindName& k : kTensorKinds) {
      if (w == k.name) return &k;
    }
    return nullptr;
  }

  void parameter(Schema& s, bool keyword) {
    std::string name = word();
    expect(':');
    std::string kind = word();
    if (const KindName* t = tensor_kind(kind)) {
      OperandDecl o{name, t->kind, false, false};
      if (take('[')) {
        expect(']');
        o.list = true;
      }
      o.optional = take('?');
      s.params.push_back({true, static_cast<int>(s.operands.size()), keyword});
      s.operands.push_back(std::move(o));
      if (take('=')) word();  // "= None" beside the question mark is allowed and means nothing more
      return;
    }
    AttrDecl a;
    a.name = std::move(name);
    a.choices.push_back(kind);
    while (take('|')) a.choices.push_back(word());
    if (a.choices.size() > 1) {
      a.kind = AttrKind::Enum;
    } else {
      bool known = false;
      for (const AttrName& k : kAttrKinds) {
        if (kind == k.name) {
          a.kind = k.kind;
          known = true;
        }
      }
      if (!known) fail("unknown type '" + kind + "'");
      a.choices.clear();
    }
    a.optional = take('?');
    if (take('=')) {
      a.has_default = true;
      a.def = value(a);
    }
    s.params.push_back({false, static_cast<int>(s.attrs.size()), keyword});
    s.attrs.push_back(std::move(a));
  }

  std::string literal() {
    space();
    size_t from = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ')' && text_[at_] != ']' && text_[at_] != ' ')
      ++at_;
    return std::string(text_.substr(from, at_ - from));
  }
  double number(const std::string& w) const {
    if (w == "inf") return HUGE_VAL;
    if (w == "-inf") return -HUGE_VAL;
    double v = 0;
    auto [end, err] = std::from_chars(w.data(), w.data() + w.size(), v);
    if (err != std::errc() || end != w.data() + w.size()) fail("not a number: '" + w + "'");
    return v;
  }
  Attr value(const AttrDecl& a) {
    if (a.kind == AttrKind::Dims || a.kind == AttrKind::Size) {
      if (take('[')) {
        Shape v;
        while (!take(']')) {
          v.push_back(static_cast<int64_t>(number(literal())));
          take(',');
        }
        return v;
      }
    }
    std::string w = literal();
    if (w == "None") return {};
    switch (a.kind) {
      case AttrKind::Bool: return w == "true" || w == "True";
      case AttrKind::Int:
      case AttrKind::Dim: return Dim(static_cast<int64_t>(number(w)));
      case AttrKind::Dims:
      case AttrKind::Size: return Shape{Dim(static_cast<int64_t>(number(w)))};
      case AttrKind::Float: return number(w);
      case AttrKind::Scalar:
        if (w == "true" || w == "false") return Scalar(w == "true");
        return w.find_first_of(".ein") == std::string::npos ? Scalar(static_cast<int64_t>(number(w)))
                                                            : Scalar(number(w));
      case AttrKind::Enum:
      case AttrKind::String: return w;
      case AttrKind::DType:
        for (int t = 0; t < kDTypeCount; ++t) {  // F32, I64, ...: the enumerators, as opgen writes them
          std::string n(dtype_short_name(static_cast<DType>(t)));
          for (char& c : n) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
          if (w == n || (w == "Bool" && n == "BOOL")) return static_cast<DType>(t);
        }
        fail("unknown dtype '" + w + "'");
      case AttrKind::Device: return Device(w.c_str());
      default: fail("this type takes no default but None");
    }
  }

  void results(Schema& s) {
    auto kind = [&](const std::string& w) {
      const KindName* t = tensor_kind(w);
      if (t == nullptr) fail("unknown result kind '" + w + "'");
      return t->kind;
    };
    if (!take('(')) {
      s.results.push_back({"", kind(word()), false, false});
      if (take('[')) {
        expect(']');
        s.results[0].list = true;
      }
      return;
    }
    while (!take(')')) {
      std::string name = word();
      expect(':');
      bool hidden = name[0] == '_';
      s.results.push_back({hidden ? name.substr(1) : name, kind(word()), hidden, false});
      take(',');
    }
  }
  void flag(Schema& s, const std::string& w) {
    if (w == "inplace") {
      s.inplace = true;
    } else if (w == "nn") {
      s.nn = true;
    } else if (w == "creation") {
      s.creation = true;
    } else if (w == "private") {
      s.is_private = true;
    } else if (w == "layer") {
      s.layer = true;
    } else {
      fail("unknown form '@" + w + "'");
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

int Schema::visible_results() const {
  int n = 0;
  for (const ResultDecl& r : results) n += r.hidden ? 0 : 1;
  return n;
}

size_t Schema::operand_at(size_t i, size_t n) const {
  size_t list = 0;
  while (list < operands.size() && !operands[list].list) ++list;
  if (i < list) return i;
  size_t after = operands.size() - list - 1;  // operands behind the list
  return i + after < n ? list : i + operands.size() - n;
}

Schema parse_schema(std::string_view text) { return Parser(text).parse(); }

bool accepts(TensorKind kind, DType t) {
  switch (kind) {
    case TensorKind::Tensor: return true;
    case TensorKind::Number: return t != DType::Bool;
    case TensorKind::Real: return !is_complex(t);
    case TensorKind::Float: return is_float(t);
    case TensorKind::FloatC: return is_float(t) || is_complex(t);
    case TensorKind::Int: return is_int(t);
    case TensorKind::Integral: return is_int(t) || t == DType::Bool;
    case TensorKind::Bool: return t == DType::Bool;
    case TensorKind::Index: return t == DType::I64 || t == DType::I32;
  }
  return false;
}

const char* tensor_kind_name(TensorKind kind) {
  switch (kind) {
    case TensorKind::Tensor: return "any dtype";
    case TensorKind::Number: return "a number type (not bool)";
    case TensorKind::Real: return "a real type (not complex)";
    case TensorKind::Float: return "a floating-point type";
    case TensorKind::FloatC: return "a floating-point or complex type";
    case TensorKind::Int: return "an integer type";
    case TensorKind::Integral: return "an integer type or bool";
    case TensorKind::Bool: return "bool";
    case TensorKind::Index: return "int64 or int32";
  }
  return "";
}

}  // namespace thixo
