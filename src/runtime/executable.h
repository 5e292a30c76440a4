// Executable: a recorded program, optimised and planned once, run many times. A flat list of steps whose memory is
// already placed; what changes from call to call (arguments, fresh results, random keys) is patched in.
#pragma once

#include <mutex>

#include "codegen/kernel_cache.h"
#include "codegen/schedule.h"
#include "transform/passes/passes.h"
#include "transform/record.h"

namespace thixo {

class StepWatchers;

class Executable final : public Object {
 public:
  explicit Executable(Recording recording);
  ~Executable() override;
  /// Arguments of the recorded shapes and dtypes; the caller has checked them. `keys`: what RandomKeys::draw gave.
  TensorList run(std::span<const Tensor> args, std::span<const RngKey> keys);
  /// What was fused, and the peak memory of the arena: for thixo.explain.
  std::string explain() const;
  const Graph& graph() const { return graph_; }
  int64_t arena_bytes() const { return plan_.arena_bytes; }

 private:
  struct Step;
  struct Fused;
  bool fuse_and_schedule(std::vector<bool>* keep, bool* careful, int round);
  bool schedule_groups();
  bool compile_groups();
  void place_values();
  void build_steps();
  Step make_node_step(const GraphNode& n);
  Step make_fused_step(Fused& f);
  void add_to_many(const GraphNode& n);
  void run_node(Step& s, std::span<const RngKey> keys);
  void run_fused(Step& s, std::span<const RngKey> keys);
  std::string shapes_of_step(const Step& s) const;
  std::string shapes_of_arguments() const;
  void run_watched(const StepWatchers& watchers, std::span<const RngKey> keys);
  void bind(std::span<const Tensor> args);
  Tensor& slot(ValueId v) { return slots_[static_cast<size_t>(v)]; }

  Graph graph_;
  MemoryPlan plan_;
  std::vector<Tensor> bound_;
  std::vector<std::function<void()>> before_replay_;
  RandomKeys random_;
  Tensor arena_;
  std::vector<Tensor> slots_;   // per value: the tensor that holds it now
  std::vector<bool> dynamic_;   // per value: its slot changes from call to call
  std::vector<Fused> fused_;    // by group number
  codegen::CompiledKernels code_;
  std::vector<Step> steps_;
  std::mutex mutex_;
};

}  // namespace thixo
