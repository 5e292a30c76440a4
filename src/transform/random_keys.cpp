#include "transform/random_keys.h"

#include <algorithm>

namespace thixo {

void RandomKeys::collect(const Graph& g) {
  for (const GraphNode& n : g.nodes) {
    for (const Attr& a : n.attrs) {
      const auto* k = std::get_if<RngKey>(&a);
      if (k != nullptr && std::find(recorded.begin(), recorded.end(), *k) == recorded.end()) recorded.push_back(*k);
    }
  }
}

std::vector<RngKey> RandomKeys::draw() const {
  std::vector<RngKey> now;
  if (recorded.empty() && sources.size() == 1 && sources[0].count == 0) return now;
  SmallVec<Generator::State, 2> from;
  for (const Source& s : sources) {
    from.push_back(s.generator ? Generator::State{s.generator->seed(), s.generator->take(s.count)} : s.start);
  }
  for (const RngKey& k : recorded) {
    const Source& s = sources[k.source];
    if (!s.generator) {
      now.push_back(k);
      continue;
    }
    const uint64_t at = k.counter - s.start.counter;
    const bool drawn = k.key == s.start.seed && at <= s.count;  // equal: of nothing
    // A key that a transform made of another, or that the backward drew: fresh numbers all the same.
    const uint64_t counter = drawn ? from[k.source].counter + at : s.generator->take(uint64_t{1} << 32);
    now.push_back({from[k.source].seed, counter});
  }
  return now;
}

size_t RandomKeys::index_of(const RngKey& key) const {
  return static_cast<size_t>(std::find(recorded.begin(), recorded.end(), key) - recorded.begin());
}

}  // namespace thixo
