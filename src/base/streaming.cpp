#include "base/streaming.h"

#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace thixo {

#ifdef __SSE2__

namespace {

constexpr size_t kLine = 64;

/// Whole lines, `to` at the start of one; one store a line where the processor has it, so that none leaves in parts.
void stream_lines(char* to, const char* from, size_t bytes) noexcept {
  for (size_t at = 0; at < bytes; at += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at));
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + at), v);
  }
}

[[gnu::target("avx512f")]] void stream_lines_avx512(char* to, const char* from, size_t bytes) noexcept {
  for (size_t at = 0; at < bytes; at += kLine) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), _mm512_loadu_si512(from + at));
  }
}

}  // namespace

void stream_copy(void* to, const void* from, size_t bytes) noexcept {
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  const size_t head = (kLine - reinterpret_cast<uintptr_t>(target) % kLine) % kLine;
  if (bytes < kLine + head) {
    std::memcpy(target, source, bytes);
    return;
  }
  static const auto lines = __builtin_cpu_supports("avx512f") ? stream_lines_avx512 : stream_lines;
  const size_t whole = (bytes - head) / kLine * kLine;
  std::memcpy(target, source, head);
  lines(target + head, source + head, whole);
  std::memcpy(target + head + whole, source + head + whole, bytes - head - whole);
}

void stream_fence() noexcept { _mm_sfence(); }

#else

void stream_copy(void* to, const void* from, size_t bytes) noexcept { std::memcpy(to, from, bytes); }
void stream_fence() noexcept {}

#endif

}  // namespace thixo
