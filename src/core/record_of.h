// The way from a tensor that a caller handed in to its record: the handle may be empty.
#pragma once

#include "core/record.h"

namespace thixo {

/// Throws ValueError "<what> of an undefined tensor".
[[noreturn]] THIXO_API void throw_undefined(const char* what);
/// The record of a tensor that a caller handed in: Tensor() has none.
inline TensorRecord& record_of(const Tensor& t, const char* what) {
  if (t.defined()) [[likely]]
    return *t.record();
  throw_undefined(what);
}

}  // namespace thixo
