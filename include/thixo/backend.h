// How results are computed: the deterministic mode, and what this build computes with.
#pragma once

#include <string>
#include <vector>

#include "thixo/export.h"

namespace thixo {

/// Results never depend on the number of threads. With this on they are also the same bits on every processor, and a
/// result does not depend on its place in the batch (contractions come from the code generator alone, a fused
/// multiply-add is a multiply and an add), at a cost. Functions compiled before are compiled again for the mode.
THIXO_API void use_deterministic_algorithms(bool on);
THIXO_API bool are_deterministic_algorithms_enabled();

/// One thing that this build computes with: {"cpu kernels", "avx2"}, {"oneDNN", "2.6.0, avx2"}.
struct BackendInfo {
  std::string name, detail;
};
THIXO_API std::vector<BackendInfo> backends();

/// Begins what the first product of matrices would wait for otherwise (oneDNN writes its kernels: 20 ms), on a thread
/// in the background, which has ended with the destructor; nothing where ops have one thread. To be made early in
/// main(), as the Python package does when it is imported:
///
///     int main() {
///       const thixo::WarmUp warm;
class THIXO_API WarmUp {
 public:
  WarmUp();
  ~WarmUp();
  WarmUp(const WarmUp&) = delete;
  WarmUp& operator=(const WarmUp&) = delete;
};

}  // namespace thixo
