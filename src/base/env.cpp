#include "base/env.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string>

#include "thixo/error.h"

namespace thixo {
namespace {

// In the order of the enum.
constexpr EnvSetting kSettings[] = {
    {Env::NumThreads, "THIXO_NUM_THREADS", "0", "threads of one op; 0: OMP_NUM_THREADS, or all cores"},
    {Env::MemoryLimit, "THIXO_MEMORY_LIMIT", "0", "most memory that tensors may hold, such as 8G; 0: no limit"},
    {Env::MemoryIdle, "THIXO_MEMORY_IDLE", "30",
     "seconds after which unused memory goes back to the system; a negative number: never"},
    {Env::Isa, "THIXO_ISA", "", "instruction set of the kernels (avx2, ...); empty: the best that this processor runs"},
    {Env::Verify, "THIXO_VERIFY", "0", "1: check a recorded graph after every pass"},
    {Env::Compiler, "THIXO_COMPILER", "", "path of libthixo_compiler.so; empty: beside the library"},
    {Env::Cache, "THIXO_CACHE", "", "folder of compiled kernels, or off; unset: ~/.cache/thixo"},
    {Env::OneDnn, "THIXO_ONEDNN", "1", "0: contractions come from the code generator alone, none from oneDNN"},
};

const EnvSetting& setting(Env id) { return kSettings[static_cast<size_t>(id)]; }

Error bad_value(Env id, const std::string& need) {
  const EnvSetting& s = setting(id);
  return ValueError(std::string(s.name) + " is '" + std::string(env_text(id)) + "'")
      .need(need + " (" + s.doc + ")")
      .fix(std::string("change or unset the environment variable ") + s.name);
}

}  // namespace

std::span<const EnvSetting> env_settings() { return kSettings; }

std::string_view env_text(Env id) {
  const char* text = std::getenv(setting(id).name);
  return text != nullptr && *text != '\0' ? text : setting(id).fallback;
}

int64_t env_int(Env id, int64_t low, int64_t high) {
  std::string_view text = env_text(id);
  int64_t v = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (ec != std::errc() || end != text.data() + text.size() || v < low || v > high) {
    const bool bounded = low != INT64_MIN;
    const std::string range = " from " + std::to_string(low) + " to " + std::to_string(high);
    throw bad_value(id, "a whole number" + (bounded ? range : std::string()));
  }
  return v;
}

bool env_flag(Env id) {
  constexpr std::array<std::string_view, 4> on{"1", "true", "yes", "on"}, off{"0", "false", "no", "off"};
  std::string_view text = env_text(id);
  if (std::ranges::find(on, text) != on.end()) return true;
  if (std::ranges::find(off, text) != off.end()) return false;
  throw bad_value(id, "1 or 0");
}

int64_t env_bytes(Env id) {
  std::string_view text = env_text(id);
  double v = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  constexpr std::string_view units = "KMGT";
  if (ec == std::errc() && !unit.empty()) {
    size_t power = units.find(unit[0]);
    std::string_view rest = unit.substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "iB"))
      ec = std::errc::invalid_argument;
    for (size_t i = 0; ec == std::errc() && i <= power; ++i) v *= 1024;
  }
  if (ec != std::errc() || !(v >= 0 && v < 9e18)) throw bad_value(id, "a size such as 512M or 8G");
  return static_cast<int64_t>(v);
}

}  // namespace thixo
