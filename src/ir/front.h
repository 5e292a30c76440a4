// Helpers of the generated front functions (ops_front.cpp).
#pragma once

#include "ir/op.h"
#include "thixo/generator.h"

namespace thixo {

inline Attr list_attr(const IntList& v) {
  Shape s;
  for (int64_t i : v) s.push_back(i);
  return s;
}

/// The key of a random call: as many counter blocks as the call's first result has elements (one block of four
/// 32-bit numbers an element, so element i always uses block i) are taken from `g` or the default generator.
RngKey draw_key(const Call& call, Generator* g);

}  // namespace thixo
