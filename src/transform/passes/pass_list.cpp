#include "base/env.h"
#include "transform/passes/passes.h"

namespace thixo {
namespace {

constexpr Pass kPasses[] = {
    {"simplify", simplify},
    {"common_subexpressions", common_subexpressions},
    {"dead_code", dead_code},
    {"fuse", fuse},
};

bool verify_each() {
#ifdef NDEBUG
  return env_flag(Env::Verify);
#else
  return true;
#endif
}

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

void run_passes(Graph& g) {
  verify(g, "record");
  for (const Pass& p : kPasses) {
    p.run(g);
    if (verify_each()) verify(g, p.name);
  }
  if (!verify_each()) verify(g, "the last pass");
}

}  // namespace thixo
