// Names for the sizes of a call of a composite, under which its decomposition is traced (row_form.h).
#pragma once

#include "codegen/row_form.h"
#include "codegen/trace.h"

namespace thixo::codegen {

/// A call's sizes in names; dims of 1 stay 1.
struct Naming {
  std::vector<Shape> operands, attrs;  ///< per operand and attribute (empty: it is no list of sizes)
  std::vector<RowForm::SizeName> names;
};

/// Equal sizes have one name, so what a decomposition asks about equality comes out alike.
Naming name_by_value(const Call& call, const SmallVec<int64_t, 8>& sizes);

/// A square matrix is to have the kernel of any matrix: namings in which dims that are equal by chance have names of
/// their own, the likelier ones first. None where no operand has a size twice. Which of them mean something is for the
/// decomposition to say: `merged_text` of its graph must be that of the graph under name_by_value.
std::vector<Naming> split_namings(const Call& call, const SmallVec<int64_t, 8>& sizes);
std::string merged_text(const Graph& g, const Naming& n);

using Hints = std::vector<std::pair<std::string, int64_t>>;
Hints true_hints(const Naming& n, const SmallVec<int64_t, 8>& sizes);
/// Numbers that are none of `sizes`, all different: a decomposition that computes with sizes gives itself away.
Hints other_hints(const Naming& n, const SmallVec<int64_t, 8>& sizes);

}  // namespace thixo::codegen
