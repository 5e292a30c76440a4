#include "codegen/pack.h"

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

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

KernelFn find_in(const PackTable& t, uint64_t hash) {
  const PackEntry* end = t.entries + t.count;
  const PackEntry* at =
      std::lower_bound(t.entries, end, hash, [](const PackEntry& e, uint64_t h) { return e.hash < h; });
  return at != end && at->hash == hash ? at->kernel : nullptr;
}

using Twins = std::vector<std::pair<KernelFn, KernelFn>>;

/// Of every kernel of the active table, by address.
Twins find_twins() {
  const PackTable* plain = nullptr;
  for (const PackTable* t : tables()) {
    if (!has_fma(t->isa) && host_runs(t->isa)) plain = t;
  }
  if (plain == nullptr) {
    throw NotImplementedError("use_deterministic_algorithms: this build has no kernel pack without fma")
        .fix("build with THIXO_ISAS naming x86-64-v2 too");
  }
  Twins twins;
  const PackTable& active = *active_pack();
  for (const PackEntry& e : std::span(active.entries, active.count)) {
    if (KernelFn twin = find_in(*plain, e.hash)) twins.emplace_back(e.kernel, twin);
  }
  std::sort(twins.begin(), twins.end(), [](const auto& a, const auto& b) { return std::less<>()(a.first, b.first); });
  return twins;
}

}  // namespace

const PackTable* active_pack() {
  static const PackTable* const chosen = choose();
  return chosen;
}

KernelFn find_kernel(std::string_view key) {
  const PackTable* t = active_pack();
  if (t == nullptr) return nullptr;
  return find_in(*t, kernel_hash(key));
}

KernelFn without_fma(KernelFn kernel) {
  const PackTable* t = active_pack();
  if (t == nullptr || !has_fma(t->isa)) return kernel;
  static const Twins twins = find_twins();
  const auto at = std::lower_bound(twins.begin(), twins.end(), kernel,
                                   [](const auto& e, KernelFn k) { return std::less<>()(e.first, k); });
  return at != twins.end() && at->first == kernel ? at->second : kernel;
}

}  // namespace thixo::codegen
