// Kernels made while the program runs, and the disk cache that lets the next process start warm.
//
// A cache file is named by what it was made from (the kernels' serialized bytes, the target, the lowering's
// version), so it never goes stale. It is written beside and renamed: a process killed half-way, or two that compile
// the same kernels at once, leave a whole file or none. Its head holds the length and a checksum of the machine
// code and the file's name; a file that does not match is thrown away and made again. The folder is private to the user
// (mode 0700) and is not used when it belongs to somebody else or others may write to it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codegen/object_loader.h"
#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// Machine code and the functions in it, in the order of the kernels asked for.
struct CompiledKernels {
  std::shared_ptr<LoadedObject> object;
  std::vector<KernelFn> functions;
  bool from_disk = false;
};

/// Compiles for the instruction set of the pack in use and the mode (deterministic or not), or finds the result of an
/// earlier compile. Kernel names are unique.
CompiledKernels compile_kernels(std::span<const Kernel> kernels);
/// The same without this process's memory of earlier compiles; `folder`: of the disk cache, "" for none.
CompiledKernels compile_cached(std::span<const Kernel> kernels, const std::string& folder);
/// The name of the cache file of these kernels.
std::string cache_name(std::span<const Kernel> kernels);

/// The folder of the disk cache: THIXO_CACHE, else $XDG_CACHE_HOME/thixo, else ~/.cache/thixo; "" when it is off.
std::string cache_folder();
/// Whether compiled kernels can be kept there; the folder is made where there is none.
bool cache_usable(const std::string& folder);

/// The content of the cache file `name` with this machine code, and back; nullopt when it is not whole or belongs under
/// another name. Public for tests and fuzzing.
std::string cache_pack(std::string_view object, std::string_view name);
std::optional<std::string_view> cache_unpack(std::string_view file, std::string_view name);

}  // namespace thixo::codegen
