// What this machine can do: the rate of f32 fused multiply-adds and of memory, on the threads that ops use. Every
// program that reports a share takes it of these figures, measured in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "thixo/thixo.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using thixo::parallel_for;

constexpr int64_t kFloats = 32 << 20;  // an array of 128 MiB, far beyond every cache
constexpr int64_t kChains = 12;        // independent sums, enough to hide the latency of an fma

struct Rates {
  double (*fma)(int64_t steps);  // floating-point operations done
  void (*triad)(float* a, const float* b, const float* c, int64_t n);
};

double plain_fma(int64_t steps) {
  float sums[kChains * 4];
  for (int64_t i = 0; i < kChains * 4; ++i) sums[i] = static_cast<float>(i);
  for (int64_t k = 0; k < steps; ++k) {
    for (float& s : sums) s = s * 1.0000001F + 1e-9F;
  }
  benchmark::DoNotOptimize(sums);
  return 2.0 * kChains * 4 * static_cast<double>(steps);
}

void plain_triad(float* a, const float* b, const float* c, int64_t n) {
  for (int64_t i = 0; i < n; ++i) a[i] = b[i] + 3.0F * c[i];
}

#if defined(__x86_64__)

[[gnu::target("avx2,fma")]] double avx2_fma(int64_t steps) {
  const __m256 x = _mm256_set1_ps(1.0000001F), y = _mm256_set1_ps(1e-9F);
  __m256 s[kChains];
  for (int64_t i = 0; i < kChains; ++i) s[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t k = 0; k < steps; ++k) {
#pragma GCC unroll 12
    for (int64_t i = 0; i < kChains; ++i) s[i] = _mm256_fmadd_ps(s[i], x, y);
  }
  for (int64_t i = 1; i < kChains; ++i) s[0] = _mm256_add_ps(s[0], s[i]);
  float lanes[8];
  _mm256_storeu_ps(lanes, s[0]);
  benchmark::DoNotOptimize(lanes);
  return 2.0 * kChains * 8 * static_cast<double>(steps);
}

[[gnu::target("avx512f")]] double avx512_fma(int64_t steps) {
  const __m512 x = _mm512_set1_ps(1.0000001F), y = _mm512_set1_ps(1e-9F);
  __m512 s[kChains];
  for (int64_t i = 0; i < kChains; ++i) s[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t k = 0; k < steps; ++k) {
#pragma GCC unroll 12
    for (int64_t i = 0; i < kChains; ++i) s[i] = _mm512_fmadd_ps(s[i], x, y);
  }
  for (int64_t i = 1; i < kChains; ++i) s[0] = _mm512_add_ps(s[0], s[i]);
  float lanes[16];
  _mm512_storeu_ps(lanes, s[0]);
  benchmark::DoNotOptimize(lanes);
  return 2.0 * kChains * 16 * static_cast<double>(steps);
}

/// Past the caches, as a result that is not read again should be written.
[[gnu::target("avx2,fma")]] void avx2_triad(float* a, const float* b, const float* c, int64_t n) {
  const __m256 three = _mm256_set1_ps(3.0F);
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    _mm256_stream_ps(a + i, _mm256_fmadd_ps(_mm256_loadu_ps(c + i), three, _mm256_loadu_ps(b + i)));
  }
  _mm_sfence();
}

Rates rates() {
  if (__builtin_cpu_supports("avx512f")) return {avx512_fma, avx2_triad};
  if (__builtin_cpu_supports("avx2")) return {avx2_fma, avx2_triad};
  return {plain_fma, plain_triad};
}

#else

Rates rates() { return {plain_fma, plain_triad}; }

#endif

void machine_fma(benchmark::State& state) {
  const Rates r = rates();
  const int64_t threads = thixo::get_num_threads();
  double flop = 0;
  for (auto _ : state) {
    std::vector<double> done(static_cast<size_t>(threads));
    parallel_for(threads, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) done[static_cast<size_t>(t)] = r.fma(4'000'000);
    });
    for (double d : done) flop += d;
  }
  state.counters["GFLOP/s"] = benchmark::Counter(flop / 1e9, benchmark::Counter::kIsRate);
}

void triad_with(benchmark::State& state, void (*triad)(float*, const float*, const float*, int64_t)) {
  constexpr int64_t kPiece = 1 << 16;
  const thixo::Tensor a = thixo::zeros({kFloats}), b = thixo::ones({kFloats}), c = thixo::ones({kFloats});
  float* to = a.data<float>();
  const float *x = b.data<float>(), *y = c.data<float>();
  for (auto _ : state) {
    parallel_for(kFloats / kPiece, [&](int64_t begin, int64_t end) {
      triad(to + begin * kPiece, x + begin * kPiece, y + begin * kPiece, (end - begin) * kPiece);
    });
  }
  state.counters["GB/s"] =
      benchmark::Counter(12e-9 * kFloats * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
void machine_triad(benchmark::State& state) { triad_with(state, rates().triad); }
void machine_triad_plain_stores(benchmark::State& state) { triad_with(state, plain_triad); }

BENCHMARK(machine_fma)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(machine_triad)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(machine_triad_plain_stores)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
