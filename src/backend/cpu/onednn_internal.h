// What the oneDNN files share.
#pragma once

#ifdef THIXO_WITH_ONEDNN

#include <omp.h>

#include <dnnl.hpp>

#include "thixo/dtype.h"

namespace thixo::cpu {

/// While it lives, oneDNN calls of this thread use `n` threads; primitives made meanwhile are made for them.
class LibraryThreads {
 public:
  explicit LibraryThreads(int n) : before_(omp_get_max_threads()) {
    if (n != before_) omp_set_num_threads(n);
    n_ = n;
  }
  ~LibraryThreads() {
    if (n_ != before_) omp_set_num_threads(before_);
  }
  LibraryThreads(const LibraryThreads&) = delete;
  LibraryThreads& operator=(const LibraryThreads&) = delete;

 private:
  int before_, n_;
};

const dnnl::engine& onednn_engine();
dnnl::stream& onednn_stream();  ///< this thread's
inline dnnl::memory::data_type onednn_type(DType t) { return t == DType::BF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32; }

}  // namespace thixo::cpu

#endif
