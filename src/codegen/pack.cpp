#include "codegen/pack.h"

#include <algorithm>
#include <span>

#include "base/env.h"
#include "codegen/target.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

std::span<const PackTable* const> tables() { return {kPackTables, kPackTableCount}; }

const PackTable* choose() {
  const std::string_view wanted = env_text(Env::Isa);
  const PackTable* best = nullptr;
  std::string names;
  for (const PackTable* t : tables()) {
    names += (names.empty() ? "" : ", ") + std::string(t->isa);
    const bool runs = host_runs(t->isa);
    if (wanted == t->isa) {
      if (!runs) throw ValueError("THIXO_ISA is '" + std::string(wanted) + "', which this processor does not run");
      return t;
    }
    if (runs) best = t;
  }
  if (!wanted.empty()) {
    throw ValueError("THIXO_ISA is '" + std::string(wanted) + "'").need("one of this build's packs: " + names);
  }
  return best;
}

}  // namespace

const PackTable* active_pack() {
  static const PackTable* const chosen = choose();
  return chosen;
}

KernelFn find_kernel(std::string_view key) {
  const PackTable* t = active_pack();
  if (t == nullptr) return nullptr;
  const uint64_t hash = kernel_hash(key);
  const PackEntry* end = t->entries + t->count;
  const PackEntry* at =
      std::lower_bound(t->entries, end, hash, [](const PackEntry& e, uint64_t h) { return e.hash < h; });
  return at != end && at->hash == hash ? at->kernel : nullptr;
}

}  // namespace thixo::codegen
