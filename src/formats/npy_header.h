// The header of a .npy file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "thixo/tensor.h"

namespace thixo {

struct NpyHeader {
  DType dtype = DType::F32;
  bool swapped = false;  ///< big-endian
  bool fortran_order = false;
  Shape shape;
};

/// Reads the dict, e.g. "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }". `name` is for error texts.
NpyHeader parse_npy_header(std::string_view text, const std::string& name);
/// The dict as NumPy writes it.
std::string npy_header_text(const Shape& shape, DType dtype);
/// NumPy's name ("<f4"), or null for bfloat16.
const char* npy_dtype_name(DType dtype);

}  // namespace thixo
