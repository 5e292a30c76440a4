#include "codegen/kernel_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>

#include "base/deterministic.h"
#include "base/env.h"
#include "base/files.h"
#include "codegen/compiler_plugin.h"
#include "codegen/pack.h"
#include "codegen/target.h"

namespace thixo::codegen {
namespace {

// To be raised whenever the generator makes other code from the same KernelIR.
constexpr std::string_view kVersion = "thixo kernels 1";
constexpr char kMagic[8] = {'T', 'H', 'X', 'K', 'E', 'R', 'N', '1'};

uint64_t fnv(std::string_view bytes, uint64_t h) {
  for (char c : bytes) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return h;
}

struct Head {
  char magic[8];
  uint64_t bytes, check;
};

/// 128 bits in hex; two FNV-1a walks from different starts are enough for a cache of one's own work.
std::string content_key(std::string_view kernels, const std::string& target) {
  char name[40];
  uint64_t a = fnv(kernels, fnv(target, fnv(kVersion, 0xcbf29ce484222325u)));
  uint64_t b = fnv(target, fnv(kernels, fnv(kVersion, 0x9ae16a3b2f90404fu)));
  std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(a),
                static_cast<unsigned long long>(b));
  return name;
}

bool make_private_folder(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    mkdir(path.substr(0, at).c_str(), 0700);
  mkdir(path.c_str(), 0700);
  struct stat s{};
  return stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() &&
         (s.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::optional<std::string> read_cached(const std::string& path) {
  try {
    std::string file = read_file(path);
    if (std::optional<std::string_view> object = cache_unpack(file)) return std::string(*object);
    unlink(path.c_str());
  } catch (const Error&) {  // not there, or unreadable: compile
  }
  return std::nullopt;
}

void write_cached(const std::string& path, std::string_view object) {
  try {
    write_file(path, cache_pack(object));
  } catch (const Error&) {  // a full disk costs the next process a compile, nothing more
  }
}

CompiledKernels load(std::string_view object, std::span<const Kernel> kernels) {
  CompiledKernels out;
  out.object = std::make_shared<LoadedObject>(object);
  for (const Kernel& k : kernels) {
    KernelFn f = out.object->find(k.name);
    if (f == nullptr) throw ValueError("kernel cache: the object lacks the kernel " + k.name);
    out.functions.push_back(f);
  }
  return out;
}

}  // namespace

std::string cache_folder() {
  std::string_view own = env_text(Env::Cache);
  if (own == "off" || own == "0") return "";
  if (!own.empty()) return std::string(own);
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') return std::string(xdg) + "/thixo";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.cache/thixo" : "";
}

std::string cache_pack(std::string_view object) {
  Head h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.bytes = object.size();
  h.check = fnv(object, 0xcbf29ce484222325u);
  std::string s(reinterpret_cast<const char*>(&h), sizeof h);
  s += object;
  return s;
}

std::optional<std::string_view> cache_unpack(std::string_view file) {
  Head h{};
  if (file.size() < sizeof h) return std::nullopt;
  std::memcpy(&h, file.data(), sizeof h);
  std::string_view object = file.substr(sizeof h);
  bool whole = std::memcmp(h.magic, kMagic, sizeof kMagic) == 0 && h.bytes == object.size() &&
               h.check == fnv(object, 0xcbf29ce484222325u);
  return whole ? std::optional(object) : std::nullopt;
}

CompiledKernels compile_kernels(std::span<const Kernel> kernels) {
  std::string bytes;
  for (const Kernel& k : kernels) bytes += serialize(k);
  TargetSpec target = target_for(active_pack() != nullptr ? active_pack()->isa : host_isa());
  target.deterministic = detail::deterministic();
  std::string key = content_key(bytes, target_str(target));

  static std::mutex mutex;
  static std::map<std::string, CompiledKernels> memory;
  {
    std::lock_guard lock(mutex);
    auto found = memory.find(key);
    if (found != memory.end()) return found->second;
  }
  std::string folder = cache_folder();
  bool on_disk = !folder.empty() && make_private_folder(folder);
  std::string path = folder + "/" + key + ".thxk";
  CompiledKernels out;
  if (on_disk) {
    if (std::optional<std::string> object = read_cached(path)) {
      try {
        out = load(*object, kernels);
        out.from_disk = true;
      } catch (const Error&) {
        unlink(path.c_str());
      }
    }
  }
  if (!out.object) {
    std::string object = compile_with_plugin(kernels, target);
    out = load(object, kernels);
    if (on_disk) write_cached(path, object);
  }
  std::lock_guard lock(mutex);
  return memory.emplace(key, out).first->second;
}

}  // namespace thixo::codegen
