// Updates whose kernel takes any number of calls at once stand together, at the end of the program.
#include <algorithm>

#include "ir/backend.h"
#include "ir/dispatch.h"
#include "transform/passes/passes.h"

namespace thixo {

bool takes_many_calls(const OpDef& op) {
  dispatch_table();  // a backend has entries once something is dispatched
  const BackendEntry* entry = op.kernel.empty() ? nullptr : find_backend_entry(op.kernel);
  return entry != nullptr && entry->many;
}

void gather_updates(Graph& g) {
  const std::vector<std::vector<int>> uses = uses_of(g);
  auto can_wait = [&](const GraphNode& n) {
    return takes_many_calls(*n.op) &&
           std::all_of(n.out.begin(), n.out.end(), [&](ValueId v) { return uses[static_cast<size_t>(v)].empty(); });
  };
  auto waiting =
      std::stable_partition(g.nodes.begin(), g.nodes.end(), [&](const GraphNode& n) { return !can_wait(n); });
  std::stable_sort(waiting, g.nodes.end(), [](const GraphNode& a, const GraphNode& b) { return a.op->id < b.op->id; });
}

}  // namespace thixo
