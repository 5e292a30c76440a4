#include "base/transpose.h"

#include <gtest/gtest.h>

#include <complex>
#include <vector>

namespace thixo::detail {
namespace {

template <class T> void check(int64_t rows, int64_t columns) {
  const int64_t src_row = columns + 3, dst_row = rows + 1;
  std::vector<T> src(static_cast<size_t>(rows * src_row)), dst(static_cast<size_t>(columns * dst_row));
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<T>(static_cast<double>(i * 7 % 251 + 1));
  transpose_tile(sizeof(T), reinterpret_cast<const char*>(src.data()), src_row, reinterpret_cast<char*>(dst.data()),
                 dst_row, rows, columns);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      ASSERT_EQ(dst[static_cast<size_t>(c * dst_row + r)], src[static_cast<size_t>(r * src_row + c)]);
    }
  }
  for (int64_t c = 0; c < columns; ++c)
    ASSERT_EQ(dst[static_cast<size_t>(c * dst_row + rows)], T{}) << "beside the tile";
}

TEST(Transpose, EverySizeOfElementAndRest) {
  for (int64_t rows : {1, 3, 8, 16, 17, 64}) {
    for (int64_t columns : {1, 2, 7, 8, 31, 64}) {
      check<uint8_t>(rows, columns);
      check<uint16_t>(rows, columns);
      check<uint32_t>(rows, columns);
      check<uint64_t>(rows, columns);
      check<std::complex<double>>(rows, columns);
    }
  }
}

}  // namespace
}  // namespace thixo::detail
