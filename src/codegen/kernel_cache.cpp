#include "codegen/kernel_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "base/deterministic.h"
#include "base/env.h"
#include "base/files.h"
#include "codegen/compiler_plugin.h"
#include "codegen/lowering_version.h"
#include "codegen/pack.h"
#include "codegen/target.h"

namespace thixo::codegen {
namespace {

constexpr char kMagic[8] = {'T', 'H', 'X', 'K', 'E', 'R', 'N', '2'};

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
  uint64_t a = fnv(kernels, fnv(target, fnv(kLoweringVersion, 0xcbf29ce484222325u)));
  uint64_t b = fnv(target, fnv(kernels, fnv(kLoweringVersion, 0x9ae16a3b2f90404fu)));
  std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(a),
                static_cast<unsigned long long>(b));
  return name;
}

TargetSpec target_now() {
  TargetSpec target = target_for(active_pack() != nullptr ? active_pack()->isa : host_isa());
  target.deterministic = detail::deterministic();
  return target;
}

bool make_private_folder(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    mkdir(path.substr(0, at).c_str(), 0700);
  mkdir(path.c_str(), 0700);
  struct stat s{};
  return stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() &&
         (s.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

constexpr uintmax_t kLargestFile = uintmax_t{1} << 28;  // a file of one program has some 100 KB

void remove_file(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

std::optional<std::string> read_cached(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  std::error_code missing;
  const uintmax_t size = std::filesystem::file_size(path, missing);
  if (missing) return std::nullopt;
  try {
    if (size <= kLargestFile) {
      const std::string file = read_file(path);
      if (std::optional<std::string_view> object = cache_unpack(file, name)) return std::string(*object);
    }
    remove_file(path);
  } catch (const Error&) {  // unreadable: compile
  }
  return std::nullopt;
}

/// Files half-written by processes that were killed. Once in a process, where a compile has cost more.
void remove_leftovers(const std::string& folder) {
  static std::mutex mutex;
  static std::set<std::string> done;
  {
    std::lock_guard lock(mutex);
    if (!done.insert(folder).second) return;
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const bool temporary = entry.path().filename().string().find(".thxk.tmp-") != std::string::npos;
    if (!temporary) continue;
    const auto age = std::filesystem::file_time_type::clock::now() - entry.last_write_time(ignored);
    if (age > std::chrono::hours(1)) std::filesystem::remove(entry.path(), ignored);
  }
}

void write_cached(const std::string& folder, const std::string& name, std::string_view object) {
  try {
    write_file(folder + "/" + name, cache_pack(object, name));
    remove_leftovers(folder);
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

bool cache_usable(const std::string& folder) {
  return make_private_folder(folder) && access(folder.c_str(), W_OK | X_OK) == 0;
}

std::string cache_name(std::span<const Kernel> kernels) {
  std::string bytes;
  for (const Kernel& k : kernels) bytes += serialize(k);
  return content_key(bytes, target_str(target_now())) + ".thxk";
}

std::string cache_pack(std::string_view object, std::string_view name) {
  Head h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.bytes = object.size();
  h.check = fnv(object, fnv(name, 0xcbf29ce484222325u));
  std::string s(reinterpret_cast<const char*>(&h), sizeof h);
  s += object;
  return s;
}

std::optional<std::string_view> cache_unpack(std::string_view file, std::string_view name) {
  Head h{};
  if (file.size() < sizeof h) return std::nullopt;
  std::memcpy(&h, file.data(), sizeof h);
  const std::string_view object = file.substr(sizeof h);
  const bool fits = std::memcmp(h.magic, kMagic, sizeof kMagic) == 0 && h.bytes == object.size();
  const bool whole = fits && h.check == fnv(object, fnv(name, 0xcbf29ce484222325u));
  return whole ? std::optional(object) : std::nullopt;
}

CompiledKernels compile_cached(std::span<const Kernel> kernels, const std::string& folder) {
  const bool on_disk = !folder.empty() && make_private_folder(folder);
  const std::string name = cache_name(kernels);
  if (on_disk) {
    if (std::optional<std::string> object = read_cached(folder, name)) {
      try {
        CompiledKernels out = load(*object, kernels);
        out.from_disk = true;
        return out;
      } catch (const Error&) {  // whole, but not what it should be
        remove_file(folder + "/" + name);
      }
    }
  }
  const std::string object = compile_with_plugin(kernels, target_now());
  CompiledKernels out = load(object, kernels);
  if (on_disk) write_cached(folder, name, object);
  return out;
}

CompiledKernels compile_kernels(std::span<const Kernel> kernels) {
  static std::mutex mutex;
  static std::map<std::string, CompiledKernels> memory;
  const std::string key = cache_name(kernels);
  {
    std::lock_guard lock(mutex);
    auto found = memory.find(key);
    if (found != memory.end()) return found->second;
  }
  CompiledKernels out = compile_cached(kernels, cache_folder());
  std::lock_guard lock(mutex);
  return memory.emplace(key, std::move(out)).first->second;
}

}  // namespace thixo::codegen
