// Where the time goes: each op that runs, as a table and as a trace. A call of a compiled function is an event
// "compiled" with its steps inside it ("fused: gelu+add" is one kernel); the call that records it shows its ops and
// "compile".
//
//   thixo::Profiler p;            // watches this thread until stop() or its end
//   loss.backward();
//   std::puts(p.table().c_str());
//   p.export_chrome_trace("trace.json");   // open in chrome://tracing or ui.perfetto.dev
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "thixo/export.h"

namespace thixo {

class THIXO_API Profiler {
 public:
  struct Event {
    std::string name;        ///< of the op, or of the step of a compiled function
    std::string part_of;     ///< the op whose gradient this belongs to; empty in forward
    std::string shapes;      ///< of the operands: "f32[2, 3], f32[3]"
    int64_t start_ns = 0;    ///< since the profiler was made
    int64_t total_ns = 0;    ///< with the ops that it is made of
    int64_t self_ns = 0;     ///< without them
    int depth = 0;           ///< of calls inside calls
  };

  Profiler();
  ~Profiler();
  Profiler(const Profiler&) = delete;

  /// Ends the watching; what was seen stays.
  void stop();
  const std::vector<Event>& events() const;
  /// One row per op, the longest total time first; at most `rows` (0: all).
  std::string table(int rows = 30) const;
  /// The trace-event format that Chrome and Perfetto read. IoError when the file cannot be written.
  void export_chrome_trace(const std::string& path) const;

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace thixo
