// What thixo-gen has in place of a kernel pack and of the runtime: it records ops, it never computes.
#include "codegen/pack.h"
#include "ir/dispatch.h"

namespace thixo {

namespace codegen {
const PackTable* const kPackTables[] = {nullptr};
const std::size_t kPackTableCount = 0;
}  // namespace codegen

namespace detail {
DispatchTable start() { return {}; }
}  // namespace detail

}  // namespace thixo
