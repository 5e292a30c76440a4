// Rows of a tile become columns: small squares of elements are turned in registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thixo::detail {

/// dst[c * dst_row + r] = src[r * src_row + c] for r < rows, c < columns; elements of `item` bytes (1, 2, 4, 8, 16),
/// strides in elements. Both tiles should fit the first-level cache.
void transpose_tile(size_t item, const char* src, int64_t src_row, char* dst, int64_t dst_row, int64_t rows,
                    int64_t columns);

/// Asks for the memory of a tile that is read soon: its rows lie too far apart for the processor to guess.
void prefetch_tile(size_t item, const char* src, int64_t src_row, int64_t rows, int64_t columns);

}  // namespace thixo::detail
