#include "thixo/data.h"

namespace thixo::data {
namespace {

constexpr char kPixels[] =
#include "data/digits_pixels.inc"
    ;
constexpr int64_t kRow = 65;  // 64 pixels and the label
constexpr int64_t kCount = (sizeof kPixels - 1) / kRow;
static_assert(kCount == 1797 && (sizeof kPixels - 1) % kRow == 0);

int level(char c) { return c <= '9' ? c - '0' : c - 'A' + 10; }

}  // namespace

Digits digits() {
  Digits d{empty({kCount, 1, 8, 8}, {.dtype = DType::F32}), empty({kCount}, {.dtype = DType::I64})};
  auto* pixel = d.images.data<float>();
  auto* label = d.labels.data<int64_t>();
  for (int64_t i = 0; i < kCount; ++i) {
    const char* row = kPixels + i * kRow;
    for (int64_t p = 0; p < kRow - 1; ++p) *pixel++ = static_cast<float>(level(row[p])) / 16;
    *label++ = level(row[kRow - 1]);
  }
  return d;
}

Digits Digits::select(const std::vector<int64_t>& indices) const {
  TensorList rows = TensorDataset({images, labels}).batch(indices);
  return {rows[0], rows[1]};
}

std::pair<Digits, Digits> Digits::split(int64_t test_size, uint64_t seed) const {
  const Split s = stratified_split(labels.to_vector<int64_t>(), test_size, seed);
  return {select(s.train), select(s.test)};
}

}  // namespace thixo::data
