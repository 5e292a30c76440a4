// Storage: a block of memory that tensors view. It counts the writes to it (version).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "thixo/device.h"
#include "thixo/object.h"

namespace thixo {

struct LargeBlock;

struct Storage final : Object {
  enum class Memory : uint8_t { Allocator, Foreign, Record };  ///< who gave the bytes

  void* data = nullptr;
  size_t bytes = 0;
  uint32_t version = 0;    ///< writes so far
  uint32_t recording = 0;  ///< as a record's: memory that was new then
  uint32_t log_id = 0;     ///< its name in the write log; 0: not in it
  Device device{};
  Memory memory = Memory::Allocator;
  bool embedded = false;                  ///< part of a record's block: it shares that block's memory, not its life
  LargeBlock* block = nullptr;            ///< the allocator's name for `data`
  std::function<void()> foreign_release;  ///< called at the end for Memory::Foreign
  /// A block of at least `n` bytes from the caching allocator, aligned to 64 bytes.
  void allocate(size_t n);
  ~Storage() override;  ///< returns the block to the allocator, or calls foreign_release

 protected:
  void destroy() const override;
};

/// Foreign memory; `release` is called when the last reference goes.
Ref<Storage> foreign_storage(void* data, size_t bytes, std::function<void()> release);

}  // namespace thixo
