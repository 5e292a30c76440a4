// Composites over rows (OpDef::fused_rows) as one kernel for any sizes: the decomposition is traced with symbolic sizes
// and scheduled (schedule.h). Like nests, the kernels are found in the pack by their content.
#pragma once

#include <optional>

#include "codegen/pack_builder.h"
#include "ir/op.h"

namespace thixo::codegen {

struct RowForm {
  Kernel kernel;
  /// What stands behind each buffer of the kernel: operand `index`, number `index`, result `index`, or scratch.
  struct Buffer {
    enum Kind : uint8_t { Operand, Number, Result, Scratch } kind;
    int index;
  };
  std::vector<Buffer> buffers;
  std::vector<Tensor> numbers;
  std::vector<Spec> results;
  std::vector<Dim> sizes;  ///< per integer argument, over the names of the sizes
  std::vector<Dim> scratch;  ///< elements, per scratch buffer
  std::vector<double> params;  ///< two per Param; attributes are part of the form
  Dim extent, row;  ///< of the parallel axis; elements of a row
  struct SizeName {
    std::string name;
    size_t size;  ///< which of row_sizes(call)
  };
  std::vector<SizeName> size_names;  ///< dims of one size may have several
};

/// Calls that agree in op, dtypes, attributes and in which sizes are equal (or 1) have the same form; where the
/// decomposition does not ask which are equal, those that do not agree in this have the same kernel. nullopt when the
/// decomposition is not one kernel, with `why` set. Operands and results are row-major.
std::optional<RowForm> row_form(const Call& call, std::string* why = nullptr);

/// The different sizes of the operands above 1, as they come.
SmallVec<int64_t, 8> row_sizes(const Call& call);

/// All samples of all such ops.
void add_row_kernels(PackSink& sink);

}  // namespace thixo::codegen
