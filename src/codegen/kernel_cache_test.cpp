// The disk cache of compiled kernels: what is in the folder may cost a compile, never a crash or a wrong result.
#include "codegen/kernel_cache.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "codegen/compiler_plugin.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

namespace fs = std::filesystem;

/// out[i] = in[i] * factor
Kernel scale(double factor, const std::string& name = "scale") {
  Kernel k;
  k.name = name;
  k.vector_par = true;
  k.buffers = {{"in", DType::F32, BufferKind::In, 0}, {"out", DType::F32, BufferKind::Out, 0}};
  k.par_axis = KernelIds().fresh();
  const Expr at = axis(k.par_axis);
  k.body.push_back(make_store(1, at, load(0, DType::F32, at) * constant(factor, DType::F32)));
  return k;
}

float run(const CompiledKernels& k) {
  float in[16], out[16] = {};
  for (float& x : in) x = 3;
  void* buffers[] = {in, out};
  const KernelArgs args{buffers, nullptr, nullptr};
  k.functions[0](&args, 0, 16);
  return out[15];
}

struct KernelCache : testing::Test {
  std::string folder;
  void SetUp() override {
    ASSERT_TRUE(compiler_available()) << "build the target thixo_compiler";
    std::string path = testing::TempDir() + "thixo-cache-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    folder = path;
  }
  void TearDown() override {
    fs::permissions(folder, fs::perms::owner_all);
    fs::remove_all(folder);
  }
  std::string file_of(const Kernel& k) const { return folder + "/" + cache_name({&k, 1}); }
  CompiledKernels compile(const Kernel& k) const { return compile_cached({&k, 1}, folder); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
  static void put(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
};

TEST_F(KernelCache, TheSecondCompileComesFromDisk) {
  const Kernel k = scale(2);
  CompiledKernels first = compile(k), second = compile(k);
  EXPECT_FALSE(first.from_disk);
  EXPECT_TRUE(second.from_disk);
  EXPECT_EQ(run(first), 6);
  EXPECT_EQ(run(second), 6);
  EXPECT_EQ(files(), 1u);
}

TEST_F(KernelCache, IsKeyedByContent) {
  compile(scale(2));
  EXPECT_EQ(run(compile(scale(5))), 15);
  EXPECT_FALSE(compile(scale(2, "other")).from_disk) << "the name is looked up in the object";
  EXPECT_EQ(files(), 3u);
  const Kernel two[] = {scale(2), scale(5, "other")};
  const CompiledKernels both = compile_cached(two, folder);
  EXPECT_FALSE(both.from_disk);
  EXPECT_EQ(both.functions.size(), 2u);
  EXPECT_EQ(cache_name({two, 1}), cache_name({two, 1}));
}

TEST_F(KernelCache, DamagedFilesAreMadeAnew) {
  const Kernel k = scale(2);
  compile(k);
  const std::string whole = read_file(file_of(k));
  const std::string name = cache_name({&k, 1});
  std::vector<std::pair<std::string, std::string>> damaged = {
      {"empty", ""},
      {"no head", whole.substr(0, 10)},
      {"head alone", whole.substr(0, 24)},
      {"half", whole.substr(0, whole.size() / 2)},
      {"one byte short", whole.substr(0, whole.size() - 1)},
      {"one byte more", whole + "x"},
      {"another version", "THXKERN1" + whole.substr(8)},
      {"zeros", std::string(whole.size(), '\0')},
      {"whole, but no object", cache_pack("not machine code", name)},
      {"whole, but nothing", cache_pack("", name)},
      {"a truncated object", cache_pack(std::string_view(whole).substr(24, 500), name)},
      {"the file of another kernel",
       [&] {
         const Kernel other = scale(5);
         compile(other);
         return read_file(file_of(other));
       }()},
      {"an object without the kernel",
       [&] {
         const Kernel other = scale(2, "other");
         compile(other);
         return cache_pack(std::string_view(read_file(file_of(other))).substr(24), name);
       }()},
  };
  for (size_t at = 0; at < whole.size(); at += 1 + whole.size() / 40) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    damaged.emplace_back("bit " + std::to_string(at), flipped);
  }
  for (const auto& [what, bytes] : damaged) {
    put(file_of(k), bytes);
    const CompiledKernels got = compile(k);
    EXPECT_FALSE(got.from_disk) << what;
    EXPECT_EQ(run(got), 6) << what;
    EXPECT_EQ(read_file(file_of(k)), whole) << what << ": mended";
  }
  EXPECT_TRUE(compile(k).from_disk);
}

TEST_F(KernelCache, AFileTooLargeToBeOneIsNotRead) {
  const Kernel k = scale(2);
  put(file_of(k), "x");
  ASSERT_EQ(truncate(file_of(k).c_str(), off_t{1} << 40), 0);  // a hole of a TiB
  EXPECT_EQ(run(compile(k)), 6);
  EXPECT_LT(fs::file_size(file_of(k)), 1u << 20);
}

TEST_F(KernelCache, OddThingsInTheWay) {
  const Kernel k = scale(2);
  fs::create_directory(file_of(k));  // a folder where the file should be
  EXPECT_EQ(run(compile(k)), 6);
  fs::remove_all(file_of(k));
  put(folder + "/elsewhere", "text");
  fs::create_symlink(folder + "/elsewhere", file_of(k));
  EXPECT_EQ(run(compile(k)), 6);
  EXPECT_EQ(run(compile_cached({&k, 1}, folder + "/elsewhere")), 6) << "the folder is a file";
  EXPECT_EQ(run(compile_cached({&k, 1}, "/proc/no/such/folder")), 6);
  EXPECT_EQ(run(compile_cached({&k, 1}, "")), 6);
}

TEST_F(KernelCache, AFolderThatOthersWriteToIsNotTrusted) {
  const Kernel k = scale(2);
  compile(k);
  ASSERT_EQ(chmod(folder.c_str(), 0777), 0);
  EXPECT_FALSE(compile(k).from_disk);
  ASSERT_EQ(chmod(folder.c_str(), 0700), 0);
  EXPECT_TRUE(compile(k).from_disk);
}

TEST_F(KernelCache, AFullDiskOnlyDisablesTheCache) {
  const Kernel k = scale(2);
  // A process that may write no byte to any file: like a full disk, whoever runs the test.
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    const CompiledKernels got = compile(k);
    _exit(run(got) == 6 && !got.from_disk && files() == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(run(compile(k)), 6);
  EXPECT_EQ(files(), 1u);
}

TEST_F(KernelCache, ProcessesCompileTheSameAtOnce) {
  std::vector<pid_t> children;
  for (int p = 0; p < 4; ++p) {
    const pid_t child = fork();
    if (child == 0) {
      bool right = true;
      for (int i = 0; i < 6; ++i) right = right && run(compile(scale(i))) == static_cast<float>(3 * i);
      _exit(right ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  EXPECT_EQ(files(), 6u) << "no temporary file is left";
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(compile(scale(i)).from_disk);
}

TEST_F(KernelCache, KilledWhileWriting) {
  // Children write without end and are killed at any moment; what is there afterwards is whole or nothing.
  const Kernel k = scale(2);
  compile(k);
  const std::string whole = read_file(file_of(k)), name = cache_name({&k, 1});
  fs::remove(file_of(k));
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) write_file(file_of(k), whole);
    }
    usleep(static_cast<useconds_t>(500 + 137 * round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    if (fs::exists(file_of(k))) {
      ASSERT_TRUE(cache_unpack(read_file(file_of(k)), name).has_value()) << round;
    }
  }
  EXPECT_EQ(run(compile(k)), 6);
  EXPECT_TRUE(compile(k).from_disk);
}

TEST_F(KernelCache, LeftoversOfKilledProcessesGo) {
  const std::string old = folder + "/0.thxk.tmp-1-0", fresh = folder + "/1.thxk.tmp-2-0", other = folder + "/notes.txt";
  for (const std::string& path : {old, fresh, other}) put(path, "half");
  for (const std::string& path : {old, other})
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(5));
  compile(scale(2));
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(fs::exists(other));
}

TEST(CacheFolder, FollowsTheEnvironment) {
  const auto set = [](const char* name, const char* value) {
    value == nullptr ? unsetenv(name) : setenv(name, value, 1);
  };
  const std::string cache = std::getenv("THIXO_CACHE") != nullptr ? std::getenv("THIXO_CACHE") : "";
  const std::string xdg = std::getenv("XDG_CACHE_HOME") != nullptr ? std::getenv("XDG_CACHE_HOME") : "";
  set("THIXO_CACHE", "/a/b");
  EXPECT_EQ(cache_folder(), "/a/b");
  set("THIXO_CACHE", "off");
  EXPECT_EQ(cache_folder(), "");
  set("THIXO_CACHE", nullptr);
  set("XDG_CACHE_HOME", "/x");
  EXPECT_EQ(cache_folder(), "/x/thixo");
  set("XDG_CACHE_HOME", xdg.empty() ? nullptr : xdg.c_str());
  set("THIXO_CACHE", cache.empty() ? nullptr : cache.c_str());
}

}  // namespace
}  // namespace thixo::codegen
