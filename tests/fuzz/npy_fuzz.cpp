// rooms: base core formats
// Any bytes, as an .npy file and as an .npz archive, are either refused with an Error or give tensors whose
// memory is there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "formats/npy.h"
#include "formats/zip.h"

namespace {

void touch(const thixo::Tensor& t) {
  const size_t n = t.nbytes();
  auto* p = static_cast<volatile char*>(t.raw_data());
  for (size_t i = 0; i < n; ++i) p[i] = static_cast<char>(p[i] ^ 1);
}

template <class F> void read(F&& f) {
  try {
    f();
  } catch (const thixo::Error& e) {
    if (e.headline().empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thixo;
  auto owner = std::make_shared<std::vector<std::byte>>(size);
  if (size > 0) std::memcpy(owner->data(), data, size);
  const std::span<std::byte> bytes(*owner);
  const Bytes file{bytes, std::move(owner), "fuzz"};
  read([&] { touch(read_npy(file, 0, size)); });
  read([&] {
    for (const auto& [name, t] : read_npz(file)) touch(t);
  });
  return 0;
}
