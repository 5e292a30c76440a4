// Errors while a function is recorded or replayed, and that it works afterwards.
#include <gtest/gtest.h>

#include "runtime/test_values.h"
#include "thixo/compile.h"

namespace thixo {
namespace {

using test::contains;
using test::error_of;
using test::filled;
using test::random_tensor;
using test::values;

TEST(Compile, LookingAtValuesIsAnError) {
  const Tensor x = filled({3}, 1);
  for (const CompiledFunction::Fn& f : std::vector<CompiledFunction::Fn>{
           [](const TensorList& a) { return a[0].sum().item() > 0 ? TensorList{a[0]} : TensorList{}; },
           [](const TensorList& a) { return TensorList{a[0] * static_cast<double>(a[0].str().size())}; },
           [](const TensorList& a) { return TensorList{a[0] * a[0].data<float>()[0]}; }}) {
    const std::string e = error_of([&] { compile(f)({x}); });
    EXPECT_TRUE(contains(e, "NotImplementedError: compile: the function looks at the value of a tensor")) << e;
    EXPECT_FALSE(is_compiling());
    EXPECT_EQ(x.sum().item<float>(), 3.0f) << "outside it is allowed again";
  }
}

TEST(Compile, AnExceptionLeavesNothingBehind) {
  Tensor state = filled({3}, 1);
  bool fail = true;
  Compiled f = compile([&](const TensorList& a) {
    state.add_(1);
    if (fail) throw std::runtime_error("from the function");
    return TensorList{matmul(a[0], a[0])};
  });
  EXPECT_THROW(f({filled({2, 2}, 1)}), std::runtime_error);
  EXPECT_FALSE(is_compiling());
  EXPECT_EQ(f.function().recordings(), 0u);
  EXPECT_EQ(values(state), std::vector<float>(3, 2)) << "what ran has run";
  fail = false;
  EXPECT_THROW(f({filled({2, 3}, 1)}), Error);  // of an op
  EXPECT_FALSE(is_compiling());
  for (int call = 0; call < 2; ++call) EXPECT_EQ(values(f({filled({2, 2}, 1)})[0]), std::vector<float>(4, 2));
  EXPECT_EQ(values(state), std::vector<float>(3, 5));
}

TEST(Compile, IndicesAreCheckedAtEveryReplay) {
  Compiled f = compile([](const TensorList& a) { return TensorList{a[0].index_select(0, a[1]) * 2}; });
  const Tensor table = random_tensor({5, 3});
  auto at = [](int64_t i) { return tensor(std::vector<int64_t>{i, 0}, {2}); };
  f({table, at(4)});
  EXPECT_EQ(values(f({table, at(2)})[0]), values(table.index_select(0, at(2)) * 2));
  const std::string e = error_of([&] { f({table, at(5)}); });
  EXPECT_TRUE(contains(e, "IndexError: index_select: index 5 is out of range for dim 0 of size 5")) << e;
  EXPECT_EQ(values(f({table, at(1)})[0]), values(table.index_select(0, at(1)) * 2)) << "and works afterwards";
}

}  // namespace
}  // namespace thixo
