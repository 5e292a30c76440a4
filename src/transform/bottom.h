// Interpreters at the bottom of the stack, right above eager: they watch calls and pass them on.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

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
  void into_below(const Call& call, std::span<const Tensor> out) const { dispatch_into(call, out, depth()); }
  void write_below(const Tensor& self, const Tensor& value) const { write_data(self, value, depth()); }

 private:
  size_t depth() const {
    const auto& stack = dispatch_state().bottom;
    return static_cast<size_t>(std::find(stack.begin(), stack.end(), this) - stack.begin());
  }
};

/// A watcher that also wants to see what does not come as op calls: the steps of a compiled program.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  virtual void begin_step(std::string name, std::string shapes) = 0;
  virtual void end_step() = 0;
};

/// The step watchers of a bottom stack, and a step that they see. With an empty stack, which is the rule, `any()` is
/// one comparison.
class StepWatchers {
 public:
  explicit StepWatchers(const std::vector<Interpreter*>& stack) {
    for (Interpreter* i : stack) {
      if (auto* w = dynamic_cast<StepWatcher*>(i)) all_.push_back(w);
    }
  }
  bool any() const { return !all_.empty(); }

  class Step {
   public:
    Step(const StepWatchers& w, const std::string& name, const std::string& shapes) : all_(w.all_) {
      for (StepWatcher* x : all_) x->begin_step(name, shapes);
    }
    ~Step() {
      for (StepWatcher* x : all_) x->end_step();
    }
    Step(const Step&) = delete;

   private:
    const std::vector<StepWatcher*>& all_;
  };

 private:
  std::vector<StepWatcher*> all_;
};

}  // namespace thixo
