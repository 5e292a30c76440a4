// The plugin's C function, here linked in; opening libthixo_compiler.so is tested by what compiles through it.
#include <gtest/gtest.h>

#include <cstdlib>

#include "codegen/llvm/sample_kernels.h"
#include "codegen/object_loader.h"
#include "codegen/target.h"
#include "thixo/error.h"

extern "C" int thixo_compile_kernels(const char* kernels, size_t n, const char* target, size_t target_n, char** object,
                                     size_t* object_n, char** error);

namespace thixo::codegen {
namespace {

struct Result {
  int status;
  std::string object, error;
};

Result compile(const std::string& kernels, const std::string& target) {
  char *object = nullptr, *error = nullptr;
  size_t size = 0;
  Result r{thixo_compile_kernels(kernels.data(), kernels.size(), target.data(), target.size(), &object, &size, &error),
           "", ""};
  if (object != nullptr) r.object.assign(object, size);
  if (error != nullptr) r.error = error;
  std::free(object);
  std::free(error);
  return r;
}

std::string framed(const Kernel& k) {
  const std::string bytes = serialize(k);
  const uint64_t n = bytes.size();
  return std::string(reinterpret_cast<const char*>(&n), sizeof n) + bytes;
}

TEST(Plugin, CompilesKernels) {
  const Kernel a = samples::sample_kinds()[0].make(1, false).kernel,
               b = samples::sample_kinds()[1].make(1, false).kernel;
  const Result r = compile(framed(a) + framed(b), target_str(target_for(host_isa())));
  ASSERT_EQ(r.status, 0) << r.error;
  const LoadedObject loaded(r.object);
  EXPECT_NE(loaded.find(a.name), nullptr);
  EXPECT_NE(loaded.find(b.name), nullptr);
}

TEST(Plugin, ReportsErrors) {
  const std::string kernel = framed(samples::sample_kinds()[0].make(1, false).kernel);
  const std::string target = target_str(target_for(host_isa()));
  EXPECT_EQ(compile(kernel.substr(0, kernel.size() - 1), target).status, 1 + static_cast<int>(ErrorKind::Value));
  EXPECT_EQ(compile(kernel, "nowhere").status, 1 + static_cast<int>(ErrorKind::Value));
  const Result twice = compile(kernel + kernel, target);
  EXPECT_EQ(twice.status, 1 + static_cast<int>(ErrorKind::Internal));
  EXPECT_NE(twice.error.find("pointwise_f32"), std::string::npos) << twice.error;
}

}  // namespace
}  // namespace thixo::codegen
