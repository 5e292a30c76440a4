// The names and places of files in a ZIP archive, as numpy.savez writes it: stored, not compressed.
#pragma once

#include <map>
#include <vector>

#include "formats/bytes.h"

namespace thixo {

struct ZipEntry {
  std::string name;
  size_t begin = 0, end = 0;  ///< of its bytes in the archive
  uint32_t crc = 0;
};

/// NotImplementedError for compressed or encrypted entries; IoError for a damaged archive.
std::vector<ZipEntry> read_zip(const Bytes& file);

/// The checksum that ZIP uses.
uint32_t crc32(std::span<const std::byte> data);

/// The arrays of an .npz archive by name, checksums compared.
std::map<std::string, Tensor> read_npz(const Bytes& file);

}  // namespace thixo
