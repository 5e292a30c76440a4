// The kernel pack: shape-generic kernels built ahead of time by thixo-gen, one table per instruction set,
// found by key. What the keys are is said by the sections that add the kernels (pack_builder.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/deterministic.h"
#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// FNV-1a: what a table is sorted by. thixo-gen refuses two keys with one hash.
constexpr uint64_t kernel_hash(std::string_view key) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char c : key) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return h;
}

// The memory layout of a table: thixo-gen writes it as data into the pack's object file.
struct PackEntry {
  uint64_t hash;
  KernelFn kernel;
};
struct PackTable {
  const char* isa;
  uint64_t count;
  const PackEntry* entries;  // sorted by hash
};

// The tables linked into this program, weakest instruction set first: written by CMake, none in thixo-gen.
extern const PackTable* const kPackTables[];
extern const std::size_t kPackTableCount;

/// The table in use: chosen once, the best that this processor runs, or what THIXO_ISA names. Null without a pack.
const PackTable* active_pack();

/// The kernel of this key for the processor it runs on; null when the pack does not hold it. A search, not a fast
/// path: callers keep what they found.
KernelFn find_kernel(std::string_view key);

/// The kernel of the same key in the table whose instruction set has no fma: its bits are those of every target.
/// What is not in the active table (contractions have kernels of their own, ".det") stays as it is.
KernelFn without_fma(KernelFn kernel);
/// What runs in the place of a kernel that was found: to be asked at each call, the mode may have changed.
inline KernelFn in_mode(KernelFn kernel) { return detail::deterministic() ? without_fma(kernel) : kernel; }

}  // namespace thixo::codegen
