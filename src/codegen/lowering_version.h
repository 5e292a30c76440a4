// Names what makes machine code of KernelIR: the lowering's sources (src/codegen/llvm, src/codegen/math) and LLVM.
// CMake writes it, and whatever keeps machine code puts it into the key.
#pragma once

#include <string_view>

namespace thixo::codegen {

extern const std::string_view kLoweringVersion;

}  // namespace thixo::codegen
