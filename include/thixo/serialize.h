// Tensors in files. A file is data: reading one never runs anything that it brings.
#pragma once

#include <map>
#include <string>

#include "thixo/tensor.h"

namespace thixo {

using TensorMap = std::map<std::string, Tensor>;
using Metadata = std::map<std::string, std::string>;

/// The tensors of a .safetensors file. They show the file's pages, loaded when they are touched; writing to them
/// changes the tensor and not the file. The file may be replaced meanwhile, as save_file does; who writes into it in
/// place changes the tensors, and who cuts it ends the process that touches them: clone() what must not depend on it.
/// IoError when the file is damaged or no safetensors file, NotImplementedError for more than 8 dims.
///
///   auto weights = thixo::load_file("model.safetensors");
THIXO_API TensorMap load_file(const std::string& path);
/// The names and texts that a .safetensors file carries beside its tensors.
THIXO_API Metadata load_metadata(const std::string& path);
/// Writes a .safetensors file; one that stood there before is replaced only when the new one is whole on the disk.
THIXO_API void save_file(const TensorMap& tensors, const std::string& path, const Metadata& metadata = {});

}  // namespace thixo
