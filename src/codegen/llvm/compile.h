// KernelIR in, machine code out.
#pragma once

#include <span>
#include <string>

#include "codegen/target.h"
#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// A relocatable, position-independent object (ELF; a WebAssembly object for wasm32) that defines for each
/// kernel the hidden C function `int name(const KernelArgs*, int64_t begin, int64_t end)` and refers to
/// nothing outside itself. Names are distinct. Throws InternalError when a kernel breaks a rule of KernelIR or
/// would need an outside function, ValueError for an unknown target.
std::string compile_object(std::span<const Kernel> kernels, const TargetSpec& target);

enum class Listing { Ir, OptimizedIr, Assembly };
/// The same as text, for people.
std::string compile_listing(std::span<const Kernel> kernels, const TargetSpec& target, Listing what);

}  // namespace thixo::codegen
