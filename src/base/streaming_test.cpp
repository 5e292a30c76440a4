#include "base/streaming.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace thixo {
namespace {

TEST(StreamCopy, CopiesEveryByteAndNoMore) {
  std::vector<uint8_t> from(400);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<uint8_t>(i * 7 + 1);
  for (size_t start : {0, 1, 15, 16, 33}) {
    for (size_t bytes : {0, 1, 15, 63, 64, 65, 79, 80, 200, 320}) {
      std::vector<uint8_t> to(400, 0);
      stream_copy(to.data() + start, from.data() + 3, bytes);
      stream_fence();
      for (size_t i = 0; i < to.size(); ++i) {
        const bool inside = i >= start && i < start + bytes;
        ASSERT_EQ(to[i], inside ? from[3 + i - start] : 0) << start << " " << bytes << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace thixo
