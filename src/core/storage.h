// Storage: a block of memory that tensors view. It counts the writes to it (version).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "thixo/device.h"
#include "thixo/object.h"

namespace thixo {

struct TensorRecord;

struct Storage final : Object {
  void* data = nullptr;
  size_t bytes = 0;
  uint32_t version = 0;  ///< writes so far
  Device device{};
  TensorRecord* home = nullptr;           ///< the record that this Storage is embedded in (small tensors); else null
  std::function<void()> foreign_release;  ///< set for memory that is not the allocator's
  ~Storage() override;                    ///< returns the block to the allocator, or calls foreign_release
};

/// A block of at least `bytes` from the caching allocator, aligned to 64 bytes.
Ref<Storage> new_storage(size_t bytes, Device device);

}  // namespace thixo
