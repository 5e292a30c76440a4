#include "base/transpose.h"

#include <cstring>

namespace thixo::detail {
namespace {

// Vectors of 16 bytes, which every target has; the compiler's generic shuffles become its instructions.
template <class T> struct Vec {
  typedef T Type __attribute__((vector_size(16)));
  static constexpr int64_t kSide = 16 / sizeof(T);
};

template <class T> typename Vec<T>::Type load(const T* p) {
  typename Vec<T>::Type v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T> void store(T* p, typename Vec<T>::Type v) { std::memcpy(p, &v, sizeof v); }

inline void square(const uint64_t* s, int64_t ss, uint64_t* d, int64_t ds) {
  const auto a = load(s), b = load(s + ss);
  store(d, __builtin_shufflevector(a, b, 0, 2));
  store(d + ds, __builtin_shufflevector(a, b, 1, 3));
}

inline void square(const uint32_t* s, int64_t ss, uint32_t* d, int64_t ds) {
  const auto a = load(s), b = load(s + ss), c = load(s + 2 * ss), e = load(s + 3 * ss);
  const auto ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const auto ce0 = __builtin_shufflevector(c, e, 0, 4, 1, 5), ce1 = __builtin_shufflevector(c, e, 2, 6, 3, 7);
  store(d, __builtin_shufflevector(ab0, ce0, 0, 1, 4, 5));
  store(d + ds, __builtin_shufflevector(ab0, ce0, 2, 3, 6, 7));
  store(d + 2 * ds, __builtin_shufflevector(ab1, ce1, 0, 1, 4, 5));
  store(d + 3 * ds, __builtin_shufflevector(ab1, ce1, 2, 3, 6, 7));
}

inline void square(const uint16_t* s, int64_t ss, uint16_t* d, int64_t ds) {
  typename Vec<uint16_t>::Type v[8], w[8];
  for (int i = 0; i < 8; ++i) v[i] = load(s + i * ss);
  // Three rounds of interleaving row i with row i + 4: each moves one bit of the row number into the column number.
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) {
      w[2 * i] = __builtin_shufflevector(v[i], v[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      w[2 * i + 1] = __builtin_shufflevector(v[i], v[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    std::memcpy(v, w, sizeof v);
  }
  for (int i = 0; i < 8; ++i) store(d + i * ds, v[i]);
}

template <class T> void scalars(const T* s, int64_t ss, T* d, int64_t ds, int64_t rows, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) d[c * ds + r] = s[r * ss + c];
  }
}

template <class T> void squares(const char* src, int64_t ss, char* dst, int64_t ds, int64_t rows, int64_t columns) {
  const T* s = reinterpret_cast<const T*>(src);
  T* d = reinterpret_cast<T*>(dst);
  constexpr int64_t kSide = Vec<T>::kSide;
  const int64_t whole_rows = rows / kSide * kSide, whole_columns = columns / kSide * kSide;
  for (int64_t r = 0; r < whole_rows; r += kSide) {
    for (int64_t c = 0; c < whole_columns; c += kSide) square(s + r * ss + c, ss, d + c * ds + r, ds);
  }
  scalars(s + whole_columns, ss, d + whole_columns * ds, ds, whole_rows, columns - whole_columns);
  scalars(s + whole_rows * ss, ss, d + whole_rows, ds, rows - whole_rows, columns);
}

struct Wide {
  uint64_t low, high;
};

}  // namespace

void transpose_tile(size_t item, const char* src, int64_t src_row, char* dst, int64_t dst_row, int64_t rows,
                    int64_t columns) {
  switch (item) {
    case 1:
      return scalars(reinterpret_cast<const uint8_t*>(src), src_row, reinterpret_cast<uint8_t*>(dst), dst_row, rows,
                     columns);
    case 2: return squares<uint16_t>(src, src_row, dst, dst_row, rows, columns);
    case 4: return squares<uint32_t>(src, src_row, dst, dst_row, rows, columns);
    case 8: return squares<uint64_t>(src, src_row, dst, dst_row, rows, columns);
    default:
      return scalars(reinterpret_cast<const Wide*>(src), src_row, reinterpret_cast<Wide*>(dst), dst_row, rows, columns);
  }
}

void prefetch_tile(size_t item, const char* src, int64_t src_row, int64_t rows, int64_t columns) {
  constexpr int64_t kLine = 64;
  const int64_t bytes = columns * static_cast<int64_t>(item), row = src_row * static_cast<int64_t>(item);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t b = 0; b < bytes; b += kLine) __builtin_prefetch(src + r * row + b);
  }
}

}  // namespace thixo::detail
