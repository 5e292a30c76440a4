// What the makers of sample kernels share: data, buffers, loops, and what 16 lanes make of values.
#pragma once

#include <cstring>

#include "base/half.h"
#include "codegen/llvm/sample_kernels.h"

namespace thixo::codegen::samples {

// Each family has its own file; sample_kinds() joins them.
std::vector<SampleKind> pointwise_samples();
std::vector<SampleKind> index_samples();
std::vector<SampleKind> reduction_samples();
std::vector<SampleKind> large_samples();

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

inline constexpr DType kF32 = DType::F32, kF64 = DType::F64, kI32 = DType::I32, kI64 = DType::I64;

inline KernelBuffer in(const char* name, DType t) { return {name, t, BufferKind::In, {}}; }
inline KernelBuffer out(const char* name, DType t) { return {name, t, BufferKind::Out, {}}; }
inline KernelBuffer inout(const char* name, DType t) { return {name, t, BufferKind::InOut, {}}; }
inline Expr f32(int buffer, Expr index) { return load(buffer, kF32, index); }
inline Dim rows() { return Dim::named("R"); }
inline Dim columns() { return Dim::named("C"); }

inline Sample vectorised(const char* name, std::vector<KernelBuffer> buffers, Block body, int64_t n) {
  Sample s;
  s.kernel.name = name;
  s.kernel.buffers = std::move(buffers);
  s.kernel.vector_par = true;
  s.kernel.body = std::move(body);
  s.end = n;
  return s;
}

/// A kernel whose parallel axis a0 goes over rows and whose sizes are R and C.
inline Sample by_rows(const char* name, std::vector<KernelBuffer> buffers, Block body, int64_t r, int64_t c) {
  Sample s = vectorised(name, std::move(buffers), std::move(body), r);
  s.kernel.vector_par = false;
  s.kernel.sizes = {rows(), columns()};
  s.ints = {r, c};
  return s;
}

template <class T> Bytes room(int64_t n) { return Bytes(static_cast<size_t>(n) * sizeof(T)); }

/// What 16 lanes make of the values: see kernel_ir.h.
template <class T, class F> T fold_lanes(const std::vector<T>& values, T neutral_value, F combine) {
  std::vector<T> lane(kLanes, neutral_value);
  for (size_t i = 0; i < values.size(); ++i) lane[i % kLanes] = combine(lane[i % kLanes], values[i]);
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) lane[i] = combine(lane[i], lane[i + half]);
  }
  return lane[0];
}
template <class T> T lane_sum(const std::vector<T>& values) {
  return fold_lanes(values, T(0), [](T a, T b) { return a + b; });
}

}  // namespace thixo::codegen::samples
