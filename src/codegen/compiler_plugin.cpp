#include "codegen/compiler_plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <memory>

#include "base/env.h"
#include "thixo/error.h"

namespace thixo::codegen {

namespace {

constexpr const char* kFile = "libthixo_compiler.so";
using Compile = int (*)(const char*, size_t, const char*, size_t, char**, size_t*, char**);

/// The folder of the library (or program) that this code is in.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return "";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == path.npos ? "" : path.substr(0, slash + 1);
}

struct Plugin {
  Compile compile = nullptr;
  std::string why_not;

  Plugin() {
    const std::string named(env_text(Env::Compiler));
    if (!named.empty()) {
      open(named);
      return;
    }
    // Beside the library; a program that links the library's objects stands in a folder beside its lib.
    const std::string folder = own_folder();
    for (const std::string& path : {folder + kFile, folder + "../lib/" + kFile}) {
      open(path);
      if (compile != nullptr) return;
    }
  }

  void open(const std::string& path) {
    // RTLD_LOCAL: another LLVM in the process (of a graphics driver, say) stays apart. Never closed: LLVM
    // has threads' and exit's clean-up of its own.
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) compile = reinterpret_cast<Compile>(dlsym(library, "thixo_compile_kernels"));
    if (compile != nullptr) return;
    const char* reason = dlerror();
    why_not += (why_not.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : path);
  }
};

const Plugin& plugin() {
  static const Plugin p;
  return p;
}

struct Free {
  void operator()(char* p) const { std::free(p); }
};

void append(std::string& out, const Kernel& k) {
  const std::string bytes = serialize(k);
  const uint64_t n = bytes.size();
  out.append(reinterpret_cast<const char*>(&n), sizeof n);
  out += bytes;
}

}  // namespace

bool compiler_available() noexcept {
  try {
    return plugin().compile != nullptr;
  } catch (...) {
    return false;
  }
}

std::string compile_with_plugin(std::span<const Kernel> kernels, const TargetSpec& target) {
  const Plugin& p = plugin();
  if (p.compile == nullptr) {
    throw NotImplementedError("compile: the compiler is not installed")
        .got(p.why_not)
        .need(std::string(kFile) + " beside the thixo library")
        .fix("install it, or name it in the environment variable THIXO_COMPILER; eager works without");
  }
  std::string bytes;
  for (const Kernel& k : kernels) append(bytes, k);
  const std::string to = target_str(target);
  char *object = nullptr, *error = nullptr;
  size_t size = 0;
  const int status = p.compile(bytes.data(), bytes.size(), to.data(), to.size(), &object, &size, &error);
  const std::unique_ptr<char, Free> owned_object(object), owned_error(error);
  if (status == 0) return std::string(object, size);
  throw InternalError("compile: the compiler failed").got(error != nullptr ? error : "no reason given");
}

}  // namespace thixo::codegen
