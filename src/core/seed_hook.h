// What a recorder must know of generators.
#pragma once

#include "thixo/export.h"

namespace thixo {

/// Told when the program seeds a generator (manual_seed, set_state): a recorder on this thread objects.
using SeedHook = void (*)();
/// Sets this thread's hook (null: none).
THIXO_API void set_seed_hook(SeedHook hook);

}  // namespace thixo
