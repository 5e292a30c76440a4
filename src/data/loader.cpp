// The loader: workers take batch numbers in order, the caller takes the batches in order.
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "data/shuffle.h"
#include "thixo/data.h"
#include "thixo/parallel.h"

namespace thixo::data {
namespace {

int64_t size_of(const Dataset& d) {
  const int64_t n = d.size();
  if (n >= 0) return n;
  throw ValueError("DataLoader: the data set's size() is " + std::to_string(n)).need("size() >= 0");
}

}  // namespace

struct DataLoader::Iterator::Work {
  Ref<Dataset> dataset;
  LoaderOptions options;
  std::vector<int64_t> order;
  int64_t batches = 0;
  int64_t taken = 0;  // by the caller

  std::mutex mutex;
  std::condition_variable changed;
  int64_t begun = 0;  // by the workers
  bool stop = false;
  struct Done {
    TensorList batch;
    std::exception_ptr error;
  };
  std::map<int64_t, Done> done;
  std::vector<std::thread> workers;

  ~Work() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    for (std::thread& w : workers) w.join();
  }

  TensorList make(int64_t batch) const {
    const int64_t begin = batch * options.batch_size;
    const int64_t end = std::min(begin + options.batch_size, static_cast<int64_t>(order.size()));
    const std::span<const int64_t> indices(order.data() + begin, static_cast<size_t>(end - begin));
    if (!options.collate) return dataset->batch(indices);
    std::vector<TensorList> samples;
    for (int64_t i : indices) samples.push_back(dataset->get(i));
    return options.collate(samples);
  }

  void work() {
    SerialThread serial;
    const int64_t ahead = std::max(options.prefetch, 1) * static_cast<int64_t>(options.num_workers);
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || begun >= batches || begun < taken + ahead; });
      if (stop || begun >= batches) return;
      const int64_t mine = begun++;
      lock.unlock();
      Done result;
      try {
        result.batch = make(mine);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      done[mine] = std::move(result);
      changed.notify_all();
    }
  }

  std::optional<TensorList> next() {
    if (taken >= batches) return {};
    if (workers.empty()) return make(taken++);
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done.contains(taken); });
    Done result = std::move(done.extract(taken).mapped());
    ++taken;
    lock.unlock();
    changed.notify_all();
    if (result.error) std::rethrow_exception(result.error);
    return std::move(result.batch);
  }
};

DataLoader::Iterator::Iterator(std::unique_ptr<Work> work) : work_(std::move(work)) {}
DataLoader::Iterator::~Iterator() = default;
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
std::optional<TensorList> DataLoader::Iterator::next() { return work_->next(); }

DataLoader::DataLoader(Ref<Dataset> dataset, LoaderOptions options)
    : dataset_(std::move(dataset)), options_(std::move(options)) {
  if (!dataset_) throw ValueError("DataLoader: it got no data set");
  if (options_.batch_size < 1)
    throw ValueError("DataLoader: batch_size is " + std::to_string(options_.batch_size)).need("batch_size >= 1");
  if (options_.num_workers < 0)
    throw ValueError("DataLoader: num_workers is " + std::to_string(options_.num_workers)).need("num_workers >= 0");
  if (options_.seed) {
    seed_ = *options_.seed;
  } else if (options_.shuffle) {
    Generator& g = options_.generator != nullptr ? *options_.generator : default_generator();
    const uint64_t counter = g.take(1);
    const auto block = philox4x32(g.seed(), counter);
    seed_ = static_cast<uint64_t>(block[0]) << 32 | block[1];
  }
}
DataLoader::~DataLoader() = default;

int64_t DataLoader::size() const {
  const int64_t n = size_of(*dataset_), b = options_.batch_size;
  return options_.drop_last ? n / b : (n + b - 1) / b;
}

std::vector<int64_t> DataLoader::order(int64_t epoch) const {
  std::vector<int64_t> order(static_cast<size_t>(size_of(*dataset_)));
  std::iota(order.begin(), order.end(), 0);
  if (options_.shuffle) shuffle(&order, seed_, static_cast<uint64_t>(epoch));
  return order;
}

DataLoader::Iterator DataLoader::iterate(int64_t from) {
  const int64_t batches = size();
  if (from < 0 || from > batches) {
    throw IndexError("DataLoader: iterate from batch " + std::to_string(from) + " of " + std::to_string(batches))
        .need("a batch from 0 to " + std::to_string(batches));
  }
  auto work = std::make_unique<Iterator::Work>();
  work->dataset = dataset_;
  work->options = options_;
  work->order = order(epoch_++);
  work->batches = batches;
  work->taken = work->begun = from;
  for (int i = 0; i < options_.num_workers; ++i) work->workers.emplace_back([w = work.get()] { w->work(); });
  return Iterator(std::move(work));
}

}  // namespace thixo::data
