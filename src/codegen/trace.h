// A decomposition written down without data: the ops that a composite calls, as a Graph over operands of symbolic
// sizes.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace thixo::codegen {

struct Trace {
  Graph graph;                  ///< inputs: the operands, in whatever shape they are read, and numbers
  std::vector<int> operand;     ///< per graph input: which operand, or -1 - i for numbers[i]
  std::vector<Spec> results;    ///< as the decomposition returns them: dims of size 1 may differ from the graph's
  std::vector<Tensor> numbers;  ///< numbers that the decomposition brings (wrapped, without dims)
};

/// Runs op.compose on abstract operands. nullopt when the decomposition needs data, or writes in place.
std::optional<Trace> trace(const Call& call);

/// While it lives, symbolic sizes that are asked for their number get it from `values` (by name).
class SizeHints {
 public:
  explicit SizeHints(std::vector<std::pair<std::string, int64_t>> values);
  ~SizeHints();
  SizeHints(const SizeHints&) = delete;

 private:
  static int64_t resolve(Dim d);
  std::vector<std::pair<std::string, int64_t>> values_;
  SizeHints* outer_;
  int64_t (*before_)(Dim);
};

}  // namespace thixo::codegen
