#include "backend/cpu/panels.h"

#include <complex>
#include <cstring>

#include "base/half.h"
#include "thixo/error.h"

namespace thixo::cpu {
namespace {

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};

template <class D, class S> D widen(S v) {
  if constexpr (std::is_same_v<S, Half>) {
    return f16_to_f32(v.bits);
  } else if constexpr (std::is_same_v<S, Brain>) {
    return bf16_to_f32(v.bits);
  } else {
    return static_cast<D>(v);
  }
}

bool consecutive(const int64_t* offsets, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    if (offsets[i] != offsets[0] + i) return false;
  }
  return true;
}

/// A panel's columns as runs of neighbours; 0 when there are more than kMaxRuns.
constexpr int kMaxRuns = 4;
struct Run {
  int at;
  int64_t offset;
};
int find_runs(const int64_t* outer, int count, Run* runs) {
  int n = 0;
  for (int i = 0; i < count; ++i) {
    if (i > 0 && outer[i] == outer[i - 1] + 1) continue;
    if (n == kMaxRuns) return 0;
    runs[n++] = {i, outer[i]};
  }
  return n;
}

/// Whole vectors are copied for each run: what a run writes too much, the next run or step overwrites. The last
/// steps, whose surplus would leave the panel, are left to the caller: returns how many were done.
template <class T, int W>
int64_t pack_runs(const T* data, const Run* runs, int run_count, const int64_t* inner, int64_t n, T* to) {
  for (int64_t k = 0; k + 1 < n; ++k, to += W) {
    const T* from = data + inner[k];
    for (int r = 0; r < run_count; ++r) std::memcpy(to + runs[r].at, from + runs[r].offset, W * sizeof(T));
  }
  return n > 0 ? n - 1 : 0;
}

/// The inner offsets as runs of neighbours, when they are long enough to be worth it (count 0 otherwise).
struct Steps {
  static constexpr int64_t kMax = 64;
  int64_t count = 0, start[kMax];
  Steps(const int64_t* inner, int64_t n) {
    for (int64_t k = 0; k < n; ++k) {
      if (k > 0 && inner[k] == inner[k - 1] + 1) continue;
      if (count == kMax || count * 4 > n) {
        count = 0;
        return;
      }
      start[count++] = k;
    }
  }
};

using Float4 [[gnu::vector_size(16)]] = float;

/// Four rows, consecutive in k, into columns i..i+3 of a panel of width W. Returns how many steps were done.
template <int W> int64_t transpose4(const float* const* rows, int64_t n, float* to) {
  int64_t k = 0;
  for (; k + 4 <= n; k += 4) {
    Float4 a, b, c, d;
    std::memcpy(&a, rows[0] + k, 16);
    std::memcpy(&b, rows[1] + k, 16);
    std::memcpy(&c, rows[2] + k, 16);
    std::memcpy(&d, rows[3] + k, 16);
    const Float4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Float4 ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const Float4 out[4] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
                           __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5),
                           __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7)};
    for (int64_t s = 0; s < 4; ++s) std::memcpy(to + (k + s) * W, &out[s], 16);
  }
  return k;
}

template <class S, class D, int W>
void gather(const S* data, const int64_t* outer, int count, const int64_t* inner, int64_t n, D* to) {
  for (int64_t k = 0; k < n; ++k, to += W) {
    const S* from = data + inner[k];
    int i = 0;
    for (; i < count; ++i) to[i] = widen<D>(from[outer[i]]);
    for (; i < W; ++i) to[i] = D(0);
  }
}

template <class S, class D, int W> void pack_transposed(const S* data, const int64_t* outer, int64_t n, D* to) {
  if constexpr (std::is_same_v<S, float> && W >= 4) {
    for (int i = 0; i < W; i += 4) {
      const int at = i + 4 <= W ? i : W - 4;  // the last four may be packed twice
      const float* rows[4];
      for (int r = 0; r < 4; ++r) rows[r] = data + outer[at + r];
      for (int64_t k = transpose4<W>(rows, n, to + at); k < n; ++k) {
        for (int r = 0; r < 4; ++r) to[k * W + at + r] = rows[r][k];
      }
    }
    return;
  }
  for (int i = 0; i < W; ++i) {
    const S* from = data + outer[i];
    for (int64_t k = 0; k < n; ++k) to[k * W + i] = widen<D>(from[k]);
  }
}

template <class S, class D, int W>
void pack_panel(const S* data, const int64_t* outer, int count, const int64_t* inner, int64_t n, const Steps& steps,
                bool slack, D* to) {
  if (count == W && consecutive(outer, W)) {
    for (int64_t k = 0; k < n; ++k, to += W) {
      const S* from = data + outer[0] + inner[k];
      if constexpr (std::is_same_v<S, D>) {
        std::memcpy(to, from, W * sizeof(D));
      } else {
        for (int i = 0; i < W; ++i) to[i] = widen<D>(from[i]);
      }
    }
    return;
  }
  if (count == W && steps.count != 0) {
    for (int64_t r = 0; r < steps.count; ++r) {
      const int64_t from = steps.start[r], until = r + 1 < steps.count ? steps.start[r + 1] : n;
      pack_transposed<S, D, W>(data + inner[from], outer, until - from, to + from * W);
    }
    return;
  }
  if constexpr (std::is_same_v<S, D>) {
    Run runs[kMaxRuns];
    const int run_count = slack ? find_runs(outer, count, runs) : 0;
    if (run_count != 0) {
      const int64_t done = pack_runs<S, W>(data, runs, run_count, inner, n, to);
      inner += done;
      n -= done;
      to += done * W;
    }
  }
  gather<S, D, W>(data, outer, count, inner, n, to);
}

template <class S, class D, int W> void pack_width(const PackJob& j, D* to) {
  const auto* data = static_cast<const S*>(j.data);
  const Steps steps(j.inner, j.inner_count);
  for (int64_t o = 0; o < j.outer_count; o += W, to += W * j.inner_count) {
    const int count = static_cast<int>(j.outer_count - o < W ? j.outer_count - o : W);
    pack_panel<S, D, W>(data, j.outer + o, count, j.inner, j.inner_count, steps, j.slack, to);
  }
}

template <class S, class D> void pack_typed(const PackJob& j, void* to) {
  if (j.inner_count == 0) return;
  switch (j.width) {
    case 2: return pack_width<S, D, 2>(j, static_cast<D*>(to));
    case 6: return pack_width<S, D, 6>(j, static_cast<D*>(to));
    case 12: return pack_width<S, D, 12>(j, static_cast<D*>(to));
    case 16: return pack_width<S, D, 16>(j, static_cast<D*>(to));
    case 32: return pack_width<S, D, 32>(j, static_cast<D*>(to));
    default: throw InternalError("no packing for panels of " + std::to_string(j.width));
  }
}

template <class R> void pack_complex(const PackJob& j, R* to) {
  const auto* data = static_cast<const std::complex<R>*>(j.data);
  const int64_t columns = j.width / 2;
  for (int64_t o = 0; o < j.outer_count; o += columns) {
    for (int64_t k = 0; k < j.inner_count; ++k, to += 2 * j.width) {
      for (int64_t i = 0; i < columns; ++i) {
        const std::complex<R> v = o + i < j.outer_count ? data[j.outer[o + i] + j.inner[k]] : std::complex<R>();
        to[2 * i] = v.real();
        to[2 * i + 1] = v.imag();
        to[j.width + 2 * i] = -v.imag();
        to[j.width + 2 * i + 1] = v.real();
      }
    }
  }
}

}  // namespace

DType gemm_type(DType t) {
  switch (t) {
    case DType::F64:
    case DType::C128: return DType::F64;
    case DType::I64:
    case DType::U64: return DType::I64;
    case DType::F32:
    case DType::F16:
    case DType::BF16:
    case DType::C64: return DType::F32;
    default: return DType::I32;
  }
}

void pack_panels(const PackJob& job, void* to) {
  switch (job.dtype) {
    case DType::F64:
    case DType::C128: return pack_typed<double, double>(job, to);
    case DType::F32:
    case DType::C64: return pack_typed<float, float>(job, to);
    case DType::F16: return pack_typed<Half, float>(job, to);
    case DType::BF16: return pack_typed<Brain, float>(job, to);
    case DType::I64:
    case DType::U64: return pack_typed<int64_t, int64_t>(job, to);
    case DType::I32:
    case DType::U32: return pack_typed<int32_t, int32_t>(job, to);
    case DType::I16: return pack_typed<int16_t, int32_t>(job, to);
    case DType::I8: return pack_typed<int8_t, int32_t>(job, to);
    case DType::U16: return pack_typed<uint16_t, int32_t>(job, to);
    case DType::U8:
    case DType::Bool: return pack_typed<uint8_t, int32_t>(job, to);
  }
}

void pack_complex_panels(const PackJob& job, void* to) {
  if (job.dtype == DType::C64) {
    pack_complex<float>(job, static_cast<float*>(to));
  } else {
    pack_complex<double>(job, static_cast<double*>(to));
  }
}

}  // namespace thixo::cpu
