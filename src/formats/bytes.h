// What the file formats share: bytes in memory, whoever owns them, and the way to tensors and back.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "thixo/tensor.h"

namespace thixo {

class AtomicFile;

/// A file's bytes, or another block; `owner` keeps them. `name` is for error texts.
struct Bytes {
  std::span<std::byte> data;
  std::shared_ptr<void> owner;
  std::string name;

  std::string_view text(size_t begin, size_t size) const {
    return {reinterpret_cast<const char*>(data.data()) + begin, size};
  }
  /// An unsigned number in little-endian order. The caller has checked the size.
  template <class T> T number(size_t at) const {
    T v = 0;
    for (size_t i = 0; i < sizeof(T); ++i) v = static_cast<T>(v | static_cast<T>(data[at + i]) << (8 * i));
    return v;
  }
};

/// The bytes of a file, mapped: as the file changes in place, so do they.
Bytes map_file(const std::string& path);
/// The bytes of a file as they are now.
Bytes read_bytes(const std::string& path);

/// IoError "'x.npy' is no valid npy file: ...".
Error invalid_file(const std::string& name, const char* format, const std::string& reason);

/// A valid file may hold what this library cannot.
Error too_many_dims(const std::string& what);

/// Names in files become texts of other languages, which have no other bytes.
bool is_utf8(std::string_view text);

/// The size in bytes, or -1 when it does not fit an int64. Sizes are not negative.
int64_t checked_bytes(const Shape& shape, DType dtype);

/// A tensor on bytes [begin, begin + its size), which the caller has checked to be there; a copy only where they are
/// not aligned to the dtype. Throws invalid_file for a bool that is neither 0 nor 1.
Tensor tensor_on(const Bytes& bytes, size_t begin, const Shape& shape, const Strides& strides, DType dtype,
                 const char* format);

/// All elements in row-major order.
void write_elements(AtomicFile& file, const Tensor& t);

}  // namespace thixo
