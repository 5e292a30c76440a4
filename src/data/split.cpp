// Splits that keep the share of each class.
#include <algorithm>
#include <map>
#include <numeric>

#include "data/shuffle.h"
#include "thixo/data.h"

namespace thixo::data {
namespace {

/// The samples of each class, in an order drawn by the seed.
std::map<int64_t, std::vector<int64_t>> shuffled_classes(const std::vector<int64_t>& labels, uint64_t seed) {
  std::map<int64_t, std::vector<int64_t>> classes;
  for (size_t i = 0; i < labels.size(); ++i) classes[labels[i]].push_back(static_cast<int64_t>(i));
  uint64_t stream = 0;
  for (auto& [label, members] : classes) shuffle(&members, seed, stream++);
  return classes;
}

/// What is in `test`, and everything else, both in order.
Split split_of(std::vector<int64_t> test, size_t n) {
  std::sort(test.begin(), test.end());
  std::vector<int64_t> all(n);
  std::iota(all.begin(), all.end(), 0);
  Split s;
  std::set_difference(all.begin(), all.end(), test.begin(), test.end(), std::back_inserter(s.train));
  s.test = std::move(test);
  return s;
}

}  // namespace

Split stratified_split(const std::vector<int64_t>& labels, int64_t test_size, uint64_t seed) {
  const auto n = static_cast<int64_t>(labels.size());
  if (test_size < 0 || test_size > n) {
    throw ValueError("stratified_split: " + std::to_string(test_size) + " samples of " + std::to_string(n))
        .need("0 <= test_size <= the number of samples");
  }
  // Shares are rounded down; what is then missing goes to the classes with the largest remainders.
  struct Share {
    int64_t remainder;
    const std::vector<int64_t>* members;
    int64_t count;
  };
  const auto classes = shuffled_classes(labels, seed);
  std::vector<Share> shares;
  int64_t missing = test_size;
  for (const auto& [label, members] : classes) {
    const int64_t product = static_cast<int64_t>(members.size()) * test_size;
    shares.push_back({product % n, &members, product / n});
    missing -= shares.back().count;
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.remainder > b.remainder; });
  std::vector<int64_t> test;
  for (Share& s : shares) {
    if (missing > 0 && s.count < static_cast<int64_t>(s.members->size())) {
      ++s.count;
      --missing;
    }
    test.insert(test.end(), s.members->begin(), s.members->begin() + s.count);
  }
  return split_of(std::move(test), labels.size());
}

std::vector<Split> stratified_folds(const std::vector<int64_t>& labels, int64_t folds, uint64_t seed) {
  if (folds < 2 || folds > static_cast<int64_t>(labels.size())) {
    throw ValueError("stratified_folds: " + std::to_string(folds) + " folds of " + std::to_string(labels.size()) +
                     " samples")
        .need("2 <= folds <= the number of samples");
  }
  std::vector<std::vector<int64_t>> parts(static_cast<size_t>(folds));
  size_t next = 0;  // dealt out like cards, on from class to class
  for (const auto& [label, members] : shuffled_classes(labels, seed)) {
    for (int64_t i : members) parts[next++ % parts.size()].push_back(i);
  }
  std::vector<Split> out;
  for (std::vector<int64_t>& p : parts) out.push_back(split_of(std::move(p), labels.size()));
  return out;
}

}  // namespace thixo::data
