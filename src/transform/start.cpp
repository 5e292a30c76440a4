#include "transform/start.h"

#include "transform/tape.h"
#include "transform/write.h"

namespace thixo::detail {

void start_transforms(DispatchTable& table) {
  table.tape = tape;
  table.tape_write = tape_write;
}

}  // namespace thixo::detail
