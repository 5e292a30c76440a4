// The loader: the order of samples, and what becomes of the indices of a batch.
#include <numeric>

#include "data/shuffle.h"
#include "thixo/data.h"

namespace thixo::data {
namespace {

int64_t size_of(const Dataset& d) {
  const int64_t n = d.size();
  if (n >= 0) return n;
  throw ValueError("DataLoader: the data set's size() is " + std::to_string(n)).need("size() >= 0");
}

uint64_t number(const std::array<uint32_t, 4>& block) { return static_cast<uint64_t>(block[0]) << 32 | block[1]; }

}  // namespace

DataLoader::Iterator::Iterator(std::unique_ptr<Prefetch> batches) : batches_(std::move(batches)) {}
DataLoader::Iterator::~Iterator() = default;
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
std::optional<TensorList> DataLoader::Iterator::next() {
  std::optional<Prefetch::Result> r = batches_->next();
  if (!r) return {};
  return std::move(*static_cast<TensorList*>(r->get()));
}

DataLoader::DataLoader(Ref<Dataset> dataset, LoaderOptions options)
    : dataset_(std::move(dataset)), options_(std::move(options)) {
  if (!dataset_) throw ValueError("DataLoader: it got no data set");
  if (options_.batch_size < 1)
    throw ValueError("DataLoader: batch_size is " + std::to_string(options_.batch_size)).need("batch_size >= 1");
  if (options_.num_workers < 0)
    throw ValueError("DataLoader: num_workers is " + std::to_string(options_.num_workers)).need("num_workers >= 0");
}
DataLoader::~DataLoader() = default;

int64_t DataLoader::size() const {
  const int64_t n = size_of(*dataset_), b = options_.batch_size;
  return options_.drop_last ? n / b : (n + b - 1) / b;
}

std::vector<int64_t> DataLoader::order(int64_t epoch) const {
  if (options_.shuffle && !options_.seed)
    throw ValueError("DataLoader: each epoch draws the seed of its order when it begins").fix("give the loader a seed");
  return shuffled(options_.seed.value_or(0), epoch);
}

std::vector<int64_t> DataLoader::shuffled(uint64_t seed, int64_t epoch) const {
  std::vector<int64_t> order(static_cast<size_t>(size_of(*dataset_)));
  std::iota(order.begin(), order.end(), 0);
  if (options_.shuffle) shuffle(&order, seed, static_cast<uint64_t>(epoch));
  return order;
}

uint64_t DataLoader::draw_seed() {
  if (options_.seed) return *options_.seed;
  if (!options_.shuffle && options_.num_workers == 0) return 0;  // nothing depends on it
  Generator& g = options_.generator != nullptr ? *options_.generator : default_generator();
  return number(philox4x32(g.seed(), g.take(1)));
}

std::unique_ptr<Prefetch> DataLoader::prefetch(Fetch fetch, int64_t from) {
  const uint64_t seed = draw_seed();
  const int64_t epoch = options_.seed ? epoch_ : 0;  // a seed that was drawn is this epoch's alone
  ++epoch_;
  auto order = std::make_shared<const std::vector<int64_t>>(shuffled(seed, epoch));
  Prefetch::Options o;
  o.from = from;
  o.count = size();
  o.workers = options_.num_workers;
  o.ahead = options_.prefetch;
  o.seed = number(philox4x32(seed, static_cast<uint64_t>(epoch), 2));  // apart from the numbers that drew the order
  auto make = [fetch = std::move(fetch), order, size = options_.batch_size, held = dataset_](
                  int64_t k, const std::atomic<bool>& stopped) {
    const int64_t begin = k * size;
    const int64_t end = std::min(begin + size, static_cast<int64_t>(order->size()));
    return fetch({order->data() + begin, static_cast<size_t>(end - begin)}, stopped);
  };
  return std::make_unique<Prefetch>(std::move(make), o);
}

DataLoader::Iterator DataLoader::iterate(int64_t from) {
  const int64_t batches = size();
  if (from < 0 || from > batches) {
    throw IndexError("DataLoader: iterate from batch " + std::to_string(from) + " of " + std::to_string(batches))
        .need("a batch from 0 to " + std::to_string(batches));
  }
  return Iterator(prefetch(
      [dataset = dataset_, collate = options_.collate](std::span<const int64_t> indices, const std::atomic<bool>&) {
        if (!collate) return std::make_shared<TensorList>(dataset->batch(indices));
        std::vector<TensorList> samples;
        for (int64_t i : indices) samples.push_back(dataset->get(i));
        return std::make_shared<TensorList>(collate(samples));
      },
      from));
}

}  // namespace thixo::data
