// Random orders that depend on a seed and a stream number only.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "thixo/generator.h"

namespace thixo::data {

class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  /// Below n, with a bias of at most n / 2^64.
  int64_t below(int64_t n) {
    const auto block = philox4x32(seed_, counter_++, stream_);
    const uint64_t bits = static_cast<uint64_t>(block[0]) << 32 | block[1];
    return static_cast<int64_t>(bits % static_cast<uint64_t>(n));
  }

 private:
  uint64_t seed_, stream_, counter_ = 0;
};

inline void shuffle(std::vector<int64_t>* v, uint64_t seed, uint64_t stream) {
  Random random(seed, stream);
  for (size_t i = v->size(); i > 1; --i)
    std::swap((*v)[i - 1], (*v)[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
}

}  // namespace thixo::data
