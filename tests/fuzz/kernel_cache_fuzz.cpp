// rooms: base core ir codegen
// A cache file of any bytes is refused or holds machine code whose parts lie where it says: mapping it never reads or
// writes outside. Nothing is run.
#include <cstdint>
#include <string>

#include "codegen/kernel_cache.h"
#include "thixo/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thixo;
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kName = "fuzz.thxk";
  const auto load = [](std::string_view object) {
    try {
      const codegen::LoadedObject loaded(object);
      loaded.find("fused0");
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::Value) throw;
    }
  };
  if (auto object = codegen::cache_unpack(file, kName)) load(*object);
  load(file);  // as if the checksum were right
  const std::string packed = codegen::cache_pack(file, kName);
  if (codegen::cache_unpack(packed, kName) != file) __builtin_trap();
  return 0;
}
