// What this build is and what it found on this machine.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "thixo/export.h"

namespace thixo {

/// "0.1.0"
THIXO_API const char* version();

/// One finding: `ok` is false where something useful is missing, and `fix` says what to do.
struct Finding {
  std::string name, value;
  bool ok = true;
  std::string fix;
};
/// Processor, instruction set, kernels, compiler, libraries, threads, memory, caches: for `thixo doctor`.
THIXO_API std::vector<Finding> system_findings();

/// The settings that come from the environment: name, value in force, meaning.
struct EnvironmentSetting {
  std::string name, value, doc;
  bool is_set;
};
THIXO_API std::vector<EnvironmentSetting> environment_settings();

}  // namespace thixo
