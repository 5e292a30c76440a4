#include "codegen/target.h"

#include <algorithm>
#include <array>

#include "thixo/error.h"

namespace thixo::codegen {

namespace {

struct Isa {
  std::string_view name, triple, cpu, features;
  bool fma;
};
// AVX-512: LLVM prefers 256-bit registers for this processor level unless told otherwise.
constexpr std::array<Isa, 5> kIsas{{
    {"x86-64-v2", "x86_64-unknown-linux-gnu", "x86-64-v2", "", false},
    {"avx2", "x86_64-unknown-linux-gnu", "x86-64-v3", "", true},
    {"avx512", "x86_64-unknown-linux-gnu", "x86-64-v4", "-prefer-256-bit", true},
    {"aarch64", "aarch64-unknown-linux-gnu", "generic", "+neon", true},
    {"wasm32", "wasm32-unknown-unknown", "generic", "+simd128,+nontrapping-fptoint,+sign-ext,+bulk-memory", false},
}};

constexpr auto kNames = [] {
  std::array<std::string_view, kIsas.size()> names{};
  for (size_t i = 0; i < kIsas.size(); ++i) names[i] = kIsas[i].name;
  return names;
}();

const Isa& find(std::string_view name) {
  const auto it = std::ranges::find(kIsas, name, &Isa::name);
  if (it == kIsas.end()) {
    Error e = ValueError("there is no instruction set '" + std::string(name) + "'");
    for (std::string_view known : kNames) e.need(known);
    throw e;
  }
  return *it;
}

}  // namespace

std::span<const std::string_view> isas() { return kNames; }

TargetSpec target_for(std::string_view isa) {
  const Isa& i = find(isa);
  TargetSpec t;
  t.triple = i.triple;
  t.cpu = i.cpu;
  t.features = i.features;
  return t;
}

bool has_fma(std::string_view isa) { return find(isa).fma; }

bool host_runs(std::string_view isa) {
  const std::string_view name = find(isa).name;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (name == "avx512") return __builtin_cpu_supports("x86-64-v4");
  if (name == "avx2") return __builtin_cpu_supports("x86-64-v3");
  return name == "x86-64-v2";
#elif defined(__aarch64__)
  return name == "aarch64";
#else
  return false;
#endif
}

std::string_view host_isa() {
  for (std::string_view name : {"avx512", "avx2", "aarch64"}) {
    if (host_runs(name)) return name;
  }
  return "x86-64-v2";
}

std::string target_str(const TargetSpec& t) {
  return t.triple + " " + t.cpu + " [" + t.features + "]" + (t.deterministic ? " deterministic" : "") +
         (t.optimize ? "" : " quick");
}

TargetSpec target_from_str(std::string_view text) {
  const size_t cpu = text.find(' '), features = text.find(" ["), end = text.find(']');
  if (cpu == text.npos || features == text.npos || end == text.npos || features <= cpu || end < features) {
    throw ValueError("'" + std::string(text) + "' is not a target").need("triple cpu [features] options");
  }
  TargetSpec t;
  t.triple = text.substr(0, cpu);
  t.cpu = text.substr(cpu + 1, features - cpu - 1);
  t.features = text.substr(features + 2, end - features - 2);
  std::string_view options = text.substr(end + 1);
  t.deterministic = options.starts_with(" deterministic");
  if (t.deterministic) options.remove_prefix(std::string_view(" deterministic").size());
  t.optimize = options != " quick";
  if (!t.optimize) options = {};
  if (!options.empty()) throw ValueError("'" + std::string(text) + "' has unknown target options");
  return t;
}

}  // namespace thixo::codegen
