// Random numbers of compiled functions: streams go on as in eager, from each generator; seeds are set outside.
#include <gtest/gtest.h>

#include <thread>

#include "runtime/test_values.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"
#include "thixo/generator.h"

namespace thixo {
namespace {

using test::contains;
using test::error_of;
using test::filled;
using test::values;

using Streams = std::vector<std::vector<float>>;

TEST(CompiledRandom, EachGeneratorGoesOnWithItsOwnStream) {
  const auto four_calls = [](bool compiled, std::vector<Generator::State>* end) {
    manual_seed(0);
    Generator a(0), b(3);  // the first begins where the default generator does
    const CompiledFunction::Fn f = [&](const TensorList& x) -> TensorList {
      return {x[0] + rand({50}, {.generator = &a}), rand({50}), rand({20}, {.generator = &b}) * 2,
              rand({50}, {.generator = &a})};
    };
    const Compiled g = compile(f);
    Streams out;
    for (int call = 0; call < 4; ++call) {
      if (call == 2) a.manual_seed(9);
      for (const Tensor& t : compiled ? g({filled({50}, 1)}) : f({filled({50}, 1)})) out.push_back(values(t));
    }
    for (const Generator* x : {&a, &b, &default_generator()}) end->push_back(x->state());
    return out;
  };
  std::vector<Generator::State> eager, compiled;
  EXPECT_EQ(four_calls(false, &eager), four_calls(true, &compiled));
  for (size_t k = 0; k < eager.size(); ++k) EXPECT_EQ(eager[k].counter, compiled[k].counter) << k;
}

TEST(CompiledRandom, AGeneratorMadeInsideBeginsAnewAtEachCall) {
  const Compiled f = compile([](const TensorList& a) -> TensorList {
    Generator g(5);
    return {a[0] * rand({10}, {.generator = &g})};
  });
  Generator g(5);
  const std::vector<float> want = values(rand({10}, {.generator = &g}));
  for (int call = 0; call < 3; ++call) EXPECT_EQ(values(f({filled({10}, 1)})[0]), want);
}

TEST(CompiledRandom, AGradientDrawsFromTheSameGenerator) {
  Generator mine(1), other(1);
  const Tensor x = filled({100}, 1).requires_grad_();
  const auto f = [&](Generator& g) { return (x * rand({100}, {.generator = &g})).sum(); };
  const Compiled c = compile([&](const TensorList&) -> TensorList { return {f(mine)}; });
  for (int call = 0; call < 3; ++call) {
    c({})[0].backward();
    const std::vector<float> got = values(x.grad());
    Tensor(x).zero_grad();
    f(other).backward();
    EXPECT_EQ(got, values(x.grad()));
    Tensor(x).zero_grad();
  }
  EXPECT_EQ(mine.state().counter, other.state().counter);
}

TEST(CompiledRandom, SeedingInsideIsAnError) {
  Generator g(1);
  for (const std::function<void()>& seed :
       std::vector<std::function<void()>>{[] { manual_seed(0); }, [&] { g.manual_seed(2); }, [&] { g.set_state({}); },
                                          [] { std::thread([] { manual_seed(77); }).join(); }}) {
    const std::string e = error_of([&] {
      compile([&](const TensorList& a) -> TensorList {
        seed();
        return {rand({3}) * a[0]};
      })({filled({3}, 1)});
    });
    EXPECT_TRUE(contains(e, "NotImplementedError: compile: the function seeds a random generator")) << e;
    EXPECT_TRUE(contains(e, "fix   call manual_seed() or set_state() before the compiled function")) << e;
    seed();  // outside it is allowed again
  }
}

TEST(CompiledRandom, CheckpointsInsideTakeTheStreamBack) {
  const Compiled f = compile([](const TensorList& a) -> TensorList {
    Tensor w = a[0].detach().requires_grad_();
    autograd::checkpoint([](const TensorList& x) -> TensorList { return {dropout(x[0], 0.5, true).exp()}; }, {w})[0]
        .sum()
        .backward();
    return {w.grad()};
  });
  for (int call = 0; call < 2; ++call) EXPECT_EQ(f({filled({64}, 0)})[0].shape(), (Shape{64}));
}

TEST(Compile, TheDefaultDtypeIsPartOfTheSignature) {
  const Compiled f =
      compile([](const TensorList& a) -> TensorList { return {a[0].to(float64).sum(), ones({2}) * 0.5}; });
  const Tensor x = filled({3}, 1);
  EXPECT_EQ(f({x})[1].dtype(), float32);
  set_default_dtype(float64);
  const DType got = f({x})[1].dtype();
  set_default_dtype(float32);
  EXPECT_EQ(got, float64);
  EXPECT_EQ(f({x})[1].dtype(), float32);
  EXPECT_EQ(f.function().recordings(), 2u);
}

TEST(Compile, AFormComesBackWithItsProgram) {
  const auto f = make_ref<CompiledFunction>(CompiledFunction::FormFn([](const TensorList& a, int64_t* form) {
    *form = a[0].numel().value();
    return TensorList{a[0] * 2};
  }));
  for (const int64_t n : {3, 5, 3, 5}) {
    int64_t form = 0;
    (*f)({filled({n}, 1)}, "", &form);
    EXPECT_EQ(form, n);
  }
  EXPECT_EQ(f->recordings(), 2u);
}

}  // namespace
}  // namespace thixo
