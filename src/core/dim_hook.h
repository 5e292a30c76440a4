// How Dim::value() of a symbolic size finds its number: the recorder of this thread, while it records.
#pragma once

#include "thixo/dim.h"

namespace thixo {

/// Returns the number of a symbolic size, noting the guard that this implies.
using DimResolver = int64_t (*)(Dim symbolic);

/// Sets this thread's resolver (null: none, a symbolic size then throws ValueError) and returns the one before.
THIXO_API DimResolver set_dim_resolver(DimResolver resolver);

}  // namespace thixo
