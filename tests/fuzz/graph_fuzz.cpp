// rooms: base core ir ops transform gen
// Any text is refused as a graph with an Error, or is a graph: it prints as a text that reads back the same, and the
// passes and the memory plan make a well-formed program of it.
#include <cstdint>
#include <cstdlib>

#include "ir/dispatch.h"
#include "transform/passes/passes.h"
#include "transform/start.h"

namespace thixo::detail {

/// Shapes alone: nothing is computed here.
DispatchTable start() {
  DispatchTable t;
  t.eager = [](const Call& call) {
    Values out;
    for (const Spec& s : infer(call)) out.push_back(Tensor(new_abstract(s.shape, s.dtype, DeviceType::Meta)));
    return out;
  };
  t.eager_into = [](const Call&, std::span<const Tensor>) {};
  start_transforms(t);
  return t;
}

}  // namespace thixo::detail

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thixo;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Graph g;
  try {
    g = parse_graph(text);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Value) std::abort();
    return 0;
  }
  const std::string printed = g.str();
  if (parse_graph(printed).str() != printed) std::abort();
  for (const Pass& p : all_passes()) {
    p.run(g);
    verify(g, p.name);
  }
  const MemoryPlan plan = plan_memory(g);
  for (const Place& p : plan.places) {
    if (p.kind == Place::Arena && (p.offset < 0 || p.offset + p.bytes > plan.arena_bytes)) std::abort();
  }
  return 0;
}
