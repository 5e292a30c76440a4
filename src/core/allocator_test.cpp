#include "core/allocator.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "core/large_pool.h"
#include "thixo/error.h"

namespace thixo {
namespace {

TEST(SmallClass, EverySizeFitsWithLittleWaste) {
  for (size_t n = 1; n <= detail::kSmallLimit; ++n) {
    const unsigned cls = detail::small_class(n);
    ASSERT_LT(cls, detail::kSmallClasses);
    const size_t size = detail::small_size(cls);
    ASSERT_GE(size, n);
    ASSERT_EQ(size % 64, 0u);
    ASSERT_TRUE(size - n < 64 || static_cast<double>(size) / static_cast<double>(n) < 1.25) << n;
    ASSERT_TRUE(cls == 0 || detail::small_size(cls - 1) < n) << n;
  }
}

// Random sizes, written whole and checked: blocks neither overlap nor move.
TEST(Allocator, BlocksKeepTheirBytes) {
  std::mt19937 random(7);
  struct Live {
    Allocation a;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Live> live;
  const int64_t before = memory_stats().allocated;
  int64_t sum = 0;
  for (int step = 0; step < 4000; ++step) {
    if (live.size() < 60 && random() % 5 < 3) {
      const size_t bytes = size_t{1} << random() % 22;
      Live l{{}, bytes + random() % bytes, static_cast<unsigned char>(random())};
      l.a = allocate(l.bytes);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(l.a.data) % 64, 0u);
      std::memset(l.a.data, l.mark, l.bytes);
      sum += static_cast<int64_t>(l.bytes);
      live.push_back(l);
    } else if (!live.empty()) {
      const size_t i = random() % live.size();
      const Live l = live[i];
      const auto* p = static_cast<const unsigned char*>(l.a.data);
      ASSERT_TRUE(p[0] == l.mark && p[l.bytes - 1] == l.mark && std::memcmp(p, p + 1, l.bytes - 1) == 0);
      deallocate(l.a, l.bytes);
      sum -= static_cast<int64_t>(l.bytes);
      live[i] = live.back();
      live.pop_back();
    }
    ASSERT_EQ(memory_stats().allocated - before, sum);
  }
  for (const Live& l : live) deallocate(l.a, l.bytes);
  EXPECT_EQ(memory_stats().allocated, before);
}

TEST(Allocator, ReusesMemoryWithoutTheSystem) {
  constexpr size_t bytes = size_t{24} << 20;
  Allocation a = allocate(bytes);
  void* p = a.data;
  deallocate(a, bytes);
  const int64_t requests = memory_stats().system_requests;
  for (int i = 0; i < 10; ++i) {
    a = allocate(bytes);
    EXPECT_EQ(a.data, p);
    deallocate(a, bytes);
  }
  EXPECT_EQ(memory_stats().system_requests, requests);
}

TEST(Allocator, LargeBlocksAreOnHugePagesAndGoBack) {
  empty_cache();
  const int64_t before = memory_stats().kept;
  Allocation a = allocate((size_t{5} << 20) + 1);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data) % (size_t{2} << 20), 0u);
  EXPECT_EQ(memory_stats().kept - before, 6 << 20);
  deallocate(a, (size_t{5} << 20) + 1);
  EXPECT_EQ(memory_stats().kept - before, 6 << 20);
  empty_cache();
  EXPECT_EQ(memory_stats().kept, before);
}

TEST(Allocator, IdleMemoryGoesBackByItself) {
  empty_cache();
  const int64_t before = memory_stats().kept;
  deallocate(allocate(8 << 20), 8 << 20);
  EXPECT_EQ(memory_stats().kept - before, 8 << 20) << "kept for half a minute";
  set_memory_idle(0);
  deallocate(allocate(2 << 20), 2 << 20);
  EXPECT_EQ(memory_stats().kept, before);
  set_memory_idle(30);
}

TEST(Allocator, Peak) {
  reset_peak_memory_stats();
  const int64_t base = memory_stats().allocated;
  Allocation a = allocate(3 << 20), b = allocate(4 << 20);
  deallocate(a, 3 << 20);
  deallocate(b, 4 << 20);
  EXPECT_EQ(memory_stats().peak - base, 7 << 20);
  reset_peak_memory_stats();
  EXPECT_EQ(memory_stats().peak, base);
}

TEST(Allocator, LimitFreesTheCacheBeforeItFails) {
  empty_cache();
  Allocation a = allocate(16 << 20);
  set_memory_limit(memory_stats().kept + (8 << 20));
  deallocate(a, 16 << 20);
  a = allocate(20 << 20);  // fits only when the 16 MiB that are kept go back
  try {
    allocate(size_t{1} << 30);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Value);
    const std::string text = e.what();
    EXPECT_NE(text.find("out of memory: 1.00 GiB asked for, more than the memory limit allows"), std::string::npos);
    EXPECT_NE(text.find("tensors hold 20."), std::string::npos) << text;
    EXPECT_NE(text.find("THIXO_MEMORY_LIMIT"), std::string::npos) << text;
  }
  deallocate(a, 20 << 20);
  set_memory_limit(0);
  deallocate(allocate(64 << 20), 64 << 20);
  EXPECT_THROW(set_memory_limit(-1), Error);
}

TEST(Allocator, MoreThanAnyMemory) {
  for (size_t bytes : {size_t{1} << 45, size_t{1} << 60, ~size_t{0}}) EXPECT_THROW(allocate(bytes), Error) << bytes;
}

TEST(LargePool, CutsJoinsAndReturns) {
  LargePool pool(size_t{4} << 20, 4608, 512);
  ASSERT_EQ(pool.take(10000), nullptr);
  ASSERT_TRUE(pool.grow(10000));
  LargeBlock *a = pool.take(10000), *b = pool.take(10000), *c = pool.take(10000);
  EXPECT_EQ(a->size, 10240u);
  EXPECT_EQ(b->data, a->data + a->size);
  pool.give(b, 1);
  EXPECT_EQ(pool.take(9000), b) << "the smallest block that fits";
  pool.give(b, 1);
  pool.give(a, 2);
  LargeBlock* joined = pool.take(20480);
  EXPECT_EQ(joined->data, a->data);
  EXPECT_EQ(pool.trim(100), 0u) << "in use";
  pool.give(joined, 3);
  pool.give(c, 5);
  EXPECT_EQ(pool.trim(4), 0u) << "not idle long enough";
  EXPECT_EQ(pool.trim(5), size_t{4} << 20);
}

TEST(Allocator, FreedByAnotherThread) {
  const MemoryStats before = memory_stats();
  for (int round = 0; round < 3; ++round) {
    std::vector<Allocation> blocks;
    std::thread([&] {
      for (int i = 0; i < 5000; ++i) blocks.push_back(allocate(200));
    }).join();
    EXPECT_EQ(memory_stats().allocated - before.allocated, 5000 * 200);
    for (Allocation a : blocks) deallocate(a, 200);
  }
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.allocated, before.allocated);
  EXPECT_EQ(after.blocks, before.blocks);
  EXPECT_EQ(after.allocations - before.allocations, 15000);
  EXPECT_LT(after.kept - before.kept, 3 << 20) << "the first round's blocks serve the others";
}

TEST(Allocator, ThreadsAtOnce) {
  const int64_t before = memory_stats().allocated;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::mt19937 random(t);
      for (int i = 0; i < 3000; ++i) {
        const size_t bytes = size_t{1} << random() % 18;
        Allocation a = allocate(bytes);
        static_cast<char*>(a.data)[bytes - 1] = 1;
        deallocate(a, bytes);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(memory_stats().allocated, before);
}

TEST(Allocator, WorksAfterFork) {
  const pid_t child = fork();
  if (child == 0) {
    deallocate(allocate(1 << 20), 1 << 20);
    deallocate(allocate(100), 100);
    _exit(0);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace thixo
