// Puts this backend's functions into the table (ir/backend.h).
#pragma once

namespace thixo::cpu {

void add_cpu_entries();

}  // namespace thixo::cpu
