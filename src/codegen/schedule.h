// Scheduling: several nodes of a graph as one kernel over rows.
//
// A group has a domain: the shape S of its largest values, whose last `reduced` dims make a row of C elements (all
// other dims together are the R rows, the kernel's parallel axis). Each value in it is full (shape S) or per row
// (S with the reduced dims gone or 1). The kernel goes over a row in passes: a value that depends on a reduction
// is computed one pass after it; cheap values are computed again in each pass that needs them, expensive ones
// (a transcendental) are kept in row scratch. A group without reductions whose operands all lie alike is one flat
// loop. Sizes may be symbolic (the pack) or known (compile).
#pragma once

#include <optional>

#include "ir/graph.h"
#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// Where a runtime scalar of the kernel comes from: an attribute of a node ("p", "rng.key").
struct ParamSource {
  int node;  // index into Graph::nodes
  std::string attr;
  DType dtype;
};

struct Scheduled {
  Kernel kernel;
  std::vector<ValueId> buffers;      // per kernel buffer that is not Scratch: the value it reads or writes
  std::vector<ParamSource> params;   // per kernel Param
  Dim extent;                        // of the parallel axis: rows, or elements when kernel.vector_par
  Dim row = 1;                       // elements of a row
};

/// Layout of values that come from outside the group, in elements; empty: row-major.
using LayoutOf = std::function<Strides(ValueId)>;

/// The kernel of these nodes (in graph order); values that others need, as `stored` says, are written out row-major.
/// nullopt with `why` set when the nodes cannot be one kernel.
std::optional<Scheduled> schedule(const Graph& g, std::span<const int> nodes,
                                  const std::function<bool(ValueId)>& stored, const LayoutOf& layout,
                                  const std::string& name, std::string* why = nullptr);

}  // namespace thixo::codegen
