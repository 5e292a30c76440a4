// The caching allocator. Up to 4 KiB: size classes with a cache per thread, no lock. Above: blocks that are cut
// from segments of huge pages, best fit, joined again when freed. Everything is aligned to 64 bytes.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/thread_state.h"
#include "thixo/memory.h"

#ifdef __has_feature
#define THIXO_HAS_FEATURE(x) __has_feature(x)
#else
#define THIXO_HAS_FEATURE(x) 0
#endif

namespace thixo {

struct LargeBlock;

struct Allocation {
  void* data = nullptr;
  LargeBlock* block = nullptr;  ///< null: from a size class
};

/// Throws ValueError "out of memory".
Allocation allocate(size_t bytes);
/// `bytes` as in allocate().
void deallocate(Allocation a, size_t bytes) noexcept;

namespace detail {

inline constexpr size_t kSmallLimit = 4096;
inline constexpr unsigned kSmallClasses = 20;

/// Steps of 64 bytes up to 512, then four steps per doubling.
constexpr unsigned small_class(size_t bytes) {
  if (bytes <= 512) return bytes == 0 ? 0 : static_cast<unsigned>((bytes - 1) / 64);
  const auto width = static_cast<unsigned>(std::bit_width(bytes - 1));
  return 8 + (width - 10) * 4 + static_cast<unsigned>((bytes - 1 - (size_t{1} << (width - 1))) >> (width - 3));
}
constexpr size_t small_size(unsigned cls) {
  if (cls < 8) return (cls + 1) * size_t{64};
  const size_t base = size_t{512} << ((cls - 8) / 4);
  return base + ((cls - 8) % 4 + 1) * (base / 4);
}

struct FreeList {
  void* head = nullptr;  ///< each free block starts with the address of the next
  unsigned count = 0;
};

/// Written by its thread alone; the counters are read by others.
struct ThreadCache {
  FreeList lists[kSmallClasses];
  std::atomic<int64_t> bytes{0}, blocks{0}, allocations{0};
  ThreadCache* next = nullptr;
};
extern THIXO_FAST_TLS ThreadCache* t_cache;

void* small_new_slow(unsigned cls);
void small_delete_slow(void* p, unsigned cls) noexcept;
inline constexpr unsigned batch_of(unsigned cls) {
  const size_t n = size_t{16384} / small_size(cls);
  return static_cast<unsigned>(n < 4 ? 4 : n > 64 ? 64 : n);
}

// Under AddressSanitizer a free block is out of bounds.
#if defined(__SANITIZE_ADDRESS__) || THIXO_HAS_FEATURE(address_sanitizer)
#define THIXO_POISON 1
void poison(void* p, size_t bytes) noexcept;
void unpoison(void* p, size_t bytes) noexcept;
#else
inline void poison(void*, size_t) noexcept {}
inline void unpoison(void*, size_t) noexcept {}
#endif

/// A block of a size class, not counted in the statistics: records are made of these.
inline void* small_new(unsigned cls) {
  ThreadCache* cache = t_cache;
  if (cache == nullptr || cache->lists[cls].head == nullptr) [[unlikely]]
    return small_new_slow(cls);
  FreeList& list = cache->lists[cls];
  void* p = list.head;
  unpoison(p, small_size(cls));
  list.head = *static_cast<void**>(p);
  --list.count;
  return p;
}
inline void small_delete(void* p, unsigned cls) noexcept {
  ThreadCache* cache = t_cache;
  if (cache == nullptr || cache->lists[cls].count >= 2 * batch_of(cls)) [[unlikely]]
    return small_delete_slow(p, cls);
  FreeList& list = cache->lists[cls];
  *static_cast<void**>(p) = list.head;
  list.head = p;
  ++list.count;
  poison(p, small_size(cls));
}

}  // namespace detail
}  // namespace thixo
