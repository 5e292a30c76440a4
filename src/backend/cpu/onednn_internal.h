// What the oneDNN files share.
#pragma once

#ifdef THIXO_WITH_ONEDNN

#include <omp.h>

#include <dnnl.hpp>

#include "thixo/dtype.h"

namespace thixo::cpu {

/// While it lives, oneDNN calls of this thread run on it alone, and primitives made meanwhile are made for that: the
/// threads are ours, and two pools would fight for the cores.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

const dnnl::engine& onednn_engine();
dnnl::stream& onednn_stream();  ///< this thread's
inline dnnl::memory::data_type onednn_type(DType t) {
  return t == DType::BF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

}  // namespace thixo::cpu

#endif
