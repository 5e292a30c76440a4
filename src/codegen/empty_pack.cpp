// What thixo-gen has in place of a kernel pack and of the runtime: it records ops, it never computes.
#include "codegen/pack.h"
#include "ir/dispatch.h"

namespace thixo {

namespace codegen {
const PackTable* const kPackTables[] = {nullptr};
const std::size_t kPackTableCount = 0;
}  // namespace codegen

namespace {

/// Results as shapes alone: what composites without a shape rule of their own are run with.
Values shapes_only(const Call& call) {
  if (call.op->tier == Tier::Composite) return call.op->compose(call);
  Values out;
  for (const Spec& s : infer(call)) out.push_back(Tensor(new_abstract(s.shape, s.dtype, DeviceType::Meta)));
  return out;
}

}  // namespace

namespace detail {
DispatchTable start() {
  DispatchTable t;
  t.eager = shapes_only;
  return t;
}
}  // namespace detail

}  // namespace thixo
