// NumPy's .npy format (numpy.lib.format): a magic text, a header that is a Python dict, the elements.
#pragma once

#include "formats/bytes.h"

namespace thixo {

/// The array in bytes [begin, end) of a file.
Tensor read_npy(const Bytes& file, size_t begin, size_t end);

}  // namespace thixo
