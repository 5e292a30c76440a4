// How many threads an op may use. Results never depend on it.
#pragma once

#include "thixo/export.h"

namespace thixo {

/// Threads of one op: set_num_threads, else THIXO_NUM_THREADS, else OMP_NUM_THREADS, else the cores of this process.
/// 1 inside a parallel loop, on a serial thread, and in a forked child.
THIXO_API int get_num_threads();
/// For all threads of the process, from now on. ValueError below 1.
THIXO_API void set_num_threads(int n);

/// While it lives, the ops of this thread run on this thread alone: for data loader and server threads,
/// which are many already.
class THIXO_API SerialThread {
 public:
  SerialThread();
  ~SerialThread();
  SerialThread(const SerialThread&) = delete;
  SerialThread& operator=(const SerialThread&) = delete;

 private:
  bool before_;
};

}  // namespace thixo
