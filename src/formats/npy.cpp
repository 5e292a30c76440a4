#include "formats/npy.h"

#include <algorithm>

#include "base/files.h"
#include "core/record.h"
#include "formats/npy_header.h"
#include "thixo/npy.h"

namespace thixo {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

Strides fortran_strides(const Shape& shape) {
  Strides strides;
  int64_t step = 1;
  for (Dim d : shape) {
    strides.push_back(step);
    step *= std::max<int64_t>(d.value(), 1);
  }
  return strides;
}

/// A copy in this machine's byte order.
Tensor swapped_copy(const std::byte* from, const Shape& shape, const Strides& strides, DType dtype, size_t bytes) {
  Tensor t(new_record_strided(shape, strides, bytes, dtype, {}));
  if (bytes == 0) return t;
  auto* to = static_cast<std::byte*>(t.record()->data());
  const size_t word = item_size(real_type(dtype));
  std::memcpy(to, from, bytes);
  for (size_t i = 0; i < bytes; i += word) std::reverse(to + i, to + i + word);
  return t;
}

}  // namespace

Tensor read_npy(const Bytes& file, size_t begin, size_t end) {
  const auto bad = [&](const std::string& reason) { return invalid_file(file.name, "npy", reason); };
  const size_t total = end - begin;
  if (total < 10 || file.text(begin, 6) != kMagic) throw bad("it does not begin with the bytes \\x93NUMPY");
  const auto version = static_cast<int>(file.data[begin + 6]);
  if (version < 1 || version > 3) throw bad("its version is " + std::to_string(version) + ", not 1, 2 or 3");
  const size_t start = version == 1 ? 10 : 12;
  if (total < start) throw bad("it ends inside its header");
  const size_t length = version == 1 ? file.number<uint16_t>(begin + 8) : file.number<uint32_t>(begin + 8);
  if (length > total - start) throw bad("it ends inside its header");
  const NpyHeader h = parse_npy_header(file.text(begin + start, length), file.name);

  const int64_t bytes = checked_bytes(h.shape, h.dtype);
  const size_t room = total - start - length;
  if (bytes < 0 || static_cast<size_t>(bytes) > room) {
    throw bad("it has " + std::to_string(room) + " bytes of values, too few for " +
              std::string(dtype_short_name(h.dtype)) + shape_str(h.shape) + "; the file is cut off or damaged");
  }
  const Strides strides = h.fortran_order ? fortran_strides(h.shape) : contiguous_strides(h.shape);
  const size_t at = begin + start + length;
  if (h.swapped) return swapped_copy(file.data.data() + at, h.shape, strides, h.dtype, static_cast<size_t>(bytes));
  return tensor_on(file, at, h.shape, strides, h.dtype, "npy");
}

Tensor load_npy(const std::string& path) {
  const Bytes file = read_bytes(path);
  return read_npy(file, 0, file.data.size());
}

void save_npy(const std::string& path, const Tensor& t) {
  if (npy_dtype_name(t.dtype()) == nullptr) {
    throw DTypeError("save_npy: NumPy has no " + std::string(dtype_name(t.dtype())))
        .fix("convert it with to(float32), or use save_file (safetensors)");
  }
  if (t.numel() > 0) t.raw_data();  // throws when it has none
  std::string header = npy_header_text(t.shape(), t.dtype());
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  AtomicFile file(path, static_cast<int64_t>(10 + header.size() + t.nbytes()));
  file.write(kMagic);
  const char version_and_length[] = {1, 0, static_cast<char>(header.size() & 255),
                                     static_cast<char>(header.size() >> 8)};
  file.write(version_and_length, sizeof(version_and_length));
  file.write(header);
  write_elements(file, t);
  file.commit();
}

}  // namespace thixo
