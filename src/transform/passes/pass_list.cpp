#include "base/env.h"
#include "transform/passes/passes.h"

namespace thixo {
namespace {

constexpr Pass kPasses[] = {
    {"simplify", simplify},   {"common_subexpressions", common_subexpressions},
    {"dead_code", dead_code}, {"copies_for_views", copies_for_views},
    {"decompose", decompose}, {"gather_updates", gather_updates},
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

void run_passes(Graph& g, std::span<const Pass> passes) {
  const bool each = verify_each();
  for (const Pass& p : passes) {
    p.run(g);
    if (each) verify(g, p.name);
  }
  if (!each) verify(g, passes.back().name);
}

void tidy(Graph& g) {
  verify(g, "record");
  run_passes(g, all_passes().first(4));
}

}  // namespace thixo
