#include "core/large_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "core/allocator.h"

namespace thixo {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/// Memory that starts and ends on a huge page: first touch is several times faster than with small pages.
void* map_huge(size_t bytes) {
  void* p = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  const auto at = reinterpret_cast<uintptr_t>(p);
  const uintptr_t start = round_up(at, kHugePage);
  if (start > at) munmap(p, start - at);
  if (const size_t rest = at + kHugePage - start; rest > 0) munmap(reinterpret_cast<void*>(start + bytes), rest);
  madvise(reinterpret_cast<void*>(start), bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(start);
}

}  // namespace

unsigned LargePool::bin_of(size_t size) {
  const unsigned log = static_cast<unsigned>(std::bit_width(size)) - 1;
  const unsigned bin = (log - 12) * 8 + static_cast<unsigned>(size >> (log - 3) & 7);
  return std::min(bin, kBins - 1);
}

unsigned LargePool::next_bin(unsigned bin) const {
  for (unsigned word = bin / 64, shift = bin % 64; word < kWords; ++word, shift = 0) {
    if (const uint64_t rest = used_[word] >> shift << shift; rest != 0) {
      return word * 64 + static_cast<unsigned>(std::countr_zero(rest));
    }
  }
  return kBins;
}

LargeBlock* LargePool::find(size_t bytes) const {
  LargeBlock* best = nullptr;
  for (unsigned bin = next_bin(bin_of(bytes)); bin < kBins && best == nullptr; bin = next_bin(bin + 1)) {
    for (LargeBlock* b = bins_[bin]; b != nullptr; b = b->bin_after) {
      if (b->size < bytes || (best != nullptr && b->size >= best->size)) continue;
      best = b;
      if (b->size == bytes) return b;
    }
  }
  return best;
}

void LargePool::insert(LargeBlock* b) noexcept {
  const unsigned bin = bin_of(b->size);
  b->free = true;
  b->bin_before = nullptr;
  b->bin_after = bins_[bin];
  if (b->bin_after != nullptr) b->bin_after->bin_before = b;
  bins_[bin] = b;
  used_[bin / 64] |= uint64_t{1} << bin % 64;
}

void LargePool::remove(LargeBlock* b) noexcept {
  const unsigned bin = bin_of(b->size);
  b->free = false;
  if (b->bin_after != nullptr) b->bin_after->bin_before = b->bin_before;
  (b->bin_before != nullptr ? b->bin_before->bin_after : bins_[bin]) = b->bin_after;
  if (bins_[bin] == nullptr) used_[bin / 64] &= ~(uint64_t{1} << bin % 64);
}

LargeBlock* LargePool::take(size_t bytes) {
  const size_t size = round_up(bytes, grain_);
  LargeBlock* b = find(size);
  if (b == nullptr) return nullptr;
  auto* rest = b->size - size >= smallest_ ? new LargeBlock{} : nullptr;
  remove(b);
  if (rest != nullptr) {
    *rest = {.data = b->data + size, .size = b->size - size, .freed_at = b->freed_at, .before = b, .after = b->after};
    if (rest->after != nullptr) rest->after->before = rest;
    b->after = rest;
    b->size = size;
    insert(rest);
  }
  detail::unpoison(b->data, b->size);
  return b;
}

size_t LargePool::segment_bytes(size_t bytes) const { return round_up(std::max(bytes, segment_), kHugePage); }

bool LargePool::grow(size_t bytes) {
  const size_t size = segment_bytes(bytes);
  auto* b = new LargeBlock{};
  b->data = static_cast<std::byte*>(map_huge(size));
  b->size = size;
  if (b->data == nullptr) {
    delete b;
    return false;
  }
  detail::poison(b->data, b->size);
  insert(b);
  return true;
}

void LargePool::give(LargeBlock* b, int64_t now) noexcept {
  detail::poison(b->data, b->size);
  b->freed_at = now;
  if (LargeBlock* next = b->after; next != nullptr && next->free) {
    remove(next);
    b->size += next->size;
    b->after = next->after;
    if (b->after != nullptr) b->after->before = b;
    delete next;
  }
  if (LargeBlock* previous = b->before; previous != nullptr && previous->free) {
    remove(previous);
    previous->size += b->size;
    previous->after = b->after;
    previous->freed_at = now;
    if (previous->after != nullptr) previous->after->before = previous;
    delete b;
    b = previous;
  }
  insert(b);
}

size_t LargePool::trim(int64_t since) noexcept {
  size_t bytes = 0;
  for (unsigned bin = next_bin(0); bin < kBins; bin = next_bin(bin + 1)) {
    for (LargeBlock *b = bins_[bin], *next = nullptr; b != nullptr; b = next) {
      next = b->bin_after;
      if (b->before != nullptr || b->after != nullptr || b->freed_at > since) continue;
      remove(b);
      detail::unpoison(b->data, b->size);
      munmap(b->data, b->size);
      bytes += b->size;
      delete b;
    }
  }
  return bytes;
}

}  // namespace thixo
