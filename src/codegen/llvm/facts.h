// What the lowering asks about the expressions and statements of one kernel: what a value depends on decides
// where it is computed.
#pragma once

#include <bitset>
#include <unordered_map>

#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// State: accumulators, and buffers that the kernel reads as well as writes.
using StateSet = std::bitset<256>;
using AxisSet = std::bitset<64>;

struct Deps {
  AxisSet axes;
  StateSet states;
  bool loads = false;
};

class KernelFacts {
 public:
  /// Throws NotImplementedError when there are more than 64 axes or 256 states.
  explicit KernelFacts(const Kernel& k);

  const Deps& deps(Expr e);
  size_t axis_slot(int axis) const { return axes_.at(axis); }
  size_t acc_state(int acc) const { return accs_.at(acc); }
  /// Whether loads of the buffer keep their place among the statements.
  bool ordered(int buffer) const { return buffers_.count(buffer) != 0; }
  size_t buffer_state(int buffer) const { return buffers_.at(buffer); }
  /// The states that a block writes, accumulators that it declares among them.
  StateSet writes(const Block& body) const;

 private:
  void number_statements(const Block& body);
  size_t fresh_state();

  std::unordered_map<int, size_t> axes_, accs_, buffers_;
  size_t states_ = 0;
  std::unordered_map<const ExprNode*, Deps> deps_;
};

}  // namespace thixo::codegen
