// What the argument parser needs of an op's overloads.
#pragma once

#include "py.h"

namespace thixo::py {

/// One overload, with names as interned Python strings.
struct Signature {
  const OpDef* op;
  const Schema* schema;
  std::vector<PyObject*> names;  // per param
  std::vector<const Attr*> defaults;  // per attribute; null where there is none
  size_t positional = 0;         // params before the keyword-only ones
  int receiver = -1;             // param that a method is called on
  int rng = -1;                  // attribute index
  bool takes_out = false;
};

Signature make_signature(const OpDef* op);
/// Where one overload leaves a default out, so that C++ can tell them apart, Python takes it from the other: conv2d
/// with padding='same' has the stride of conv2d.
void find_defaults(std::vector<Signature>& overloads);
/// The schema without its flags: for docstrings and TypeErrors.
std::string signature_text(const Signature& s, OpForm form);

}  // namespace thixo::py
