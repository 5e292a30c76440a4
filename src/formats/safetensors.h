// The safetensors format (github.com/huggingface/safetensors): 8 bytes with the header's length, the header as JSON,
// the tensors' bytes one after the other without a hole.
#pragma once

#include <vector>

#include "formats/bytes.h"
#include "thixo/serialize.h"

namespace thixo {

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  size_t begin = 0, end = 0;  ///< in the bytes after the header
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their bytes
  Metadata metadata;
  size_t data_begin = 0;
};

/// Reads and checks everything but the tensors' values: whatever it returns may be mapped.
SafetensorsHeader read_safetensors_header(const Bytes& file);
TensorMap read_safetensors(const Bytes& file);

/// The format's name of a dtype ("F32"), or null when it has none.
const char* safetensors_dtype_name(DType dtype);

}  // namespace thixo
