// Beside compile.h, which makes the objects.
#include "codegen/object_loader.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "codegen/llvm/compile.h"
#include "codegen/llvm/sample_kernels.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

std::vector<Kernel> some_kernels() {
  std::vector<Kernel> kernels;
  for (const samples::SampleKind& kind : samples::sample_kinds()) kernels.push_back(kind.make(3, false).kernel);
  return kernels;
}

const std::string& object() {
  static const std::string bytes = compile_object(some_kernels(), target_for(host_isa()));
  return bytes;
}

TEST(ObjectLoader, FindsEveryKernel) {
  const LoadedObject loaded(object());
  for (const Kernel& k : some_kernels()) EXPECT_NE(loaded.find(k.name), nullptr) << k.name;
  EXPECT_EQ(loaded.find("another"), nullptr);
  EXPECT_EQ(loaded.mapped_bytes() % 4096, 0u);
}

bool refused(std::string_view bytes) {
  try {
    LoadedObject loaded(bytes);
    return false;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Value) << e.what();
    return true;
  }
}

TEST(ObjectLoader, TruncatedObjectsAreRefused) {
  for (size_t n = 0; n < object().size(); n += n < 200 ? 1 : 97)
    EXPECT_TRUE(refused(std::string_view(object()).substr(0, n))) << n;
}

TEST(ObjectLoader, AlteredObjectsNeverCrash) {
  // Every byte of a small object: headers, relocations, symbols, and code, where any bytes are allowed.
  std::vector<Kernel> two = some_kernels();
  two.resize(2);
  const std::string whole = compile_object(two, target_for(host_isa()));
  int count = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (unsigned flip : {0x01u, 0x80u, 0xffu}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
      count += refused(changed);
    }
  }
  EXPECT_GT(count, 100);
}

TEST(ObjectLoader, OutsideSymbolsAndVariablesAreRefused) {
  std::string changed = object();
  Elf64_Ehdr header;
  std::memcpy(&header, changed.data(), sizeof header);
  for (size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    char* at = changed.data() + header.e_shoff + i * sizeof section;
    std::memcpy(&section, at, sizeof section);
    if ((section.sh_flags & SHF_EXECINSTR) == 0) continue;
    section.sh_flags |= SHF_WRITE;
    std::memcpy(at, &section, sizeof section);
  }
  EXPECT_TRUE(refused(changed));
  EXPECT_TRUE(refused(compile_object(some_kernels(), target_for(host_isa() == "aarch64" ? "avx2" : "aarch64"))));
  EXPECT_TRUE(
      refused("\x7f"
              "ELF"));
  EXPECT_TRUE(refused(""));
}

}  // namespace
}  // namespace thixo::codegen
