// One kernel of each kind, with data and with what a plain loop makes of it. Test material: compile_test.cpp runs
// them on this machine, cross_test.cpp on all targets.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/half.h"
#include "ir/kernel_ir.h"

namespace thixo::codegen::samples {

using Bytes = std::vector<std::byte>;

struct Sample {
  Kernel kernel;
  std::vector<Bytes> buffers;   // before the call
  std::vector<int64_t> ints = {};
  std::vector<double> params = {};
  int64_t begin = 0, end = 0;
  std::vector<Bytes> expected = {};  // after it
};

/// `fused`: whether Fma rounds once.
struct SampleKind {
  const char* name;
  Sample (*make)(int64_t n, bool fused);
};
const std::vector<SampleKind>& sample_kinds();

template <class T> Bytes to_bytes(const std::vector<T>& v) {
  Bytes b(v.size() * sizeof(T));
  if (!v.empty()) std::memcpy(b.data(), v.data(), b.size());
  return b;
}

/// Numbers that look random, the same everywhere.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed * 2654435761u + 12345u) {}
  uint32_t next() { return state_ = state_ * 1664525u + 1013904223u; }
  /// From -4 to 4.
  float real() { return static_cast<float>(static_cast<int32_t>(next() >> 8) - (1 << 23)) * 0x1p-21f; }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() >> 8) % n; }
  template <class T> std::vector<T> reals(int64_t n) {
    std::vector<T> v(static_cast<size_t>(n));
    for (T& x : v) x = static_cast<T>(real());
    return v;
  }
  template <class T> std::vector<T> indices(int64_t n, int64_t limit) {
    std::vector<T> v(static_cast<size_t>(n));
    for (T& x : v) x = static_cast<T>(below(limit));
    return v;
  }

 private:
  uint32_t state_;
};

}  // namespace thixo::codegen::samples
