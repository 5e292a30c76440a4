#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "thixo/error.h"

namespace thixo {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

Error cannot(const char* action, const std::string& path, int error) {
  Error e = IoError("cannot " + std::string(action) + " '" + path + "': " + reason(error));
  if (error == ENOENT) e.fix("check the path; the working directory is where relative paths start");
  return e;
}

/// The system would take what stands before a zero byte for the path.
const char* checked(const std::string& path) {
  if (path.find('\0') == std::string::npos) return path.c_str();
  throw ValueError("the path '" + std::string(path.c_str()) + "...' has a zero byte in it");
}

struct Fd {
  int fd;
  explicit Fd(const std::string& path) : fd(open(checked(path), O_RDONLY | O_CLOEXEC)) {
    if (fd < 0) throw cannot("open", path, errno);
  }
  ~Fd() { close(fd); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
};

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

/// The file behind a symbolic link, there or not yet, so that the link itself stays one.
std::string behind_links(const std::string& path) {
  std::string at = checked(path);
  char target[PATH_MAX];
  for (int links = 0; links < 40; ++links) {  // as many as the system follows
    const ssize_t n = readlink(at.c_str(), target, sizeof(target));
    if (n < 0) return at;
    const std::string next(target, static_cast<size_t>(n));
    at = next.starts_with('/') ? next : folder_of(at) + "/" + next;
  }
  throw cannot("write", path, ELOOP);
}

/// Removes what processes left that were killed while they wrote `path`. A file that was written a moment ago is
/// spared: the folder may be shared with another machine, whose processes are not seen from here.
void remove_leftovers(const std::string& path) {
  constexpr auto kMoment = std::chrono::minutes(1);
  namespace fs = std::filesystem;
  const std::string start = fs::path(path).filename().string() + ".tmp-";
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(path), ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start)) continue;
    pid_t pid = 0;
    const auto [end, failed] = std::from_chars(name.data() + start.size(), name.data() + name.size(), pid);
    if (failed != std::errc() || *end != '-' || pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH) continue;
    const auto written = entry.last_write_time(ignored);
    if (!ignored && fs::file_time_type::clock::now() - written > kMoment) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

std::string size_str(int64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double v = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; v >= 1024; ++unit) v /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), v < 10 ? "%.2f %s" : "%.1f %s", v, units[unit]);
  return text;
}

void read_file_into(const std::string& path, const std::function<std::byte*(size_t)>& room) {
  Fd file(path);
  struct stat info{};
  if (fstat(file.fd, &info) != 0) throw cannot("read", path, errno);
  if (!S_ISREG(info.st_mode)) throw cannot("read", path, S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
  auto bytes = static_cast<size_t>(info.st_size);
  std::byte* to = room(bytes);
  while (bytes > 0) {
    const ssize_t n = read(file.fd, to, std::min<size_t>(bytes, 1 << 30));
    if (n == 0) throw IoError("cannot read '" + path + "': it became shorter meanwhile");
    if (n < 0 && errno != EINTR) throw cannot("read", path, errno);
    if (n < 0) continue;
    to += n;
    bytes -= static_cast<size_t>(n);
  }
}

std::string read_file(const std::string& path) {
  Fd file(path);
  std::string result;
  struct stat info{};
  if (fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode)) result.reserve(static_cast<size_t>(info.st_size));
  char part[1 << 16];
  for (;;) {
    const ssize_t n = read(file.fd, part, sizeof(part));
    if (n == 0) return result;
    if (n > 0) {
      result.append(part, static_cast<size_t>(n));
    } else if (errno != EINTR) {
      throw cannot("read", path, errno);
    }
  }
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  Fd file(path);
  struct stat info{};
  if (fstat(file.fd, &info) != 0) throw cannot("read", path, errno);
  if (!S_ISREG(info.st_mode)) throw cannot("map", path, S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* p = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.fd, 0);
  if (p == MAP_FAILED) throw cannot("map", path, errno);
  data_ = static_cast<std::byte*>(p);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

AtomicFile::AtomicFile(const std::string& path, int64_t bytes) : path_(behind_links(path)), expected_(bytes) {
  struct stat old{};
  const bool exists = stat(path_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    throw IoError("cannot write '" + path + "': it is " + (S_ISDIR(old.st_mode) ? "a folder" : "no regular file"));
  }
  if (exists && faccessat(AT_FDCWD, path_.c_str(), W_OK, AT_EACCESS) != 0) {
    throw cannot("write", path, errno).fix("make the file writable (chmod u+w), or choose another name");
  }
  static std::atomic<unsigned> number{0};
  do {  // a killed process of the same id, as in a container that was started again, may have left files
    temporary_ = path_ + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(number++);
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) {
    temporary_.clear();
    throw cannot("write", path, errno);
  }
  if (exists && fchmod(fd_, old.st_mode & 07777) != 0) fail(errno, "set the permissions of");
  if (bytes > 0 && fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, bytes) != 0 && (errno == ENOSPC || errno == EFBIG)) {
    fail(errno, "write");
  }
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  if (!temporary_.empty()) unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::fail(int error, const char* action) {
  discard();
  Error e = cannot(action, path_, error);
  struct statvfs disk{};
  if (statvfs(folder_of(path_).c_str(), &disk) == 0) {
    const auto free = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
    e.got(size_str(std::max(expected_, written_)) + " to write, " + size_str(free) + " free on the disk");
  }
  if (access(path_.c_str(), F_OK) == 0) e.got("the file that stood there before is unchanged");
  if (error == ENOSPC || error == EDQUOT) e.fix("free some space, or write to another disk");
  throw e;
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  expected_ = std::max(expected_, written_ + static_cast<int64_t>(bytes));
  while (bytes > 0) {
    const ssize_t n = ::write(fd_, p, std::min<size_t>(bytes, 1 << 30));
    if (n < 0) {
      if (errno == EINTR) continue;
      fail(errno, "write");
    }
    p += n;
    bytes -= static_cast<size_t>(n);
    written_ += n;
  }
}

void AtomicFile::commit() {
  if (fsync(fd_) != 0) fail(errno, "write");
  const int closed = close(fd_);
  fd_ = -1;
  if (closed != 0) fail(errno, "write");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno, "write");
  temporary_.clear();
  remove_leftovers(path_);
  // The new name must survive a power cut as well; a file system that cannot do it has nothing to lose.
  const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
}

void write_file(const std::string& path, std::string_view bytes) {
  AtomicFile file(path, static_cast<int64_t>(bytes.size()));
  file.write(bytes);
  file.commit();
}

}  // namespace thixo
