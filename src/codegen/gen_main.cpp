// thixo-gen: builds the kernel pack of one instruction set.
//
//   thixo-gen --isa avx2 --out pack/avx2.o --cache pack/cache --linker ld.lld [--jobs 2]
//   thixo-gen --keys                        prints the key of every kernel
//
// Each group of kernels (those of one op) becomes an object file in the cache, named by its content: kernels, target
// and version of the lowering. A change of one op so lowers that op's kernels only. The objects and a table of
// (hash of the key, address) are linked into one relocatable object.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "codegen/gen_support.h"
#include "codegen/llvm/compile.h"
#include "codegen/lowering_version.h"
#include "codegen/pack.h"
#include "codegen/pack_builder.h"
#include "codegen/target.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

struct Options {
  std::string isa, out, cache, linker = "ld.lld";
  int jobs = static_cast<int>(std::thread::hardware_concurrency());
  bool keys = false;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--keys") {
      o.keys = true;
      continue;
    }
    if (i + 1 == argc) throw ValueError("thixo-gen: " + std::string(name) + " needs a value");
    const std::string value = argv[++i];
    if (name == "--isa") {
      o.isa = value;
    } else if (name == "--out") {
      o.out = value;
    } else if (name == "--cache") {
      o.cache = value;
    } else if (name == "--linker") {
      o.linker = value;
    } else if (name == "--jobs") {
      o.jobs = std::stoi(value);
    } else {
      throw ValueError("thixo-gen: unknown option '" + std::string(name) + "'");
    }
  }
  if (!o.keys && (o.isa.empty() || o.out.empty())) throw ValueError("thixo-gen: --isa and --out are needed");
  if (o.cache.empty()) o.cache = std::filesystem::path(o.out).replace_extension(".cache");
  return o;
}

PackSink collect() {
  PackSink sink;
  for (PackSection section : pack_sections()) section(sink);
  return sink;
}

// Where the object of this content lies, made or not.
std::string object_path(const Options& o, const TargetSpec& target, const PackGroup& group) {
  std::string content = std::string(kLoweringVersion) + '\n' + target_str(target);
  for (const Kernel& k : group.kernels) content += '\n' + serialize(k);
  char name[40];
  std::snprintf(name, sizeof name, "%016llx%016llx.o", static_cast<unsigned long long>(kernel_hash(content)),
                static_cast<unsigned long long>(kernel_hash(std::string(content.rbegin(), content.rend()))));
  return o.cache + "/" + name;
}

void write_file(const std::string& path, std::string_view bytes) {
  const std::string part = path + "." + std::to_string(getpid());
  std::ofstream f(part, std::ios::binary);
  f.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  f.close();
  if (!f) throw IoError("thixo-gen: cannot write '" + part + "'");
  std::filesystem::rename(part, path);
}

std::vector<PackEntryName> sorted_entries(const PackSink& sink) {
  std::vector<PackEntryName> entries;
  for (const auto& [key, kernel] : sink.keys()) entries.push_back({kernel_hash(key), kernel});
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.hash < b.hash; });
  const auto same = [](const auto& a, const auto& b) { return a.hash == b.hash && a.kernel == b.kernel; };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());  // several ops share a nest
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].hash != entries[i - 1].hash) continue;
    throw InternalError("pack: two keys with one hash, of the kernels '" + entries[i - 1].kernel + "' and '" +
                        entries[i].kernel + "'");
  }
  return entries;
}

// What a pack may weigh: the phone and the web page carry it too.
void check_budget(const std::string& path) {
  constexpr double kBudget = 12;  // MiB
  const double size = static_cast<double>(std::filesystem::file_size(path)) / (1 << 20);
  if (size <= kBudget) return;
  std::filesystem::remove(path);
  throw ValueError("thixo-gen: the pack '" + path + "' has " + std::to_string(size) + " MiB, its budget is 12");
}

void build(const Options& o) {
  const PackSink sink = collect();
  const TargetSpec target = target_for(o.isa);
  std::filesystem::create_directories(o.cache);
  std::vector<std::string> objects;
  std::vector<size_t> missing;
  for (const PackGroup& g : sink.groups()) {
    if (g.kernels.empty()) continue;
    objects.push_back(object_path(o, target, g));
    if (!std::filesystem::exists(objects.back())) missing.push_back(static_cast<size_t>(&g - sink.groups().data()));
  }
  run_forked(o.jobs, missing.size(), [&](size_t i) {
    const PackGroup& g = sink.groups()[missing[i]];
    write_file(object_path(o, target, g), compile_object(g.kernels, target));
  });
  const std::string table = o.out + ".table.o";
  write_file(table, pack_table_object(o.isa, sorted_entries(sink), target));
  objects.push_back(table);
  link_objects(o.linker, target, objects, o.out);
  std::filesystem::remove(table);
  keep_global(o.out, pack_symbol(o.isa));
  check_budget(o.out);
  remove_stale_objects(o.cache, objects);
}

}  // namespace
}  // namespace thixo::codegen

int main(int argc, char** argv) try {
  using namespace thixo::codegen;
  const Options o = parse(argc, argv);
  if (o.keys) {
    const PackSink sink = collect();
    for (const auto& [key, kernel] : sink.keys()) std::puts(key.c_str());
    return 0;
  }
  build(o);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
