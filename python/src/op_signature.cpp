#include "op_signature.h"

namespace thixo::py {

Signature make_signature(const OpDef* op) {
  Signature s{op, &op_schema(*op), {}, {}, 0, -1, -1, false};
  const Schema& sc = *s.schema;
  for (const ParamRef& p : sc.params) {
    const std::string& n =
        p.is_operand ? sc.operands[static_cast<size_t>(p.index)].name : sc.attrs[static_cast<size_t>(p.index)].name;
    bool rng = !p.is_operand && sc.attrs[static_cast<size_t>(p.index)].kind == AttrKind::Rng;
    if (rng) s.rng = p.index;
    s.names.push_back(PyUnicode_InternFromString(rng ? "generator" : n.c_str()));
    if (!p.keyword_only && !rng) ++s.positional;
  }
  for (size_t i = 0; i < sc.params.size(); ++i) {
    const ParamRef& p = sc.params[i];
    if (p.is_operand && sc.operands[static_cast<size_t>(p.index)].name == "input") s.receiver = static_cast<int>(i);
  }
  for (size_t i = 0; i < sc.params.size() && s.receiver < 0; ++i) {
    if (sc.params[i].is_operand) s.receiver = static_cast<int>(i);
  }
  s.takes_out = sc.visible_results() == 1 && !sc.results[0].list;
  return s;
}

void find_defaults(std::vector<Signature>& overloads) {
  for (Signature& s : overloads) {
    for (const AttrDecl& a : s.schema->attrs) {
      const Attr* found = a.has_default || a.optional ? &a.def : nullptr;
      for (const Signature& other : overloads) {
        for (const AttrDecl& b : other.schema->attrs) {
          if (found == nullptr && b.name == a.name && b.kind == a.kind && b.has_default) found = &b.def;
        }
      }
      s.defaults.push_back(found);
    }
  }
}

std::string signature_text(const Signature& s, OpForm form) {
  std::string t = s.schema->text.substr(0, s.schema->text.find(" @"));
  return form == OpForm::InPlace ? s.schema->name + "_" + t.substr(t.find('(')) : t;
}

}  // namespace thixo::py
