// Interpreters at the bottom of the stack, right above eager: they watch calls and pass them on.
#pragma once

#include <algorithm>

#include "ir/dispatch.h"
#include "transform/write.h"

namespace thixo {

/// On top of the bottom stack while it lives.
class BottomInterpreter : public Interpreter {
 public:
  BottomInterpreter() { dispatch_state().bottom.push_back(this); }
  ~BottomInterpreter() override { std::erase(dispatch_state().bottom, this); }
  BottomInterpreter(const BottomInterpreter&) = delete;

 protected:
  Values below(const Call& call) const { return dispatch_bottom(call, depth()); }
  void write_below(const Tensor& self, const Tensor& value) const { write_data(self, value, depth()); }

 private:
  size_t depth() const {
    const auto& stack = dispatch_state().bottom;
    return static_cast<size_t>(std::find(stack.begin(), stack.end(), this) - stack.begin());
  }
};

}  // namespace thixo
