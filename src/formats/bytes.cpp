#include "formats/bytes.h"

#include <algorithm>
#include <vector>

#include "base/files.h"
#include "core/record.h"

namespace thixo {
namespace {

/// Copies a strided block in row-major order through a buffer.
class Gather {
 public:
  Gather(AtomicFile& file, size_t item) : file_(file), item_(item) { buffer_.reserve(kRoom + item); }
  void block(const char* p, std::span<const Dim> shape, std::span<const Dim> strides) {
    if (shape.empty()) return put(p);
    const int64_t n = shape[0].value(), step = strides[0].value() * static_cast<int64_t>(item_);
    for (int64_t i = 0; i < n; ++i) block(p + i * step, shape.subspan(1), strides.subspan(1));
  }
  void flush() {
    file_.write(buffer_.data(), buffer_.size());
    buffer_.clear();
  }

 private:
  static constexpr size_t kRoom = size_t{1} << 16;
  void put(const char* p) {
    buffer_.insert(buffer_.end(), p, p + item_);
    if (buffer_.size() >= kRoom) flush();
  }
  AtomicFile& file_;
  size_t item_;
  std::vector<char> buffer_;
};

}  // namespace

Bytes map_file(const std::string& path) {
  auto file = std::make_shared<MappedFile>(path);
  const std::span<std::byte> data(file->data(), file->size());
  return {data, std::move(file), path};
}

Bytes read_bytes(const std::string& path) {
  auto memory = std::make_shared<Tensor>();  // counted and aligned as all tensors' memory
  std::span<std::byte> data;
  read_file_into(path, [&](size_t bytes) {
    *memory = empty({static_cast<int64_t>(bytes)}, {.dtype = uint8});
    data = {static_cast<std::byte*>(memory->raw_data()), bytes};
    return data.data();
  });
  return {data, std::move(memory), path};
}

Error invalid_file(const std::string& name, const char* format, const std::string& reason) {
  return IoError("'" + name + "' is no valid " + format + " file: " + reason);
}

Error too_many_dims(const std::string& what) {
  const std::string most = std::to_string(kMaxRank);
  return NotImplementedError(what + " has more than " + most + " dims").need("at most " + most + " dims");
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at++]);
    const int more = lead < 0x80                   ? 0
                     : lead >= 0xc2 && lead < 0xe0 ? 1
                     : lead >> 4 == 0xe            ? 2
                     : lead >> 3 == 0x1e           ? 3
                                                   : -1;
    if (more < 0 || static_cast<size_t>(more) > text.size() - at) return false;
    uint32_t code = more == 0 ? lead : lead & (0x3fu >> more);
    for (int i = 0; i < more; ++i, ++at) {
      const auto c = static_cast<unsigned char>(text[at]);
      if (c >> 6 != 2) return false;
      code = code << 6 | (c & 0x3fu);
    }
    const uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  }
  return true;
}

int64_t checked_bytes(const Shape& shape, DType dtype) {
  auto bytes = static_cast<int64_t>(item_size(dtype));
  bool empty = false;
  for (Dim d : shape) {
    const int64_t n = d.value();
    empty |= n == 0;
    if (n > 0 && __builtin_mul_overflow(bytes, n, &bytes)) return -1;
  }
  return empty ? 0 : bytes;
}

Tensor tensor_on(const Bytes& bytes, size_t begin, const Shape& shape, const Strides& strides, DType dtype,
                 const char* format) {
  const auto size = static_cast<size_t>(checked_bytes(shape, dtype));
  std::byte* p = bytes.data.data() + begin;
  if (dtype == DType::Bool && !std::all_of(p, p + size, [](std::byte b) { return b <= std::byte{1}; })) {
    throw invalid_file(bytes.name, format, "a bool that is neither 0 nor 1");
  }
  if (size > 0 && reinterpret_cast<uintptr_t>(p) % item_size(real_type(dtype)) != 0) {
    Tensor copy(new_record_strided(shape, strides, size, dtype, {}));
    std::memcpy(copy.record()->data(), p, size);
    return copy;
  }
  return from_blob(p, shape, strides, dtype, [owner = bytes.owner] {});
}

void write_elements(AtomicFile& file, const Tensor& t) {
  if (t.numel() == 0) return;
  if (t.is_contiguous()) return file.write(t.raw_data(), t.nbytes());
  Gather gather(file, item_size(t.dtype()));
  gather.block(static_cast<const char*>(t.raw_data()), t.shape(), t.strides());
  gather.flush();
}

}  // namespace thixo
