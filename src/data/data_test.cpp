#include "thixo/data.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "thixo/parallel.h"

namespace thixo::data {
namespace {

Ref<TensorDataset> numbers(int64_t n) {
  std::vector<int64_t> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<int64_t>(i);
  return make_ref<TensorDataset>(TensorList{tensor(v, {n}), tensor(v, {n, 1})});
}

std::vector<int64_t> run(DataLoader& loader) {
  std::vector<int64_t> seen;
  for (const TensorList& b : loader) {
    for (int64_t v : b[0].to_vector<int64_t>()) seen.push_back(v);
    seen.push_back(-1);
  }
  return seen;
}

TEST(Digits, AreWhole) {
  const Digits d = digits();
  EXPECT_EQ(d.images.shape(), (Shape{1797, 1, 8, 8}));
  const std::vector<float> pixels = d.images.to_vector<float>();
  const std::vector<int64_t> labels = d.labels.to_vector<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(labels.begin(), labels.begin() + 10),
            (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(pixels[2] * 16, 5);  // the first row of the data: 0,0,5,13,9,1,0,0
  EXPECT_EQ(pixels[3] * 16, 13);
  // The sums of all pixels and labels of the source.
  int64_t pixel_sum = 0, label_sum = 0;
  for (float p : pixels) pixel_sum += static_cast<int64_t>(p * 16);
  for (int64_t l : labels) label_sum += l;
  EXPECT_EQ(pixel_sum, 561718);
  EXPECT_EQ(label_sum, 8070);
}

TEST(Digits, Split) {
  const auto [train, test] = digits().split();
  EXPECT_EQ(train.labels.size(0), 1437);
  EXPECT_EQ(test.images.shape(), (Shape{360, 1, 8, 8}));
  int64_t counts[10] = {};
  for (int64_t l : test.labels.to_vector<int64_t>()) ++counts[l];
  for (int64_t c : counts) EXPECT_TRUE(c >= 35 && c <= 37) << c;
  EXPECT_EQ(test.labels.to_vector<int64_t>(), digits().split().second.labels.to_vector<int64_t>());
  EXPECT_NE(test.images.to_vector<float>(), digits().split(360, 1).second.images.to_vector<float>());
}

TEST(Split, PartsAreDisjointAndWhole) {
  std::vector<int64_t> labels;
  for (int i = 0; i < 97; ++i) labels.push_back(i % 3 == 0 ? 5 : i % 7);
  const Split s = stratified_split(labels, 20, 3);
  EXPECT_EQ(s.test.size(), 20u);
  std::set<int64_t> all(s.train.begin(), s.train.end());
  all.insert(s.test.begin(), s.test.end());
  EXPECT_EQ(all.size(), 97u);
  std::set<int64_t> tested;
  for (const Split& f : stratified_folds(labels, 5)) {
    EXPECT_TRUE(f.test.size() == 19 || f.test.size() == 20);
    EXPECT_EQ(f.train.size() + f.test.size(), 97u);
    tested.insert(f.test.begin(), f.test.end());
  }
  EXPECT_EQ(tested.size(), 97u);
  EXPECT_THROW(stratified_split(labels, 98), Error);
  EXPECT_THROW(stratified_folds(labels, 1), Error);
}

TEST(TensorDataset, RowsAndBatches) {
  Ref<TensorDataset> d = numbers(5);
  EXPECT_EQ(d->get(3)[0].item<int64_t>(), 3);
  const int64_t rows[] = {4, 0};
  EXPECT_EQ(d->batch(rows)[1].shape(), (Shape{2, 1}));
  EXPECT_EQ(d->batch(rows)[0].to_vector<int64_t>(), (std::vector<int64_t>{4, 0}));
  EXPECT_THROW(d->get(5), Error);
  EXPECT_THROW(TensorDataset({ones({2}), ones({3})}), Error);
  Subset s(d, {4, 2});
  EXPECT_EQ(s.get(1)[0].item<int64_t>(), 2);
  EXPECT_THROW(Subset(d, {5}), Error);
}

TEST(Collate, StacksSamples) {
  const TensorList b = collate({{ones({2}), ones({})}, {zeros({2}), zeros({})}});
  EXPECT_EQ(b[0].to_vector<float>(), (std::vector<float>{1, 1, 0, 0}));
  EXPECT_EQ(b[1].shape(), (Shape{2}));
  EXPECT_THROW(collate({{ones({2})}, {ones({3})}}), Error);
  EXPECT_THROW(collate({{ones({2})}, {ones({2}), ones({2})}}), Error);  // none is cut to the first
  EXPECT_THROW(collate({{ones({2}), ones({2})}, {ones({2})}}), Error);
  try {
    collate({{ones({2})}, {ones({2}).to(float64)}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("sample 0: f32[2]   sample 1: f64[2]"), std::string::npos) << e.what();
  }
}

TEST(DataLoader, SameOrderForAnyNumberOfWorkers) {
  std::vector<std::vector<int64_t>> first, second;
  for (int workers = 0; workers <= 4; ++workers) {
    DataLoader loader(numbers(103), {.batch_size = 8, .shuffle = true, .num_workers = workers, .seed = 9});
    EXPECT_EQ(loader.size(), 13);
    first.push_back(run(loader));
    second.push_back(run(loader));
    EXPECT_EQ(first[0], first.back()) << workers << " workers";
    EXPECT_EQ(second[0], second.back()) << workers << " workers";
  }
  EXPECT_NE(first[0], second[0]);  // each epoch has an order of its own
  EXPECT_EQ(std::set<int64_t>(first[0].begin(), first[0].end()).size(), 104u);
}

TEST(DataLoader, DropsTheLastBatch) {
  DataLoader loader(numbers(10), {.batch_size = 4, .drop_last = true});
  EXPECT_EQ(run(loader), (std::vector<int64_t>{0, 1, 2, 3, -1, 4, 5, 6, 7, -1}));
}

TEST(DataLoader, ResumesInTheMiddleOfAnEpoch) {
  LoaderOptions o{.batch_size = 3, .shuffle = true, .num_workers = 2, .seed = 1};
  DataLoader whole(numbers(12), o), rest(numbers(12), o);
  auto it = whole.iterate();
  it.next();
  it.next();
  rest.set_epoch(0);
  auto from = rest.iterate(2);
  for (int i = 0; i < 2; ++i) EXPECT_EQ((*it.next())[0].to_vector<int64_t>(), (*from.next())[0].to_vector<int64_t>());
  EXPECT_FALSE(from.next().has_value());
}

TEST(DataLoader, BeginsWithinTheEpochOnly) {
  DataLoader loader(numbers(10), {.batch_size = 4});
  EXPECT_THROW(loader.iterate(-1), Error);
  EXPECT_THROW(loader.iterate(4), Error);
  EXPECT_EQ(loader.epoch(), 0) << "no epoch was begun";
  EXPECT_FALSE(loader.iterate(3).next().has_value()) << "the end of one";
}

TEST(DataLoader, ASizeIsNotNegative) {
  struct Odd : Dataset {
    int64_t size() const override { return -3; }
    TensorList get(int64_t) const override { return {}; }
  };
  DataLoader loader(make_ref<Odd>());
  EXPECT_THROW(loader.size(), Error);
  EXPECT_THROW(loader.iterate(), Error);
  EXPECT_THROW(loader.order(0), Error);
}

TEST(DataLoader, EachEpochDrawsItsSeed) {
  auto loader = [](Generator* g) {
    return DataLoader(numbers(50), {.batch_size = 50, .shuffle = true, .generator = g});
  };
  manual_seed(4);
  DataLoader a = loader(nullptr), b = loader(nullptr);
  const auto first = run(a), second = run(b), third = run(a);
  EXPECT_NE(first, second);
  EXPECT_NE(first, third);
  manual_seed(4);  // also between epochs
  EXPECT_EQ(run(b), first);
  EXPECT_EQ(run(b), second);
  Generator g(3);
  DataLoader c = loader(&g), d = loader(&g);
  const auto of_c = run(c);
  EXPECT_NE(of_c, run(d));
  g.manual_seed(3);
  EXPECT_EQ(of_c, run(d));
  EXPECT_THROW(a.order(0), Error);  // not drawn yet
}

struct Noise : Dataset {
  int64_t size() const override { return 12; }
  TensorList get(int64_t) const override { return {rand({2})}; }
};

TEST(DataLoader, RandomSamplesDoNotDependOnTheWorkers) {
  auto run_noise = [](int workers) {
    manual_seed(6);
    DataLoader loader(make_ref<Noise>(), {.batch_size = 3, .num_workers = workers});
    std::vector<float> seen;
    for (int epoch = 0; epoch < 2; ++epoch) {
      for (const TensorList& b : loader) {
        for (float v : b[0].to_vector<float>()) seen.push_back(v);
      }
    }
    return seen;
  };
  const auto one = run_noise(1);
  EXPECT_EQ(std::set<float>(one.begin(), one.end()).size(), one.size());
  EXPECT_EQ(one, run_noise(2));
  EXPECT_EQ(one, run_noise(4));
}

TEST(Prefetch, StopsAndTellsWhenItsWorkersHaveEnded) {
  std::atomic<bool> inside = false;
  Prefetch p(
      [&](int64_t k, const std::atomic<bool>& stopped) {
        inside = true;
        while (k == 1 && !stopped) std::this_thread::yield();
        return std::make_shared<int64_t>(k);
      },
      {.count = 3, .workers = 1});
  EXPECT_EQ(*static_cast<int64_t*>(p.next()->get()), 0);
  int ticks = 0;
  EXPECT_THROW(p.next([&] {
    if (++ticks == 2) throw ValueError("enough");
  }),
               Error);
  EXPECT_FALSE(p.wait(std::chrono::milliseconds(1)));
  p.stop();
  EXPECT_TRUE(p.wait(std::chrono::seconds(10)));
  EXPECT_FALSE(p.next().has_value());
}

struct Probe : Dataset {
  mutable std::atomic<int> most_threads = 0;
  int64_t fail_at = -1;
  int64_t size() const override { return 20; }
  TensorList get(int64_t i) const override {
    if (i == fail_at) throw ValueError("sample " + std::to_string(i) + " is broken");
    most_threads = std::max(most_threads.load(), get_num_threads());
    return {tensor(std::vector<int64_t>{i}, {})};
  }
};

TEST(DataLoader, ErrorsOfWorkersReachTheCaller) {
  for (int workers : {0, 3}) {
    auto probe = make_ref<Probe>();
    probe->fail_at = 9;
    DataLoader loader(probe, {.batch_size = 4, .num_workers = workers});
    auto it = loader.iterate();
    EXPECT_TRUE(it.next().has_value());
    EXPECT_TRUE(it.next().has_value());
    try {
      it.next();
      FAIL();
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "ValueError: sample 9 is broken");
    }
    EXPECT_TRUE(it.next().has_value());  // the others are still there
  }
}

TEST(DataLoader, WorkersRunOpsOnOneThread) {
  auto probe = make_ref<Probe>();
  DataLoader loader(probe, {.batch_size = 2, .num_workers = 2});
  run(loader);
  EXPECT_EQ(probe->most_threads, 1);
}

TEST(DataLoader, MayBeLeftEarly) {
  DataLoader loader(numbers(1000), {.batch_size = 1, .num_workers = 3});
  for (const TensorList& b : loader) {
    if (b[0].item<int64_t>() == 5) break;
  }
  SUCCEED();
}

TEST(DataLoader, CollatesAsTold) {
  DataLoader loader(numbers(4), {.batch_size = 2, .collate = [](const std::vector<TensorList>& s) {
                                   return TensorList{tensor(std::vector<int64_t>{static_cast<int64_t>(s.size())}, {1})};
                                 }});
  EXPECT_EQ(run(loader), (std::vector<int64_t>{2, -1, 2, -1}));
  EXPECT_THROW(DataLoader(numbers(4), {.batch_size = 0}), Error);
}

}  // namespace
}  // namespace thixo::data
