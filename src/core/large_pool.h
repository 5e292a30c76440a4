// Blocks above 4 KiB: cut from segments that come from the system, and joined with their free neighbours when freed.
// Not locked: the allocator's mutex guards it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace thixo {

struct LargeBlock {
  std::byte* data = nullptr;
  size_t size = 0;
  bool free = false;
  int64_t freed_at = 0;                                  ///< seconds, when it became free
  LargeBlock *before = nullptr, *after = nullptr;        ///< neighbours in the segment
  LargeBlock *bin_before = nullptr, *bin_after = nullptr;  ///< in the list of free blocks of like size
};

/// Segments of at least `segment` bytes; a rest below `smallest` stays with the block it was cut from.
class LargePool {
 public:
  constexpr LargePool(size_t segment, size_t smallest, size_t grain)
      : segment_(segment), smallest_(smallest), grain_(grain) {}
  /// The smallest free block that fits, cut to size; null when there is none.
  LargeBlock* take(size_t bytes);
  /// How much a new segment for `bytes` asks of the system.
  size_t segment_bytes(size_t bytes) const;
  /// Adds a segment from the system; false when the system refuses.
  bool grow(size_t bytes);
  void give(LargeBlock* block, int64_t now) noexcept;
  /// Returns segments that are wholly free since `since` or before to the system; the number of bytes.
  size_t trim(int64_t since) noexcept;

 private:
  // Eight bins per doubling, from 4 KiB to 2^47.
  static constexpr unsigned kBins = 8 * 35, kWords = (kBins + 63) / 64;
  static unsigned bin_of(size_t size);
  LargeBlock* find(size_t bytes) const;
  unsigned next_bin(unsigned bin) const;
  void insert(LargeBlock* b) noexcept;
  void remove(LargeBlock* b) noexcept;
  size_t segment_, smallest_, grain_;
  std::array<LargeBlock*, kBins> bins_{};
  std::array<uint64_t, kWords> used_{};
};

}  // namespace thixo
