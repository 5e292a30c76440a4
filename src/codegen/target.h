// What machine code is made for. The kernel pack (at build time) and the compiler (at run time) name targets
// alike, so a kernel has the same bits from both.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "thixo/export.h"

namespace thixo::codegen {

struct TargetSpec {
  std::string triple, cpu, features;  // as LLVM spells them
  bool deterministic = false;         // Fma in two roundings, for equal bits on every target
  bool optimize = true;               // false: the quickest compile that still vectorises
  friend bool operator==(const TargetSpec&, const TargetSpec&) = default;
};

/// "x86-64-v2", "avx2", "avx512", "aarch64", "wasm32": every instruction set that kernels are made for.
THIXO_API std::span<const std::string_view> isas();
/// The target of one of isas(). Throws ValueError naming them all.
THIXO_API TargetSpec target_for(std::string_view isa);
/// The best of isas() that this processor runs; x86-64-v2 is taken for granted.
THIXO_API std::string_view host_isa();
/// Whether code made for `isa` computes Fma in one rounding (when its target is not deterministic).
bool has_fma(std::string_view isa);
/// Whether this processor runs code made for `isa`.
THIXO_API bool host_runs(std::string_view isa);

/// One line that names every field: the compiler plugin's argument, a part of cache keys. And back (ValueError).
THIXO_API std::string target_str(const TargetSpec& t);
TargetSpec target_from_str(std::string_view text);

}  // namespace thixo::codegen
