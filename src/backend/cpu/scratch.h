// Working memory of a library call or a contraction: from the allocator, so that it is kept and counted.
#pragma once

#include <cstddef>

#include "core/allocator.h"

namespace thixo::cpu {

class Scratch {
 public:
  explicit Scratch(size_t bytes) : bytes_(bytes), memory_(allocate(bytes)) {}
  ~Scratch() { deallocate(memory_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return memory_.data; }
  template <class T> T* as() const { return static_cast<T*>(memory_.data); }

 private:
  size_t bytes_;
  Allocation memory_;
};

/// Memory for n values of T.
template <class T> class Array : public Scratch {
 public:
  explicit Array(int64_t n) : Scratch(static_cast<size_t>(n) * sizeof(T)) {}
  T* get() const { return this->template as<T>(); }
  T& operator[](int64_t i) const { return get()[i]; }
};

}  // namespace thixo::cpu
