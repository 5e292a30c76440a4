// rooms: base core formats
// Any bytes are either refused with an Error or give tensors whose memory is there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thixo;
  auto owner = std::make_shared<std::vector<std::byte>>(size);
  if (size > 0) std::memcpy(owner->data(), data, size);
  const std::span<std::byte> bytes(*owner);
  TensorMap tensors;
  try {
    tensors = read_safetensors({bytes, std::move(owner), "fuzz"});
  } catch (const Error& e) {
    if (e.headline().empty()) std::abort();
  }
  for (const auto& [name, t] : tensors) {
    const size_t n = t.nbytes();
    if (n > size) std::abort();
    auto* p = static_cast<volatile char*>(t.raw_data());
    for (size_t i = 0; i < n; ++i) p[i] = static_cast<char>(p[i] ^ 1);
  }
  return 0;
}
