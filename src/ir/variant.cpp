#include "ir/variant.h"

#include <algorithm>

namespace thixo {
namespace {

bool is_numeric(AttrKind k) {
  return k == AttrKind::Int || k == AttrKind::Float || k == AttrKind::Scalar || k == AttrKind::Dim;
}

// The choices of one attribute, by number. A numeric one: 0 its default (None when it may be None), 1 any other value;
// without a default there is but one.
int choices(const AttrDecl& d) {
  if (d.kind == AttrKind::Bool) return 2;
  if (d.kind == AttrKind::Enum) return static_cast<int>(d.choices.size());
  if (is_numeric(d.kind)) return d.has_default || d.optional ? 2 : 1;
  return 1;
}

int choice_of(const AttrDecl& d, const Attr& a) {
  switch (d.kind) {
    case AttrKind::Bool: return std::get<bool>(a) ? 1 : 0;
    case AttrKind::Enum:
      return static_cast<int>(std::find(d.choices.begin(), d.choices.end(), std::get<std::string>(a)) -
                              d.choices.begin());
    default: return is_numeric(d.kind) && choices(d) == 2 && !(a == d.def) ? 1 : 0;
  }
}

Attr numeric_attr(AttrKind k, double v) {
  if (k == AttrKind::Float) return v;
  if (k == AttrKind::Scalar) return Scalar(v);
  return Dim(static_cast<int64_t>(v));
}

Attr attr_of_choice(const AttrDecl& d, int choice, double fill) {
  if (d.kind == AttrKind::Bool) return choice == 1;
  if (d.kind == AttrKind::Enum) return d.choices[static_cast<size_t>(choice)];
  if (is_numeric(d.kind) && (choice == 1 || choices(d) == 1)) return numeric_attr(d.kind, fill);
  return d.def;
}

// The choice that the name leaves out.
int default_choice(const AttrDecl& d) { return d.has_default ? choice_of(d, d.def) : is_numeric(d.kind) ? 0 : -1; }

}  // namespace

int variant_count(const OpDef& op) {
  int n = 1;
  for (const AttrDecl& d : op.schema.attrs) n *= choices(d);
  return n;
}

int variant_of(const OpDef& op, std::span<const Attr> attrs) {
  int v = 0;
  const std::vector<AttrDecl>& decls = op.schema.attrs;
  for (size_t i = 0; i < decls.size(); ++i) v = v * choices(decls[i]) + choice_of(decls[i], attrs[i]);
  return v;
}

std::vector<Attr> variant_attrs(const OpDef& op, int variant, double fill) {
  const std::vector<AttrDecl>& decls = op.schema.attrs;
  std::vector<Attr> out(decls.size());
  for (size_t i = decls.size(); i-- > 0;) {
    const int n = choices(decls[i]);
    out[i] = attr_of_choice(decls[i], variant % n, fill);
    variant /= n;
  }
  return out;
}

std::string variant_name(const OpDef& op, int variant) {
  const std::vector<AttrDecl>& decls = op.schema.attrs;
  std::string out;
  for (size_t i = decls.size(); i-- > 0;) {
    const AttrDecl& d = decls[i];
    const int choice = variant % choices(d);
    variant /= choices(d);
    if (choice == default_choice(d) || choices(d) == 1) continue;
    std::string part = "/" + d.name;
    if (d.kind == AttrKind::Bool) part += choice == 1 ? "=true" : "=false";
    if (d.kind == AttrKind::Enum) part += "=" + d.choices[static_cast<size_t>(choice)];
    out = part + out;
  }
  return out;
}

}  // namespace thixo
