#include "base/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "thixo/error.h"

namespace thixo {
namespace {

struct Threads {
  int before = get_num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};

TEST(Parallel, EveryTileOnceForAnyThreads) {
  for (int threads : {1, 2, 3, 4, 7}) {
    Threads t(threads);
    for (int64_t tiles : {0, 1, 2, 3, 5, 64, 1001}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(tiles));
      parallel_for(tiles, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      });
      for (auto& s : seen) EXPECT_EQ(s, 1) << tiles << " tiles, " << threads << " threads";
    }
  }
}

TEST(Parallel, UsesSeveralThreads) {
  Threads t(3);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  std::condition_variable all;
  parallel_for(3, [&](int64_t, int64_t) {
    std::unique_lock<std::mutex> lock(mutex);
    ids.insert(std::this_thread::get_id());
    all.notify_all();
    // Whoever is here first leaves the other parts to other threads.
    all.wait_for(lock, std::chrono::seconds(20), [&] { return ids.size() == 3; });
  });
  EXPECT_EQ(ids.size(), 3u);
}

TEST(Parallel, ManyLoopsInARowWithAnyTeam) {
  int64_t sum = 0;
  for (int round = 0; round < 20000; ++round) {
    Threads t(1 + round % 4);
    const int64_t tiles = round % 23;
    std::atomic<int64_t> done{0};
    parallel_for(tiles, [&](int64_t begin, int64_t end) { done += end - begin; });
    ASSERT_EQ(done, tiles) << round;
    sum += done;
  }
  EXPECT_GT(sum, 0);
}

TEST(Parallel, NestedLoopsAndSerialThreadsRunOnOneThread) {
  Threads t(4);
  std::atomic<int> calls{0};
  parallel_for(4, [&](int64_t, int64_t) {
    EXPECT_EQ(get_num_threads(), 1);
    parallel_for(100, [&](int64_t, int64_t) { ++calls; });
  });
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(get_num_threads(), 4);
  {
    SerialThread serial;
    calls = 0;
    parallel_for(100, [&](int64_t, int64_t) { ++calls; });
    EXPECT_EQ(calls, 1);
  }
  EXPECT_EQ(get_num_threads(), 4);
}

TEST(Parallel, AnExceptionReachesTheCaller) {
  Threads t(4);
  auto bad = [](int64_t begin, int64_t) {
    if (begin > 0) throw std::runtime_error("tile");
  };
  EXPECT_THROW(parallel_for(8, bad), std::runtime_error);
  EXPECT_EQ(get_num_threads(), 4) << "the flag of the calling thread is as before";
}

TEST(Parallel, LoopsOfSeveralThreadsAtOnce) {
  Threads t(2);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        parallel_for(16, [&](int64_t begin, int64_t end) { sum += end - begin; });
      }
    });
  }
  for (auto& c : callers) c.join();
  EXPECT_EQ(sum, 3 * 50 * 16);
}

TEST(Parallel, AForkedChildRunsOnOneThread) {
  Threads t(2);
  parallel_for(8, [](int64_t, int64_t) {});  // the pool exists
  pid_t child = fork();
  if (child == 0) {
    int calls = 0;
    parallel_for(8, [&](int64_t, int64_t) { ++calls; });
    _exit(calls == 1 && get_num_threads() == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Parallel, ThreadCountMustBePositive) {
  EXPECT_THROW(set_num_threads(0), Error);
  EXPECT_THROW(set_num_threads(-3), Error);
  EXPECT_THROW(set_num_threads(1000000), Error);
}

}  // namespace
}  // namespace thixo
