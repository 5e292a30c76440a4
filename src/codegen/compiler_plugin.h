// The way from KernelIR to machine code in a running program: the compiler is a library of its own
// (libthixo_compiler.so: the code generator and LLVM), opened at the first compile.
#pragma once

#include <span>
#include <string>

#include "codegen/target.h"
#include "ir/kernel_ir.h"
#include "thixo/export.h"

namespace thixo::codegen {

/// One object with all these kernels, as compile_object() makes it: for LoadedObject. Safe from any thread. Throws
/// NotImplementedError when the compiler is not installed.
THIXO_API std::string compile_with_plugin(std::span<const Kernel> kernels, const TargetSpec& target);

/// Whether the compiler can be opened; never throws.
THIXO_API bool compiler_available() noexcept;

}  // namespace thixo::codegen
