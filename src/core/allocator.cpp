#include "core/allocator.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/files.h"
#include "core/large_pool.h"
#include "thixo/error.h"

#ifdef THIXO_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace thixo {
namespace detail {

constinit thread_local ThreadCache* t_cache = nullptr;

#ifdef THIXO_POISON
void poison(void* p, size_t bytes) noexcept { __asan_poison_memory_region(p, bytes); }
void unpoison(void* p, size_t bytes) noexcept { __asan_unpoison_memory_region(p, bytes); }
#endif

namespace {

constexpr size_t kChunk = size_t{256} << 10;       // what size classes are cut from
constexpr size_t kOwnSegment = size_t{1} << 20;    // requests from here on get segments of their own
constexpr int64_t kNever = INT64_MAX;

THIXO_FAST_TLS bool t_ended = false;  // this thread's cache is gone: it is about to exit

int64_t now_seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec;
}

void push(FreeList& list, void* p, size_t size) {
  *static_cast<void**>(p) = list.head;
  list.head = p;
  ++list.count;
  poison(p, size);
}

void* pop(FreeList& list, size_t size) {
  void* p = list.head;
  unpoison(p, size);
  list.head = *static_cast<void**>(p);
  --list.count;
  return p;
}

/// What all threads share, under one mutex. Never destroyed: tensors may outlive everything.
struct Central {
  std::mutex mutex;
  FreeList lists[kSmallClasses];
  std::byte *chunk = nullptr, *chunk_end = nullptr;
  std::vector<void*> chunks;  // all of them, so that a leak checker finds what tensors refer to
  ThreadCache* caches = nullptr;
  // Medium blocks share segments, so that a small one that lives long does not hold a large segment.
  LargePool medium{size_t{4} << 20, 4608, 512};
  LargePool large{0, kOwnSegment, 4096};
  int64_t bytes = 0, blocks = 0, allocations = 0;  // of large blocks, and of threads that ended
  int64_t peak = 0, kept = 0, limit = 0, requests = 0;
  int64_t idle = 0, trimmed_at = 0;

  Central() {
    limit = env_bytes(Env::MemoryLimit);
    set_idle(env_int(Env::MemoryIdle));
    trimmed_at = now_seconds();
  }
  void set_idle(int64_t seconds) { idle = seconds < 0 ? kNever : seconds; }

  int64_t allocated() const {
    int64_t sum = bytes;
    for (ThreadCache* c = caches; c != nullptr; c = c->next) sum += c->bytes.load(std::memory_order_relaxed);
    return sum;
  }
  void note_peak() { peak = std::max(peak, allocated()); }

  int64_t trim(int64_t since) {
    const auto freed = static_cast<int64_t>(medium.trim(since) + large.trim(since));
    kept -= freed;
    return freed;
  }
  void trim_idle(int64_t now) {
    if (idle == kNever || now - trimmed_at < idle / 2) return;
    trimmed_at = now;
    trim(now - idle);
  }

  [[noreturn]] void out_of_memory(size_t asked, const char* who) {
    Error e = ValueError("out of memory: " + size_str(static_cast<int64_t>(asked)) + " asked for, " + who);
    e.got("tensors hold " + size_str(allocated()) + ", kept in all " + size_str(kept) +
          (limit > 0 ? ", limit " + size_str(limit) : ""));
    if (limit > 0) {
      e.fix("free tensors, use a smaller batch, or raise the limit (set_memory_limit, THIXO_MEMORY_LIMIT)");
    } else {
      e.fix("free tensors or use a smaller batch");
    }
    throw e;
  }
  /// Makes sure that `more` bytes may come from the system.
  void make_room(size_t more, size_t asked) {
    const auto over = [&] { return limit > 0 && static_cast<int64_t>(more) > limit - kept; };
    if (over()) trim(kNever);
    if (over()) out_of_memory(asked, "more than the memory limit allows");
  }
  void took(size_t more) {
    kept += static_cast<int64_t>(more);
    ++requests;
  }

  void* cut(size_t size) {
    if (static_cast<size_t>(chunk_end - chunk) < size) {
      make_room(kChunk, size);
      void* p = std::aligned_alloc(4096, kChunk);
      if (p == nullptr) out_of_memory(size, "but the system has no more");
      chunks.push_back(p);
      took(kChunk);
      chunk = static_cast<std::byte*>(p);
      chunk_end = chunk + kChunk;
    }
    void* p = chunk;
    chunk += size;
    return p;
  }
  void* take_small(unsigned cls) {
    return lists[cls].head != nullptr ? pop(lists[cls], small_size(cls)) : cut(small_size(cls));
  }
  void drain(FreeList& list, unsigned cls, unsigned n) {
    for (; n > 0; --n) push(lists[cls], pop(list, small_size(cls)), small_size(cls));
  }

  LargeBlock* new_large(size_t size) {
    LargePool& pool = size < kOwnSegment ? medium : large;
    LargeBlock* b = pool.take(size);
    if (b == nullptr) {
      const size_t more = pool.segment_bytes(size);
      make_room(more, size);
      if (!pool.grow(size) && (trim(kNever) == 0 || !pool.grow(size))) {
        out_of_memory(size, "but the system has no more");
      }
      took(more);
      b = pool.take(size);
    }
    bytes += static_cast<int64_t>(size);
    ++blocks;
    ++allocations;
    note_peak();
    return b;
  }
  void delete_large(LargeBlock* b, size_t size) noexcept {
    const int64_t now = now_seconds();
    bytes -= static_cast<int64_t>(size);
    --blocks;
    (size < kOwnSegment ? medium : large).give(b, now);
    trim_idle(now);
  }
};

Central& central() {
  static Central& c = *[] {
    // A child must not inherit a mutex that another thread holds at the moment of the fork.
    static Central& made = *new Central;
    pthread_atfork([] { made.mutex.lock(); }, [] { made.mutex.unlock(); }, [] { made.mutex.unlock(); });
    return &made;
  }();
  return c;
}

/// Gives a thread's cache back when the thread ends.
struct CacheOwner {
  ThreadCache* cache = nullptr;
  ~CacheOwner() {
    if (cache == nullptr) return;
    t_cache = nullptr;
    t_ended = true;
    Central& c = central();
    std::lock_guard<std::mutex> lock(c.mutex);
    for (unsigned cls = 0; cls < kSmallClasses; ++cls) c.drain(cache->lists[cls], cls, cache->lists[cls].count);
    c.bytes += cache->bytes.load();
    c.blocks += cache->blocks.load();
    c.allocations += cache->allocations.load();
    ThreadCache** link = &c.caches;
    while (*link != cache) link = &(*link)->next;
    *link = cache->next;
    delete cache;
  }
};
thread_local CacheOwner t_owner;

/// This thread's cache, made at the first use; null while the thread exits.
ThreadCache* own_cache() {
  if (t_cache != nullptr || t_ended) return t_cache;
  auto* cache = new ThreadCache;
  Central& c = central();
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    cache->next = c.caches;
    c.caches = cache;
  }
  t_owner.cache = cache;
  return t_cache = cache;
}

/// Adds to counters that only this thread writes.
void count(int64_t bytes, int64_t blocks) {
  const auto add = [](std::atomic<int64_t>& to, int64_t n) {
    to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  };
  if (ThreadCache* cache = own_cache()) {
    add(cache->bytes, bytes);
    add(cache->blocks, blocks);
    if (blocks > 0) add(cache->allocations, blocks);
    return;
  }
  Central& c = central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.bytes += bytes;
  c.blocks += blocks;
  c.allocations += std::max<int64_t>(blocks, 0);
}

}  // namespace

void* small_new_slow(unsigned cls) {
  ThreadCache* cache = own_cache();
  Central& c = central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.note_peak();
  if (cache == nullptr) return c.take_small(cls);
  for (unsigned n = batch_of(cls); n > 1; --n) push(cache->lists[cls], c.take_small(cls), small_size(cls));
  return c.take_small(cls);
}

void small_delete_slow(void* p, unsigned cls) noexcept {
  ThreadCache* cache = own_cache();
  Central& c = central();
  std::lock_guard<std::mutex> lock(c.mutex);
  if (cache == nullptr) return push(c.lists[cls], p, small_size(cls));
  FreeList& list = cache->lists[cls];
  if (list.count >= 2 * batch_of(cls)) c.drain(list, cls, batch_of(cls));
  push(list, p, small_size(cls));
}

}  // namespace detail

Allocation allocate(size_t bytes) {
  if (bytes <= detail::kSmallLimit) {
    void* p = detail::small_new(detail::small_class(bytes));
    detail::count(static_cast<int64_t>(bytes), 1);
    return {p, nullptr};
  }
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  if (bytes > size_t{1} << 46) c.out_of_memory(bytes, "more than a process can have");
  LargeBlock* b = c.new_large(bytes);
  return {b->data, b};
}

void deallocate(Allocation a, size_t bytes) noexcept {
  if (a.block == nullptr) {
    detail::small_delete(a.data, detail::small_class(bytes));
    detail::count(-static_cast<int64_t>(bytes), -1);
    return;
  }
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.delete_large(a.block, bytes);
}

MemoryStats memory_stats() {
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.note_peak();
  MemoryStats s{.allocated = c.allocated(),
                .peak = c.peak,
                .kept = c.kept,
                .limit = c.limit,
                .blocks = c.blocks,
                .allocations = c.allocations,
                .system_requests = c.requests};
  for (auto* cache = c.caches; cache != nullptr; cache = cache->next) {
    s.blocks += cache->blocks.load(std::memory_order_relaxed);
    s.allocations += cache->allocations.load(std::memory_order_relaxed);
  }
  return s;
}

void reset_peak_memory_stats() {
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.peak = c.allocated();
}

void empty_cache() {
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.trim(detail::kNever);
}

void set_memory_limit(int64_t bytes) {
  if (bytes < 0) throw ValueError("set_memory_limit: " + std::to_string(bytes) + " bytes").need("0 (no limit) or more");
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.limit = bytes;
}

void set_memory_idle(int64_t seconds) {
  detail::Central& c = detail::central();
  std::lock_guard<std::mutex> lock(c.mutex);
  c.set_idle(seconds);
}

}  // namespace thixo
