// The deterministic mode: every kind of kernel gives the same bits on every instruction set. Code for this
// processor runs here, AArch64 under qemu-user, WebAssembly in Node (drivers in tests/cross/). Run from the
// repository's root.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "codegen/llvm/compile.h"
#include "codegen/llvm/sample_kernels.h"
#include "codegen/object_loader.h"

namespace thixo::codegen {
namespace {

using samples::Bytes;
using samples::Sample;

constexpr int64_t kLengths[] = {0, 1, 5, 7, 13, 15, 16, 17, 31, 32, 40, 75};

std::vector<Kernel> kernels() {
  std::vector<Kernel> all;
  for (const samples::SampleKind& kind : samples::sample_kinds()) all.push_back(kind.make(5, false).kernel);
  return all;
}

std::string object_for(std::string_view isa) {
  TargetSpec t = target_for(isa);
  t.deterministic = true;
  return compile_object(kernels(), t);
}

/// Calls f with the number of a kernel and a sample for it.
template <class F> void each_case(F f) {
  const auto& kinds = samples::sample_kinds();
  for (size_t k = 0; k < kinds.size(); ++k) {
    for (int64_t n : kLengths) {
      Sample s = kinds[k].make(n, false);
      // The drivers know no buffers in one place: in_place runs out of place, into copies.
      while (s.buffers.size() < s.kernel.buffers.size()) s.buffers.push_back(s.buffers[s.buffers.size() % 2]);
      f(k, s);
    }
  }
}

void append(Bytes& out, const void* data, size_t bytes) {
  const size_t old = out.size();
  out.resize(old + bytes);
  if (bytes != 0) std::memcpy(out.data() + old, data, bytes);
}
void append(Bytes& out, int64_t n) { append(out, &n, sizeof n); }

/// What the drivers read.
Bytes input_file() {
  Bytes cases;
  int64_t count = 0;
  each_case([&](size_t kernel, const Sample& s) {
    ++count;
    for (int64_t n : {static_cast<int64_t>(kernel), s.begin, s.end, static_cast<int64_t>(s.buffers.size())})
      append(cases, n);
    for (const Bytes& b : s.buffers) {
      append(cases, static_cast<int64_t>(b.size()));
      append(cases, b.data(), b.size());
      cases.resize((cases.size() + 7) / 8 * 8);
    }
    append(cases, static_cast<int64_t>(s.ints.size()));
    append(cases, s.ints.data(), s.ints.size() * 8);
    append(cases, static_cast<int64_t>(s.params.size()));
    append(cases, s.params.data(), s.params.size() * 8);
  });
  Bytes all;
  append(all, count);
  append(all, cases.data(), cases.size());
  return all;
}

/// What they should write, computed by code for an instruction set of this processor.
Bytes run_here(std::string_view isa) {
  const LoadedObject object(object_for(isa));
  Bytes out;
  each_case([&](size_t, Sample& s) {
    std::vector<void*> pointers;
    for (Bytes& b : s.buffers) pointers.push_back(b.data());
    const KernelArgs args{pointers.data(), s.ints.data(), s.params.data()};
    object.find(s.kernel.name)(&args, s.begin, s.end);
    for (const Bytes& b : s.buffers) append(out, b.data(), b.size());
  });
  return out;
}

class CrossTargets : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("thixo_cross_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    const Bytes input = input_file();
    write_file(path("in"), {reinterpret_cast<const char*>(input.data()), input.size()});
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static bool has(const std::string& tool) {
    return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
  }
  void execute(const std::string& command) const {
    ASSERT_EQ(std::system((command + " >" + path("log") + " 2>&1").c_str()), 0) << command << "\n"
                                                                                << read_file(path("log"));
  }
  void compare() const {
    const std::string got = read_file(path("out"));
    const Bytes want = run_here(host_isa());
    ASSERT_EQ(got.size(), want.size());
    size_t at = 0;
    each_case([&](size_t, const Sample& s) {
      for (size_t i = 0; i < s.buffers.size(); at += s.buffers[i++].size()) {
        EXPECT_TRUE(std::memcmp(got.data() + at, want.data() + at, s.buffers[i].size()) == 0)
            << s.kernel.name << ", buffer " << i << ", up to " << s.end;
      }
    });
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(CrossTargets, Avx2) {
  if (!host_runs("avx2")) GTEST_SKIP() << "this processor has no AVX2";
  EXPECT_TRUE(run_here("avx2") == run_here("x86-64-v2"));
}

TEST_F(CrossTargets, Avx512) {
  if (!host_runs("avx512")) GTEST_SKIP() << "this processor has no AVX-512";
  EXPECT_TRUE(run_here("avx512") == run_here("x86-64-v2"));
}

TEST_F(CrossTargets, AArch64) {
  for (const char* tool : {"aarch64-linux-gnu-gcc", "qemu-aarch64"}) {
    if (!has(tool)) GTEST_SKIP() << tool << " is not installed";
  }
  write_file(path("kernels.o"), object_for("aarch64"));
  std::string table = "#include <stdint.h>\ntypedef int (*KernelFn)(const void*, int64_t, int64_t);\n", names;
  for (const Kernel& k : kernels()) {
    table += "int " + k.name + "(const void*, int64_t, int64_t);\n";
    names += k.name + ",";
  }
  write_file(path("table.c"), table + "const KernelFn kernel_table[] = {" + names + "};\n");
  execute("aarch64-linux-gnu-gcc -O1 -static tests/cross/driver.c " + path("table.c") + " " + path("kernels.o") +
          " -o " + path("run"));
  execute("qemu-aarch64 " + path("run") + " " + path("in") + " " + path("out"));
  compare();
}

TEST_F(CrossTargets, WebAssembly) {
  for (const char* tool : {"wasm-ld-19", "node"}) {
    if (!has(tool)) GTEST_SKIP() << tool << " is not installed";
  }
  write_file(path("kernels.o"), object_for("wasm32"));
  std::string names, exports;
  for (const Kernel& k : kernels()) {
    names += k.name + "\n";
    exports += " --export=" + k.name;
  }
  write_file(path("names"), names);
  execute("wasm-ld-19 --no-entry --export=__heap_base" + exports + " " + path("kernels.o") + " -o " +
          path("kernels.wasm"));
  execute("node tests/cross/driver.mjs " + path("kernels.wasm") + " " + path("names") + " " + path("in") + " " +
          path("out"));
  compare();
}

}  // namespace
}  // namespace thixo::codegen
