// What thixo-gen needs of the system and of LLVM beside the lowering itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/target.h"

namespace thixo::codegen {

/// Runs work(0..n-1), spread over forked processes: LLVM and the tables of expressions are not shared that way.
/// Throws when one of them failed; it has said why.
void run_forked(int processes, size_t n, const std::function<void(size_t)>& work);

struct PackEntryName {
  uint64_t hash;
  std::string kernel;  // its C function
};
/// The table's name in the object: thixo_pack_x86_64_v2.
std::string pack_symbol(const std::string& isa);
/// An object that defines `pack_symbol(isa)`, a PackTable (pack.h) of these entries.
std::string pack_table_object(const std::string& isa, const std::vector<PackEntryName>& entries,
                              const TargetSpec& target);

/// Links relocatable objects into one.
void link_objects(const std::string& linker, const TargetSpec& target, const std::vector<std::string>& objects,
                  const std::string& out);

/// Makes every other symbol of an object local: kernels are called alike in the packs of all instruction sets.
void keep_global(const std::string& path, const std::string& symbol);

/// Keeps the cache from growing: objects that no build used for two weeks go, those in `used` are touched.
void remove_stale_objects(const std::string& cache, const std::vector<std::string>& used);

}  // namespace thixo::codegen
