// Brings the parts of the library together, once, when the first op is dispatched.
#include "transform/start.h"

#include "backend/cpu/entries.h"
#include "backend/cpu/index.h"
#include "ir/dispatch.h"
#include "runtime/eager.h"

namespace thixo::detail {

DispatchTable start() {
  add_copy_entries();
  add_move_entries();
  cpu::add_cpu_entries();
  cpu::add_index_entries();
  DispatchTable t;
  t.eager = eager;
  t.eager_into = eager_into;
  start_transforms(t);
  return t;
}

}  // namespace thixo::detail
