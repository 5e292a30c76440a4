#include "thixo/object.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "core/tensor_lock.h"

namespace thixo {
namespace {

struct Counted : Object {
  explicit Counted(int* g) : gone(g) {}
  ~Counted() override { ++*gone; }
  int* gone;
};

TEST(Object, GoesWithTheLastReference) {
  int gone = 0;
  {
    Ref<Counted> a = make_ref<Counted>(&gone);
    EXPECT_TRUE(a->unique());
    Ref<Counted> b = a, c = std::move(b);
    EXPECT_EQ(a->use_count(), 2);
    EXPECT_FALSE(b);
    c = a;
    a = nullptr;
    EXPECT_EQ(gone, 0);
    EXPECT_TRUE(c->unique());
  }
  EXPECT_EQ(gone, 1);
}

TEST(Object, DetachAndAdopt) {
  int gone = 0;
  Counted* p = make_ref<Counted>(&gone).detach();
  EXPECT_EQ(gone, 0);
  {
    auto r = Ref<Counted>::adopt(p);
  }
  EXPECT_EQ(gone, 1);
}

TEST(Object, ManyThreads) {
  int gone = 0;
  {
    Ref<Counted> shared = make_ref<Counted>(&gone);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([shared] {
        for (int i = 0; i < 20000; ++i) Ref<Counted> copy = shared;
      });
    }
    for (auto& t : threads) t.join();
    EXPECT_TRUE(shared->unique());
  }
  EXPECT_EQ(gone, 1);
}

// A stand-in for a Python object: it owns the C++ object and counts for it.
struct Twin {
  int64_t count = 0;
  Object* object = nullptr;
};

TEST(Object, ABindingTakesTheCountOver) {
  set_binding_hooks({.retain = [](void* p) noexcept { ++static_cast<Twin*>(p)->count; },
                     .release =
                         [](void* p) noexcept {
                           auto* twin = static_cast<Twin*>(p);
                           if (--twin->count == 0) twin->object->unbind();
                         }});
  int gone = 0;
  Ref<Counted> a = make_ref<Counted>(&gone), b = a;
  Twin twin{.count = 1, .object = a.get()};  // one reference is the other language's own
  twin.count += a->bind(&twin);
  EXPECT_EQ(a->bound(), &twin);
  EXPECT_EQ(twin.count, 3);
  EXPECT_EQ(a->use_count(), 0);
  EXPECT_FALSE(a->unique());
  {
    Ref<Counted> c = a;
  }
  b = nullptr;
  EXPECT_EQ(twin.count, 2);
  a = nullptr;
  EXPECT_EQ(gone, 0) << "the other side still holds it";
  if (--twin.count == 0) twin.object->unbind();
  EXPECT_EQ(gone, 1);
  set_binding_hooks({});
}

TEST(Object, WhoWaitsForTensorsDoesNotHoldTheBindingsLock) {
  static std::mutex language;  // what a binding's own lock is
  static int waited = 0;
  set_binding_hooks({.retain = nullptr, .release = nullptr, .wait = [](void (*block)(void*), void* arg) {
                       ++waited;
                       language.unlock();
                       block(arg);
                       language.lock();
                     }});
  std::mutex m;
  std::unique_lock<std::mutex> held = lock_for_tensors(m);
  EXPECT_EQ(waited, 0) << "nobody has it";
  std::atomic<bool> has_language = false;
  std::thread other([&] {
    const std::lock_guard outer(language);
    has_language = true;
    const auto lock = lock_for_tensors(m);
  });
  while (!has_language) std::this_thread::yield();
  language.lock();  // comes to need it, as for the count of a bound tensor
  language.unlock();
  held.unlock();
  other.join();
  EXPECT_EQ(waited, 1);
  set_binding_hooks({});
}

}  // namespace
}  // namespace thixo
