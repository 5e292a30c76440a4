// Random numbers of a recorded program.
#pragma once

#include "ir/graph.h"
#include "thixo/generator.h"

namespace thixo {

/// The random keys that stand in a graph. A replay draws as many numbers from each generator as the recording did and
/// gives each node those at its old distance, so the generator's stream goes on as it would in eager; nodes that were
/// recorded with one key (dropout and its gradient) have one key again.
struct RandomKeys {
  struct Source {
    Ref<Generator> generator;  ///< null: the function made it itself, so it is a new one at each call: the same keys
    Generator::State start;  ///< before the recording drew from it
    uint64_t count = 0;      ///< how far the recording moved it
  };
  std::vector<Source> sources;   ///< by RngKey::source; the default generator first
  std::vector<RngKey> recorded;  ///< each once

  void collect(const Graph& g);
  /// New keys, in the order of `recorded`.
  std::vector<RngKey> draw() const;
  size_t index_of(const RngKey& key) const;
};

}  // namespace thixo
