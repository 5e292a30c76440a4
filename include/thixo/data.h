// Data sets, and a loader that prepares batches on threads.
//
//   auto [train, test] = data::digits().split();
//   data::DataLoader loader(train, {.batch_size = 64, .shuffle = true, .num_workers = 2});
//   for (const TensorList& batch : loader) step(batch[0], batch[1]);
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "thixo/generator.h"
#include "thixo/tensor.h"

namespace thixo::data {

/// Samples by index. One sample is some tensors: an image and its label.
class THIXO_API Dataset : public Object {
 public:
  virtual int64_t size() const = 0;
  /// Called from several threads at once when a loader has workers.
  virtual TensorList get(int64_t index) const = 0;
  /// The samples of `indices` as one batch. Unless overridden: get() of each, then collate().
  virtual TensorList batch(std::span<const int64_t> indices) const;
};

/// Stacks samples: result k holds tensor k of all samples along a new first dim.
THIXO_API TensorList collate(const std::vector<TensorList>& samples);

/// Rows of tensors whose first dims are equal.
class THIXO_API TensorDataset : public Dataset {
 public:
  explicit TensorDataset(TensorList tensors);
  int64_t size() const override { return size_; }
  TensorList get(int64_t index) const override;
  TensorList batch(std::span<const int64_t> indices) const override;
  const TensorList& tensors() const { return tensors_; }

 private:
  TensorList tensors_;
  int64_t size_ = 0;
};

/// Some samples of another data set.
class THIXO_API Subset : public Dataset {
 public:
  Subset(Ref<Dataset> of, std::vector<int64_t> indices);
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  TensorList get(int64_t index) const override;
  TensorList batch(std::span<const int64_t> indices) const override;
  const std::vector<int64_t>& indices() const { return indices_; }

 private:
  Ref<Dataset> of_;
  std::vector<int64_t> indices_;
};

/// Indices of samples in two parts: of each class the same share, `test_size` in all, drawn by `seed`.
struct Split {
  std::vector<int64_t> train, test;
};
THIXO_API Split stratified_split(const std::vector<int64_t>& labels, int64_t test_size, uint64_t seed = 0);
/// `folds` parts of equal share of each class; fold k is the test part of result k.
THIXO_API std::vector<Split> stratified_folds(const std::vector<int64_t>& labels, int64_t folds, uint64_t seed = 0);

/// 1,797 handwritten digits of 8x8 pixels (Alpaydin and Kaynak, UCI 1998, CC BY 4.0), part of the library.
struct THIXO_API Digits {
  Tensor images;  ///< f32 [n, 1, 8, 8], 0 to 1
  Tensor labels;  ///< i64 [n]
  /// 1,437 digits to train and 360 held out, the same for everyone unless another seed is given.
  std::pair<Digits, Digits> split(int64_t test_size = 360, uint64_t seed = 0) const;
  Digits select(const std::vector<int64_t>& indices) const;
  Ref<TensorDataset> dataset() const { return make_ref<TensorDataset>(TensorList{images, labels}); }
  operator Ref<Dataset>() const { return dataset(); }  // NOLINT: goes where a data set is wanted
};
THIXO_API Digits digits();

struct LoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;
  int num_workers = 0;   ///< threads that prepare batches; 0: the caller's
  int prefetch = 2;      ///< batches each worker may be ahead
  std::optional<uint64_t> seed{};  ///< of all epochs; unless given, each epoch draws one from the generator
  Generator* generator = nullptr;  ///< null: the default one
  std::function<TensorList(const std::vector<TensorList>&)> collate{};  ///< instead of Dataset::batch
};

/// What is made of the numbers 0, 1, ..., prepared by threads and handed over in order.
class THIXO_API Prefetch {
 public:
  using Result = std::shared_ptr<void>;
  /// Called on the workers, which have a random generator of their own for each k: the numbers drawn depend on the seed
  /// and k alone. `stopped` turns true when nobody wants the result any more.
  using Make = std::function<Result(int64_t k, const std::atomic<bool>& stopped)>;
  struct Options {
    int64_t from = 0, count = 0;
    int workers = 0;  ///< 0: the caller of next() makes it, with the generator of its thread
    int ahead = 2;  ///< results each worker may be ahead
    uint64_t seed = 0;
  };
  Prefetch(Make make, const Options& options);
  /// Stops, and waits for what is being made.
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  /// The next result; nothing at the end and once stopped. An exception of make is thrown here, in its turn.
  /// `tick` is called every now and then while it waits, and may throw: the result is then still the next one.
  std::optional<Result> next(const std::function<void()>& tick = {});
  /// Workers end with what they are making, next() at once.
  void stop();
  /// Whether all workers have ended, after so long at most.
  bool wait(std::chrono::milliseconds most);

 private:
  struct Work;
  std::shared_ptr<Work> work_;
  std::vector<std::thread> threads_;
};

/// Batches of a data set in an order that depends on the seed and the epoch alone, never on the workers. Numbers that
/// samples draw from the default generator are the same for any number of workers but none.
class THIXO_API DataLoader : public Object {
 public:
  explicit DataLoader(Ref<Dataset> dataset, LoaderOptions options = {});
  ~DataLoader() override;

  /// Batches of one epoch.
  int64_t size() const;
  int64_t batch_size() const { return options_.batch_size; }
  const Ref<Dataset>& dataset() const { return dataset_; }
  /// How many epochs were begun; set it to resume.
  int64_t epoch() const { return epoch_; }
  void set_epoch(int64_t epoch) { epoch_ = epoch; }
  /// The indices of an epoch, in order; of a shuffling loader that was given a seed.
  std::vector<int64_t> order(int64_t epoch) const;

  class THIXO_API Iterator {
   public:
    ~Iterator();
    Iterator(Iterator&&) noexcept;
    /// The next batch; nothing at the end. An exception of a worker is thrown here, at its batch.
    std::optional<TensorList> next();

   private:
    friend class DataLoader;
    explicit Iterator(std::unique_ptr<Prefetch> batches);
    std::unique_ptr<Prefetch> batches_;
  };
  /// Begins an epoch, at batch `from`: a run that was cut off goes on there.
  Iterator iterate(int64_t from = 0);

  /// Begins an epoch with batches of another kind: what `fetch` makes of the indices of each.
  using Fetch = std::function<Prefetch::Result(std::span<const int64_t> indices, const std::atomic<bool>& stopped)>;
  std::unique_ptr<Prefetch> prefetch(Fetch fetch, int64_t from = 0);

  // for (const TensorList& batch : loader)
  class Cursor {
   public:
    explicit Cursor(std::shared_ptr<Iterator> it) : it_(std::move(it)) { ++*this; }
    const TensorList& operator*() const { return *batch_; }
    Cursor& operator++() {
      batch_ = it_->next();
      return *this;
    }
    bool operator!=(std::nullptr_t) const { return batch_.has_value(); }

   private:
    std::shared_ptr<Iterator> it_;
    std::optional<TensorList> batch_;
  };
  Cursor begin() { return Cursor(std::make_shared<Iterator>(iterate())); }
  std::nullptr_t end() const { return nullptr; }

 private:
  /// The seed of the next epoch.
  uint64_t draw_seed();
  std::vector<int64_t> shuffled(uint64_t seed, int64_t epoch) const;
  Ref<Dataset> dataset_;
  LoaderOptions options_;
  int64_t epoch_ = 0;
};

}  // namespace thixo::data
