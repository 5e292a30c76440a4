// What the oneDNN files share.
#pragma once

#ifdef THIXO_WITH_ONEDNN

#include <dnnl.hpp>

#include "base/parallel.h"
#include "thixo/dtype.h"

namespace thixo::cpu {

/// While it lives, oneDNN calls of this thread use `n` threads; primitives made meanwhile are made for them.
class LibraryThreads {
 public:
  explicit LibraryThreads(int n) : before_(library_threads()) {
    if (n != before_) set_library_threads(n);
    n_ = n;
  }
  ~LibraryThreads() {
    if (n_ != before_) set_library_threads(before_);
  }
  LibraryThreads(const LibraryThreads&) = delete;
  LibraryThreads& operator=(const LibraryThreads&) = delete;

 private:
  int before_, n_;
};

const dnnl::engine& onednn_engine();
dnnl::stream& onednn_stream();  ///< this thread's
inline dnnl::memory::data_type onednn_type(DType t) {
  return t == DType::BF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

}  // namespace thixo::cpu

#endif
