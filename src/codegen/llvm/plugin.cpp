// libthixo_compiler.so's one function. The core opens the library at the first compile (compiler_plugin.cpp),
// so a program that only runs ready kernels never loads LLVM.
#include <cstdlib>
#include <cstring>

#include "codegen/llvm/compile.h"
#include "thixo/error.h"
#include "thixo/export.h"

namespace {

char* copy(std::string_view text) {
  char* out = static_cast<char*>(std::malloc(text.size() + 1));
  if (out == nullptr) return nullptr;
  std::memcpy(out, text.data(), text.size());
  out[text.size()] = '\0';
  return out;
}

uint64_t read_size(std::string_view& bytes) {
  uint64_t n = 0;
  if (bytes.size() < sizeof n) throw thixo::ValueError("kernel bytes are damaged: they end too early");
  std::memcpy(&n, bytes.data(), sizeof n);
  bytes.remove_prefix(sizeof n);
  if (n > bytes.size()) throw thixo::ValueError("kernel bytes are damaged: they end too early");
  return n;
}

std::string compile(std::string_view kernels, std::string_view target) {
  std::vector<thixo::Kernel> list;
  while (!kernels.empty()) {
    const uint64_t n = read_size(kernels);
    list.push_back(thixo::deserialize(kernels.substr(0, n)));
    kernels.remove_prefix(n);
  }
  return thixo::codegen::compile_object(list, thixo::codegen::target_from_str(target));
}

}  // namespace

/// Compiles kernels, each given as its length (uint64, little endian) and the bytes of serialize(), for a target as
/// target_str() writes it. Returns 0 and the object, or 1 + the ErrorKind and a text. The caller frees either
/// with free().
extern "C" THIXO_API int thixo_compile_kernels(const char* kernels, size_t n, const char* target, size_t target_n,
                                               char** object, size_t* object_n, char** error) {
  *object = *error = nullptr;
  *object_n = 0;
  try {
    const std::string bytes = compile({kernels, n}, {target, target_n});
    *object = copy(bytes);
    *object_n = bytes.size();
    if (*object != nullptr) return 0;
    *error = copy("out of memory");
  } catch (const thixo::Error& e) {
    *error = copy(e.what());
    return 1 + static_cast<int>(e.kind());
  } catch (const std::exception& e) {
    *error = copy(e.what());
  }
  return 1 + static_cast<int>(thixo::ErrorKind::Internal);
}
