// What a profiler sees of a compiled function.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "runtime/test_values.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"
#include "thixo/profiler.h"

namespace thixo {
namespace {

using test::random_tensor;
using Event = Profiler::Event;

std::vector<Event> events_of(const std::function<void()>& f) {
  Profiler p;
  f();
  p.stop();
  return p.events();
}

std::vector<std::string> names(const std::vector<Event>& events) {
  std::vector<std::string> out;
  for (const Event& e : events) out.push_back(e.name);
  return out;
}

TEST(CompiledProfile, StepsOfAReplay) {
  Compiled f =
      compile([](const TensorList& a) { return TensorList{layer_norm(gelu(matmul(a[0], a[1])) + a[2], {24})}; });
  const TensorList args{random_tensor({8, 16}, 1), random_tensor({16, 24}, 2), random_tensor({8, 24}, 3)};
  f(args);
  const std::vector<Event> events = events_of([&] { f(args); });
  ASSERT_EQ(names(events), (std::vector<std::string>{"compiled", "matmul", "fused: gelu+add+layer_norm"}));
  EXPECT_EQ(events[0].shapes, "f32[8, 16], f32[16, 24], f32[8, 24]");
  EXPECT_EQ(events[1].shapes, "f32[8, 16], f32[16, 24]");
  EXPECT_EQ(events[2].shapes, "f32[8, 24], f32[8, 24]");
  EXPECT_EQ(events[0].depth, 0);
  int64_t inside = 0;
  for (const Event& e : {events[1], events[2]}) {
    EXPECT_EQ(e.depth, 1);
    EXPECT_GT(e.total_ns, 0);
    EXPECT_EQ(e.total_ns, e.self_ns);
    EXPECT_GE(e.start_ns, events[0].start_ns);
    inside += e.total_ns;
  }
  EXPECT_EQ(events[0].self_ns, events[0].total_ns - inside);
}

TEST(CompiledProfile, TheCallThatRecordsShowsItsOpsAndTheCompilation) {
  Compiled f = compile([](const TensorList& a) { return TensorList{(a[0] * 2 + 1).exp()}; });
  const std::vector<Event> events = events_of([&] { f({random_tensor({5, 7}, 1)}); });
  EXPECT_EQ(names(events), (std::vector<std::string>{"mul", "add", "exp", "compile"}));
  EXPECT_EQ(events[0].shapes, "f32[5, 7], i64[]");
}

TEST(CompiledProfile, BackwardAndUpdates) {
  Tensor w = random_tensor({6, 9}, 1).requires_grad_(), seen = zeros({6});
  Compiled f = compile([&](const TensorList& a) {
    const Tensor y = gelu(matmul(a[0], w)).tanh();
    NoGrad guard;
    seen.mul_(0.5).add_(a[0].detach().sum(0));
    return TensorList{y};
  });
  f({random_tensor({4, 6}, 2)})[0].sum().backward();
  const std::vector<Event> events = events_of([&] { f({random_tensor({4, 6}, 2)})[0].sum().backward(); });
  std::set<std::string> forward, backward;
  for (const Event& e : events) (e.part_of == "compiled" ? backward : forward).insert(e.name);
  EXPECT_TRUE(forward.contains("matmul"));
  EXPECT_TRUE(backward.contains("compiled"));
  EXPECT_TRUE(backward.contains("matmul"));
  EXPECT_TRUE(std::any_of(backward.begin(), backward.end(), [](const auto& s) { return s.starts_with("fused: "); }));
}

TEST(CompiledProfile, LongNamesAreCut) {
  Compiled f = compile([](const TensorList& a) {
    Tensor x = a[0];
    for (int i = 0; i < 5; ++i) x = (x * x).exp().sin();
    return TensorList{x};
  });
  const TensorList args{random_tensor({3}, 1)};
  f(args);
  const std::vector<Event> events = events_of([&] { f(args); });
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].name, "fused: mul+exp+sin+mul+exp+sin+mul+exp+7 more");
}

TEST(CompiledProfile, AnErrorInAStepClosesItsEvents) {
  Compiled f = compile([](const TensorList& a) { return TensorList{a[0].index_select(0, a[1]) * 2}; });
  const Tensor table = random_tensor({5, 3}, 1);
  auto at = [](int64_t i) { return tensor(std::vector<int64_t>{i, 0}, {2}); };
  f({table, at(1)});
  const std::vector<Event> events = events_of([&] {
    EXPECT_THROW(f({table, at(9)}), Error);
    f({table, at(2)});
  });
  EXPECT_EQ(std::count_if(events.begin(), events.end(), [](const Event& e) { return e.depth == 0; }), 2);
  for (const Event& e : events) EXPECT_GT(e.total_ns, 0) << e.name;
}

TEST(CompiledProfile, TwoProfilersAndTheTrace) {
  Compiled f = compile([](const TensorList& a) { return TensorList{(a[0] * 2).exp()}; });
  const TensorList args{random_tensor({3, 4}, 1)};
  f(args);
  Profiler outer;
  std::vector<Event> inner = events_of([&] { f(args); });
  outer.stop();
  EXPECT_EQ(names(inner), (std::vector<std::string>{"compiled", "fused: mul+exp"}));
  EXPECT_EQ(names(outer.events()), names(inner));
  EXPECT_NE(outer.table().find("fused: mul+exp "), std::string::npos) << outer.table();
  const std::string path = testing::TempDir() + "thixo_compiled_trace.json";
  outer.export_chrome_trace(path);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_NE(text.str().find("\"name\": \"fused: mul+exp\""), std::string::npos) << text.str();
}

}  // namespace
}  // namespace thixo
