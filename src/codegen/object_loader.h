// Machine code from bytes: maps a relocatable ELF object (x86-64 or AArch64, what compile_object makes) into
// memory and gives out its functions. No linker, no LLVM.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ir/kernel_ir.h"
#include "thixo/export.h"

namespace thixo::codegen {

class THIXO_API LoadedObject {
 public:
  /// Maps a copy of the object's bytes. ValueError when they are no whole object for this machine: truncated
  /// or altered bytes are refused, not followed out of bounds. (They are not sandboxed: a caller who takes
  /// objects from a place that others write must check where they come from.)
  explicit LoadedObject(std::string_view object);
  ~LoadedObject();
  LoadedObject(const LoadedObject&) = delete;
  LoadedObject& operator=(const LoadedObject&) = delete;

  /// The kernel of this name, valid as long as this LoadedObject; null when there is none.
  KernelFn find(const std::string& name) const;
  size_t mapped_bytes() const { return mapped_; }

 private:
  std::byte* memory_ = nullptr;
  size_t mapped_ = 0;
  std::unordered_map<std::string, KernelFn> functions_;
};

}  // namespace thixo::codegen
