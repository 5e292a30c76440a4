// Called once by thixo::detail::start() when the library's parts are brought together.
#pragma once

#include "ir/dispatch.h"

namespace thixo::detail {

/// Fills in the tape's entries.
void start_transforms(DispatchTable& table);

}  // namespace thixo::detail
