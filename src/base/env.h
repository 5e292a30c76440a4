// Environment settings. Every THIXO_* variable is a row of the one table in env.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "thixo/export.h"

namespace thixo {

enum class Env : uint8_t { NumThreads, MemoryLimit, MemoryIdle, Isa, Verify, Compiler, Cache, OneDnn };

struct EnvSetting {
  Env id;
  const char* name;      ///< "THIXO_NUM_THREADS"
  const char* fallback;  ///< the value that counts when the variable is unset or empty
  const char* doc;
};

/// All settings, for `thixo doctor` and the documentation.
THIXO_API std::span<const EnvSetting> env_settings();

/// The variable's text, or the fallback. Read anew at each call: keep what a fast path needs.
THIXO_API std::string_view env_text(Env id);
/// A whole number from `low` to `high`. ValueError names the variable when its text is none.
THIXO_API int64_t env_int(Env id, int64_t low = INT64_MIN, int64_t high = INT64_MAX);
/// 1, true, yes, on or 0, false, no, off; else ValueError.
THIXO_API bool env_flag(Env id);
/// A size: "1073741824", "512M", "1.5G" (powers of 1024); else ValueError.
THIXO_API int64_t env_bytes(Env id);

}  // namespace thixo
