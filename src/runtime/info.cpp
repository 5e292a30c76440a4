#include "thixo/info.h"

#include <cstdlib>
#include <fstream>

#include "base/env.h"
#include "base/files.h"
#include "codegen/compiler_plugin.h"
#include "codegen/kernel_cache.h"
#include "codegen/pack.h"
#include "codegen/target.h"
#include "thixo/backend.h"
#include "thixo/parallel.h"
#include "thixo/registry.h"

namespace thixo {
namespace {

/// The value behind `key` in a file of "key : value" lines; empty when there is none.
std::string field_of(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (colon == line.npos || !line.starts_with(key)) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == line.npos ? "" : line.substr(start);
  }
  return {};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : ", ") + p;
  return text;
}

Finding processor() {
  std::string model = field_of("/proc/cpuinfo", "model name");
  return {.name = "processor", .value = model.empty() ? "unknown" : model, .fix = {}};
}

Finding instruction_set() {
  std::vector<std::string> runs;
  for (std::string_view isa : codegen::isas()) {
    if (codegen::host_runs(isa)) runs.emplace_back(isa);
  }
  return {.name = "instruction sets", .value = joined(runs), .fix = {}};
}

Finding pack() {
  const codegen::PackTable* table = codegen::active_pack();
  if (table == nullptr) {
    return {.name = "kernel pack",
            .value = "none",
            .ok = false,
            .fix = "build with LLVM 19 (llvm-19-dev), so that thixo-gen can write the kernels"};
  }
  std::vector<std::string> linked;
  for (size_t i = 0; i < codegen::kPackTableCount; ++i) linked.emplace_back(codegen::kPackTables[i]->isa);
  return {.name = "kernel pack",
          .value = std::string(table->isa) + " in use, " + std::to_string(table->count) +
                   " kernels; linked: " + joined(linked),
          .fix = {}};
}

Finding compiler() {
  if (codegen::compiler_available()) return {.name = "compiler", .value = "libthixo_compiler.so found", .fix = {}};
  return {.name = "compiler",
          .value = "not found: compiled functions run the kernel pack only",
          .ok = false,
          .fix = "put libthixo_compiler.so beside libthixo.so, or name it in THIXO_COMPILER"};
}

std::string onednn() {
  for (const BackendInfo& b : backends()) {
    if (b.name == "oneDNN") return b.detail;
  }
  return "not in this build";
}

Finding memory() {
  const std::string total = field_of("/proc/meminfo", "MemTotal"), free = field_of("/proc/meminfo", "MemAvailable");
  auto bytes = [](const std::string& kib) { return size_str(std::atoll(kib.c_str()) * 1024); };
  if (total.empty()) return {.name = "memory", .value = "unknown", .fix = {}};
  return {.name = "memory", .value = bytes(total) + ", " + bytes(free) + " available", .fix = {}};
}

Finding huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(in, line);
  const size_t open = line.find('['), close = line.find(']');
  if (open == line.npos || close == line.npos) return {.name = "huge pages", .value = "unknown", .fix = {}};
  const std::string mode = line.substr(open + 1, close - open - 1);
  const bool ok = mode != "never";
  return {
      .name = "huge pages",
      .value = mode,
      .ok = ok,
      .fix = ok ? "" : "fresh memory is slow without them: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding cache() {
  const std::string folder = codegen::cache_folder();
  if (folder.empty()) {
    return {.name = "compile cache",
            .value = "off",
            .ok = false,
            .fix = "set THIXO_CACHE to a folder of your own that nobody else may write to"};
  }
  const bool ok = codegen::cache_usable(folder);
  return {.name = "compile cache",
          .value = folder + (ok ? "" : ": not usable, so every process compiles anew"),
          .ok = ok,
          .fix = ok ? "" : "set THIXO_CACHE to a folder of your own, writable by you alone (chmod 700)"};
}

}  // namespace

const char* version() { return THIXO_VERSION; }

std::vector<Finding> system_findings() {
  return {{.name = "thixo", .value = std::string(version()) + ", " + std::to_string(op_count()) + " ops", .fix = {}},
          processor(),
          instruction_set(),
          {.name = "threads", .value = std::to_string(get_num_threads()), .fix = {}},
          memory(),
          huge_pages(),
          pack(),
          {.name = "oneDNN", .value = onednn(), .fix = {}},
          compiler(),
          cache()};
}

std::vector<EnvironmentSetting> environment_settings() {
  std::vector<EnvironmentSetting> out;
  for (const EnvSetting& s : env_settings()) {
    const char* text = std::getenv(s.name);
    out.push_back({s.name, std::string(env_text(s.id)), s.doc, text != nullptr && *text != '\0'});
  }
  return out;
}

}  // namespace thixo
