// One pooled block for a record, its Storage and up to 64 bytes of data. Record and Storage each keep their own
// count, so a view of a small tensor holds its data and not its autograd history; the block is free when
// both are gone.
#pragma once

#include <atomic>
#include <cstddef>

#include "core/allocator.h"
#include "core/record.h"

namespace thixo {

struct RecordBlock {
  static constexpr size_t kRoom = 64;

  alignas(TensorRecord) std::byte record_room[sizeof(TensorRecord)];
  alignas(Storage) std::byte storage_room[sizeof(Storage)];
  std::atomic<int> parts;  ///< of record and Storage, how many live
  alignas(kRoom) std::byte data[kRoom];

  TensorRecord* record() { return reinterpret_cast<TensorRecord*>(record_room); }
  Storage* storage() { return reinterpret_cast<Storage*>(storage_room); }
  static RecordBlock* of(const TensorRecord* r) {
    return reinterpret_cast<RecordBlock*>(reinterpret_cast<std::byte*>(const_cast<TensorRecord*>(r)));
  }
  static RecordBlock* of(const Storage* s) {
    return reinterpret_cast<RecordBlock*>(reinterpret_cast<std::byte*>(const_cast<Storage*>(s)) -
                                          offsetof(RecordBlock, storage_room));
  }
  static constexpr unsigned size_class();
  void part_gone() noexcept;
};

constexpr unsigned RecordBlock::size_class() { return detail::small_class(sizeof(RecordBlock)); }

inline void RecordBlock::part_gone() noexcept {
  if (parts.fetch_sub(1, std::memory_order_acq_rel) == 1) detail::small_delete(this, size_class());
}

}  // namespace thixo
