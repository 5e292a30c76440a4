// NumPy's own files.
#pragma once

#include <string>

#include "thixo/serialize.h"

namespace thixo {

/// An array that numpy.save wrote, read into memory; both byte orders and both memory orders. NotImplementedError for
/// arrays of Python objects, texts and records, and of more than 8 dims.
THIXO_API Tensor load_npy(const std::string& path);
/// DTypeError for bfloat16, which NumPy does not know.
THIXO_API void save_npy(const std::string& path, const Tensor& t);
/// The arrays of a file that numpy.savez wrote (not savez_compressed), by name.
THIXO_API TensorMap load_npz(const std::string& path);

}  // namespace thixo
