// Names of parts of a module.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace thixo::nn {

inline std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

/// Letters to insert, delete or replace until a is b.
inline size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// The candidate that `name` is a slip of the pen for; empty when none is near.
inline std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = name.size() / 3 + 1;
  for (const std::string& c : candidates) {
    if (size_t d = edit_distance(name, c); d <= best_distance && c != name) {
      best_distance = d;
      best = c;
    }
  }
  return best;
}

}  // namespace thixo::nn
