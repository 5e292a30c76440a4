// Files: read whole, mapped, and written so that a file is either the old one or the new one, never half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "thixo/export.h"

namespace thixo {

/// The bytes of a file. IoError names the path and the system's reason.
THIXO_API std::string read_file(const std::string& path);

/// The same into memory that `room` gives when it is told the size.
THIXO_API void read_file_into(const std::string& path, const std::function<std::byte*(size_t)>& room);

/// A file mapped into memory, loaded page by page when it is touched. The pages are private: they may be written,
/// the file never changes. It stays whole when the file's name is given to another file; who writes into the file
/// itself, or cuts it, changes what is seen here, or ends the process.
class THIXO_API MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Writes to a temporary file beside `path`; commit() puts it in the place of `path`. Without commit(), or
/// when anything fails (a full disk), `path` stays as it was and the temporary file is removed.
class THIXO_API AtomicFile {
 public:
  /// `bytes`: the size to come, where it is known: a disk that is too small is found before anything is written.
  explicit AtomicFile(const std::string& path, int64_t bytes = 0);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void fail(int error, const char* action);
  void discard() noexcept;
  std::string path_, temporary_;
  int fd_ = -1;
  int64_t expected_, written_ = 0;
};

THIXO_API void write_file(const std::string& path, std::string_view bytes);

/// "3.2 GiB", "17 bytes": for texts.
THIXO_API std::string size_str(int64_t bytes);

}  // namespace thixo
