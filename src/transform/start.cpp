#include "transform/start.h"

#include "core/print_hook.h"
#include "transform/tape.h"
#include "transform/write.h"

namespace thixo::detail {

void start_transforms(DispatchTable& table) {
  table.tape = tape;
  table.tape_write = tape_write;
  set_grad_fn_name([](const Object& node) { return static_cast<const Node&>(node).shown_name(); });
}

}  // namespace thixo::detail
