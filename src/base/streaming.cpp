#include "base/streaming.h"

#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace thixo {

#ifdef __SSE2__

void stream_copy(void* to, const void* from, size_t bytes) noexcept {
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  const size_t head = (16 - reinterpret_cast<uintptr_t>(target) % 16) % 16;
  if (bytes < 64 + head) {
    std::memcpy(target, source, bytes);
    return;
  }
  std::memcpy(target, source, head);
  size_t at = head;
  for (; at + 64 <= bytes; at += 64) {
    for (size_t part = 0; part < 64; part += 16) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + at + part));
      _mm_stream_si128(reinterpret_cast<__m128i*>(target + at + part), v);
    }
  }
  std::memcpy(target + at, source + at, bytes - at);
}

void stream_fence() noexcept { _mm_sfence(); }

#else

void stream_copy(void* to, const void* from, size_t bytes) noexcept { std::memcpy(to, from, bytes); }
void stream_fence() noexcept {}

#endif

}  // namespace thixo
