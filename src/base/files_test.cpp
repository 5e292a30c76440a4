#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "thixo/error.h"

namespace thixo {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = fs::temp_directory_path() / "thixo-files-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~Files() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return folder_ / name; }
  size_t entries() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {})); }
  fs::path folder_;
};

TEST_F(Files, WriteAndRead) {
  const std::string text("a\0b\n", 4);
  write_file(path("a"), text);
  EXPECT_EQ(read_file(path("a")), text);
  write_file(path("a"), "");
  EXPECT_EQ(read_file(path("a")), "");
  EXPECT_EQ(entries(), 1u) << "no temporary file is left";
}

TEST_F(Files, NotCommittedLeavesTheOldFile) {
  write_file(path("a"), "old");
  {
    AtomicFile f(path("a"));
    f.write("new");
  }
  EXPECT_EQ(read_file(path("a")), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, WhatAKilledRunLeftIsNoObstacle) {
  write_file(path("a"), "old");
  for (int i = 0; i < 64; ++i) {  // a process of the same id has left the next temporary files
    const std::string left = path("a") + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(i);
    if (!fs::exists(left)) write_file(left, "left");
  }
  write_file(path("a"), "new");
  EXPECT_EQ(read_file(path("a")), "new");
}

TEST_F(Files, KeepsPermissionsAndLinks) {
  write_file(path("a"), "old");
  chmod(path("a").c_str(), 0600);
  fs::create_symlink(path("a"), path("link"));
  write_file(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_file(path("a")), "new");
  EXPECT_EQ(fs::status(path("a")).permissions(), fs::perms(0600));
}

TEST_F(Files, ALinkToNoFileYetIsFollowed) {
  fs::create_symlink("b", path("link"));
  write_file(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_file(path("b")), "new");
  fs::create_symlink("loop", path("loop"));
  EXPECT_THROW(write_file(path("loop"), "x"), Error);
  EXPECT_TRUE(fs::is_symlink(path("loop")));
}

TEST_F(Files, AWriteProtectedFileStays) {
  write_file(path("a"), "old");
  fs::permissions(path("a"), fs::perms(0444));
  fs::permissions(folder_, fs::perms(0777));
  const uid_t before = geteuid();
  ASSERT_EQ(seteuid(before == 0 ? 65534 : before), 0);  // root may write everything
  std::string text;
  try {
    write_file(path("a"), "new");
  } catch (const Error& e) {
    text = e.what();
  }
  ASSERT_EQ(seteuid(before), 0);
  EXPECT_NE(text.find("cannot write '" + path("a") + "': Permission denied\n  fix   make the file writable"),
            std::string::npos)
      << text;
  EXPECT_EQ(read_file(path("a")), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, APathWithAZeroByteIsNone) {
  const std::string name = path("a") + std::string("\0b", 2);
  EXPECT_THROW(write_file(name, "x"), Error);
  EXPECT_THROW(read_file(name), Error);
  EXPECT_EQ(entries(), 0u);
}

TEST_F(Files, ReadsIntoGivenMemory) {
  write_file(path("a"), "hello");
  std::string to;
  read_file_into(path("a"), [&](size_t bytes) {
    to.resize(bytes);
    return reinterpret_cast<std::byte*>(to.data());
  });
  EXPECT_EQ(to, "hello");
}

TEST_F(Files, MissingFileAndFolder) {
  try {
    read_file(path("absent"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Io);
    EXPECT_EQ(e.headline(), "cannot open '" + path("absent") + "': No such file or directory");
  }
  EXPECT_THROW(MappedFile(path("absent")), Error);
  EXPECT_THROW(MappedFile(folder_.string()), Error);
  EXPECT_THROW(read_file(folder_.string()), Error);
  EXPECT_THROW(write_file(path("no/such"), "x"), Error);
  EXPECT_THROW(write_file(folder_.string(), "x"), Error);
  EXPECT_THROW(write_file("/dev/null", "x"), Error) << "must not take the place of a device";
}

TEST_F(Files, MapIsPrivateAndOutlivesItsName) {
  write_file(path("a"), "hello");
  MappedFile map(path("a"));
  ASSERT_EQ(map.size(), 5u);
  write_file(path("a"), "other");
  EXPECT_EQ(std::string(reinterpret_cast<char*>(map.data()), 5), "hello");
  map.data()[0] = std::byte{'j'};
  EXPECT_EQ(read_file(path("a")), "other");
  write_file(path("empty"), "");
  EXPECT_EQ(MappedFile(path("empty")).size(), 0u);
}

// The limit stands for a full disk: the same place fails in the same way.
TEST_F(Files, FullDiskKeepsTheOldFile) {
  write_file(path("a"), "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (int64_t announced : {0, 1 << 20}) {
    rlimit small{1 << 16, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    std::string text;
    try {
      AtomicFile f(path("a"), announced);
      f.write(std::string(1 << 20, 'x'));
      f.commit();
    } catch (const Error& e) {
      text = e.what();
    }
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_NE(text.find("cannot write '" + path("a") + "': File too large"), std::string::npos) << text;
    EXPECT_NE(text.find("1.00 MiB to write"), std::string::npos) << text;
    EXPECT_NE(text.find("is unchanged"), std::string::npos) << text;
    EXPECT_EQ(read_file(path("a")), "old");
    EXPECT_EQ(entries(), 1u);
  }
  std::signal(SIGXFSZ, handler);
}

TEST_F(Files, KilledWhileWritingLeavesTheOldFile) {
  write_file(path("a"), "old");
  const pid_t child = fork();
  if (child == 0) {
    AtomicFile f(path("a"));
    f.write(std::string(1 << 20, 'x'));
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read_file(path("a")), "old");
  write_file(path("a"), "new");
  EXPECT_EQ(read_file(path("a")), "new") << "what the killed process left is not in the way";
  ASSERT_EQ(entries(), 2u);
  // Another's, one that lives, one that is fresh: these stay.
  const std::string gone = path("a") + ".tmp-" + std::to_string(child) + "-";
  const std::vector<std::string> kept = {path("b") + ".tmp-" + std::to_string(child) + "-0",
                                         path("a") + ".tmp-" + std::to_string(getppid()) + "-0", gone + "7"};
  for (const std::string& name : kept) write_file(name, "x");
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path() != gone + "7")
      fs::last_write_time(entry, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }
  write_file(path("a"), "again");
  EXPECT_EQ(entries(), 4u);
  for (const std::string& name : kept) EXPECT_TRUE(fs::exists(name)) << name;
}

TEST(SizeStr, Units) {
  EXPECT_EQ(size_str(1), "1 byte");
  EXPECT_EQ(size_str(1023), "1023 bytes");
  EXPECT_EQ(size_str(1536), "1.50 KiB");
  EXPECT_EQ(size_str(int64_t{20} << 30), "20.0 GiB");
}

}  // namespace
}  // namespace thixo
