// Compiled functions whose arguments are views, written in place or not: everything that lies over the memory sees
// what it would see in eager, and so does the tape.
#include <gtest/gtest.h>

#include "runtime/test_values.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"

namespace thixo {
namespace {

using test::contains;
using test::error_of;
using test::random_tensor;
using test::values;
using Fn = CompiledFunction::Fn;
using Chain = std::function<Tensor(const Tensor&)>;

/// Ways to come from a [6, 8] tensor to views of it.
const std::vector<std::pair<std::string, Chain>> kChains = {
    {"rows", [](const Tensor& b) { return b.slice(0, 1, 4); }},
    {"one row", [](const Tensor& b) { return b[2]; }},
    {"column", [](const Tensor& b) { return b.select(1, 3); }},
    {"turned", [](const Tensor& b) { return b.t(); }},
    {"turned and cut", [](const Tensor& b) { return b.t().slice(0, 2, 7); }},
    {"every second", [](const Tensor& b) { return b.slice(1, 1, 8, 2).slice(0, 2, 6); }},
    {"reshaped", [](const Tensor& b) { return b.slice(0, 0, 6).view({4, 12})[1].view({3, 4}); }},
    {"of a view", [](const Tensor& b) { return b.slice(0, 2, 6).slice(1, 2, 6)[1]; }},
    {"strided", [](const Tensor& b) { return b.as_strided({3, 2}, {8, 3}, 9); }},
    {"whole", [](const Tensor& b) { return b; }},
};

/// f in eager and compiled, on views of bases with the same values: at the first call and at replays the results, the
/// bases and the views are the same. Each call gets another base, of another size from the third on.
void expect_same(const std::string& name, const Fn& f, const std::vector<Chain>& chains) {
  Compiled compiled = compile(f);
  for (int call = 0; call < 4; ++call) {
    Tensor want = random_tensor({6, 8}, call), got = want.clone();
    if (call == 3) {
      want = cat({want, want}, 0);  // another base, the same views
      got = want.clone();
    }
    TensorList want_args, got_args;
    for (const Chain& c : chains) {
      want_args.push_back(c(want));
      got_args.push_back(c(got));
    }
    const Tensor other = got.slice(0, 0, 5);
    const uint32_t version = got.version();
    const TensorList a = f(want_args), b = compiled(got_args);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(values(a[i]), values(b[i])) << name << " call " << call;
    EXPECT_EQ(values(want), values(got)) << name << " call " << call;
    EXPECT_EQ(values(want.slice(0, 0, 5)), values(other)) << name;
    EXPECT_GT(got.version(), version) << name;
    EXPECT_EQ(got_args[0].version(), got.version());
  }
}

TEST(CompiledViews, WritesToAnArgument) {
  const Fn whole = [](const TensorList& a) {
    Tensor x = a[0];
    const Tensor before = x * 2;
    x.add_(1);
    return TensorList{before, x.amax(), x * 3};
  };
  const Fn part = [](const TensorList& a) {
    Tensor x = a[0], first = a[0][0];
    first.mul_(3);
    a[0].slice(0, 1, 2).add_(a[0].slice(0, 0, 1));
    return TensorList{x + 1, first * 1};
  };
  const Fn detached = [](const TensorList& a) {
    const Tensor y = a[0].detach() * 2;
    a[0].detach().add_(y);
    a[0][1].detach().add_(1);
    return TensorList{y, a[0] * 1};
  };
  for (const auto& [name, chain] : kChains) {
    if (name == "whole") continue;
    expect_same(name + ", whole", whole, {chain});
    expect_same(name + ", part", part, {chain});
    expect_same(name + ", detached", detached, {chain});
  }
}

TEST(CompiledViews, ReadingAnotherViewAtEveryCall) {
  const Tensor base = random_tensor({5, 4}, 1);
  for (const Fn& f : std::vector<Fn>{[](const TensorList& a) { return TensorList{a[0].detach() * 2}; },
                                     [](const TensorList& a) { return TensorList{a[0] * 2}; },
                                     [&](const TensorList& a) { return TensorList{(a[0] - base.mean()) * 2}; }}) {
    Compiled compiled = compile(f);
    for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(values(f({base[i]})[0]), values(compiled({base[i]})[0])) << i;
    EXPECT_EQ(compiled.function().recordings(), 1u);
  }
}

TEST(CompiledViews, SeveralArgumentsOverOneMemory) {
  const Fn f = [](const TensorList& a) {
    Tensor x = a[0], y = a[1];
    const Tensor before = y * 2;
    x.add_(y.sum());
    const Tensor between = y * 2;
    y.mul_(3);
    return TensorList{before, between, x * 1, y * 1};
  };
  auto chain = [&](size_t i) { return kChains[i].second; };
  for (size_t i = 0; i < kChains.size(); ++i) {
    for (size_t j = 0; j < kChains.size(); ++j)
      expect_same(kChains[i].first + " and " + kChains[j].first, f, {chain(i), chain(j)});
  }
}

TEST(CompiledViews, AValueMadeInsideAndItsDetachedParts) {
  const Fn f = [](const TensorList& a) {
    const Tensor pad = a[0] + 5, z = a[0] * 1;
    Tensor part = z[1].detach();
    const Tensor before = part * 2;
    part.add_(1);
    return TensorList{z, before, part * 1, pad.sum(), z.as_strided({2, 2}, {3, 1}, 4) * 1};
  };
  Compiled compiled = compile(f);
  for (int call = 0; call < 3; ++call) {
    const Tensor x = random_tensor({4, 3}, call);
    const TensorList want = f({x}), got = compiled({x});
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(values(want[i]), values(got[i])) << i;
  }
}

TEST(CompiledViews, WritesThroughAViewThatOnlyEagersLayoutAllows) {
  const Fn inside = [](const TensorList& a) {
    Tensor z = a[0] * 2;  // lies as a[0] does
    z.t().view({24}).slice(0, 3, 7).mul_(3);
    return TensorList{z};
  };
  const Fn argument = [](const TensorList& a) {
    a[0].t().view({24}).add_(1);
    a[0].t().view({2, 12})[1].mul_(2);
    return TensorList{a[0] * 1};
  };
  for (const Fn& f : {inside, argument}) {
    Compiled compiled = compile(f);
    for (int call = 0; call < 3; ++call) {
      const Tensor want = random_tensor({4, 6}, call), got = want.clone();
      EXPECT_EQ(values(f({want.t()})[0]), values(compiled({got.t()})[0]));
      EXPECT_EQ(values(want), values(got));
    }
  }
}

TEST(CompiledViews, TheArgumentIsReturned) {
  const Fn f = [](const TensorList& a) {
    Tensor x = a[0];
    x.add_(1);
    return TensorList{x};
  };
  Compiled compiled = compile(f);
  for (int call = 0; call < 3; ++call) {
    const Tensor base = random_tensor({4, 3}, call), x = base[1];
    Tensor y = compiled({x})[0];
    EXPECT_TRUE(y.is_same(x));
    y.mul_(2);
    EXPECT_EQ(values(base[1]), values(y));
  }
}

// ---- with gradients ----

/// Gradients of a scalar made of f's results and of the base after it, f in eager and compiled.
void expect_same_gradients(const std::string& name, const Fn& f, const Chain& chain) {
  Compiled compiled = compile(f);
  for (int call = 0; call < 3; ++call) {
    std::vector<std::vector<float>> seen[2];
    for (int run = 0; run < 2; ++run) {
      Tensor w = random_tensor({6, 8}, call).requires_grad_();
      const Tensor base = w * 2, x = chain(base), other = base.slice(0, 1, 5);
      const TensorList out = run == 0 ? f({x}) : compiled({x});
      Tensor loss = (base * base).sum() + (other * 3).sum() + (x * x * x).sum();
      for (const Tensor& t : out) loss = loss + (t * t).sum();
      loss.backward();
      seen[run] = {values(base.detach()), values(x.detach()), values(loss.detach()), values(w.grad())};
    }
    ASSERT_EQ(seen[0].size(), seen[1].size());
    for (size_t k = 0; k < seen[0].size(); ++k) {
      for (size_t i = 0; i < seen[0][k].size(); ++i) {
        EXPECT_NEAR(seen[0][k][i], seen[1][k][i], 1e-5 * std::max(1.0f, std::abs(seen[0][k][i])))
            << name << " call " << call << " value " << k << ", " << i;
      }
    }
  }
  EXPECT_EQ(compiled.function().recordings(), 1u) << name;
}

TEST(CompiledViews, HistoryOfWhatIsWritten) {
  const Fn grows = [](const TensorList& a) {
    Tensor x = a[0];
    const Tensor before = x * 2;
    x.mul_(3);
    a[0][0].add_(1);
    return TensorList{before, x * 5};
  };
  const Fn cut = [](const TensorList& a) {
    NoGrad off;
    Tensor x = a[0];
    x.mul_(3);
    return TensorList{};
  };
  const Fn quiet = [](const TensorList& a) {
    {
      NoGrad off;
      Tensor x = a[0];
      x.mul_(3);
    }
    return TensorList{a[0] * 5};
  };
  for (const auto& [name, chain] : kChains) {
    expect_same_gradients(name + ", grows", grows, chain);
    expect_same_gradients(name + ", cut", cut, chain);
    expect_same_gradients(name + ", quiet", quiet, chain);
  }
}

TEST(CompiledViews, HistoryOfSeveralArgumentsOverOneMemory) {
  const Fn read = [](const TensorList& a) { return TensorList{a[0] * a[1], a[1] * 2}; };
  const Fn write = [](const TensorList& a) {
    Tensor x = a[1];
    const Tensor before = a[0] * 2;
    x.mul_(3);
    return TensorList{before, a[0] * 5, x * 7};
  };
  auto run = [](const auto& f, const Chain& first, const Chain& second, int call) {
    Tensor w = random_tensor({6, 8}, call).requires_grad_();
    const Tensor base = w * 2;
    Tensor loss = (base * 2).sum();
    for (const Tensor& t : f({first(base), second(base)})) loss = loss + t.sum();
    (loss + (base * base).sum()).backward();
    return values(w.grad());
  };
  const Chain whole = kChains.back().second, rows = kChains[0].second,
              next = [](const Tensor& b) { return b.slice(0, 2, 5); };
  for (const auto& [f, first, second] : std::vector<std::tuple<Fn, Chain, Chain>>{
           {read, rows, next}, {write, whole, rows}, {write, rows, next}, {write, next, next}}) {
    Compiled compiled = compile(f);
    for (int call = 0; call < 3; ++call) {
      const std::vector<float> want = run(f, first, second, call), got = run(compiled, first, second, call);
      for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(want[i], got[i], 1e-4) << call;
    }
    EXPECT_EQ(compiled.function().recordings(), 1u);
  }
  const Chain apart = [](const Tensor& b) { return b.detach().slice(0, 2, 5); };
  const std::string e = error_of([&] { run(compile(write), apart, rows, 0); });
  EXPECT_TRUE(contains(e, "a value with history into one of several views without a common base")) << e;
}

TEST(CompiledViews, AValueWithHistoryIntoAPlainBase) {
  const Tensor w = random_tensor({8}, 9).requires_grad_();
  Compiled f = compile([&](const TensorList& a) {
    Tensor x = a[0];
    x.copy_(w * 2);
    return TensorList{};
  });
  for (int call = 0; call < 3; ++call) {
    Tensor base = random_tensor({6, 8}, call);
    const Tensor row = base[2];
    f({row});
    EXPECT_TRUE(base.requires_grad());
    EXPECT_TRUE(row.requires_grad());
    Tensor leaf = w;
    leaf.zero_grad();
    (base * 3).sum().backward();
    EXPECT_EQ(values(w.grad()), std::vector<float>(8, 6)) << call;
  }
}

TEST(CompiledViews, ErrorsAreThoseOfEager) {
  const Fn f = [](const TensorList& a) {
    Tensor x = a[0];
    x.mul_(2);
    return TensorList{};
  };
  const Fn part = [](const TensorList& a) {
    a[0].slice(0, 0, 1).mul_(2);
    return TensorList{};
  };
  for (const Fn& g : {f, part}) {
    Compiled compiled = compile(g);
    compiled({random_tensor({6, 8})[1]});
    compiled({random_tensor({6, 8})[1]});
    Tensor leaf = random_tensor({6, 8}).requires_grad_();
    auto view = [&] { return leaf[1]; };
    auto plain_view = [&] {
      NoGrad off;
      return leaf[1];
    };
    EXPECT_TRUE(contains(error_of([&] { g({view()}); }), "a view of a leaf that requires grad is used in an in-place"));
    for (const auto& make : std::vector<std::function<Tensor()>>{view, plain_view}) {
      const std::string want = error_of([&] { g({make()}); });
      for (int call = 0; call < 2; ++call) EXPECT_EQ(error_of([&] { compiled({make()}); }), want);
    }
    const std::vector<float> before = values(leaf);
    {
      NoGrad off;
      for (int call = 0; call < 2; ++call) compiled({leaf[1]});
    }
    EXPECT_NE(values(leaf), before) << "without gradients it is allowed";
  }
  Compiled compiled = compile(f);  // the same for whole tensors
  for (int call = 0; call < 2; ++call) compiled({random_tensor({3}) * 2});
  Tensor whole = random_tensor({3}).requires_grad_();
  for (int call = 0; call < 2; ++call)
    EXPECT_TRUE(contains(error_of([&] { compiled({whole}); }), "a leaf that requires grad is used in an in-place"));
  const Tensor made = whole * 2;
  compiled({made});
  EXPECT_TRUE(contains(error_of([&] { compiled({whole}); }), "a leaf that requires grad is used in an in-place"));
}

TEST(CompiledViews, AnOverwrittenValueIsAnErrorOfBackward) {
  Compiled f = compile([](const TensorList& a) {
    Tensor x = a[0];
    x.mul_(2);
    return TensorList{};
  });
  for (int call = 0; call < 2; ++call) {
    const Tensor w = random_tensor({6, 8}).requires_grad_(), base = random_tensor({6, 8});
    const Tensor loss = (w * base).sum();
    f({base[1]});
    EXPECT_TRUE(contains(error_of([&] { loss.backward(); }), "overwritten in place")) << call;
  }
}

// ---- the function's own tensors over the same memory ----

TEST(CompiledViews, WhatIsCapturedOverTheArgumentsMemory) {
  Tensor state = random_tensor({4, 3}, 1);
  Compiled f = compile([&](const TensorList& a) {
    Tensor x = a[0];
    x.add_(1);
    return TensorList{state.sum()};
  });
  for (int call = 0; call < 2; ++call) {
    const std::string e = error_of([&] { f({state[1]}); });
    EXPECT_TRUE(contains(e, "NotImplementedError: compile: the function writes in place to memory that it also reads"))
        << e;
  }
  for (int call = 0; call < 2; ++call) {  // with another argument it is fine
    const Tensor other = random_tensor({4, 3}, call);
    EXPECT_EQ(f({other[1]})[0].item<float>(), state.sum().item<float>());
  }
  EXPECT_TRUE(contains(error_of([&] { f({state[1]}); }), "memory that it also reads")) << "not the program of others";
}

TEST(CompiledViews, AnArgumentThatIsAStateOfTheProgram) {
  Tensor state = zeros({3});
  const Fn f = [&](const TensorList& a) {
    state.add_(1);
    return TensorList{a[0] * 1};
  };
  Compiled compiled = compile(f);
  const Tensor other = zeros({3});
  compiled({other});
  compiled({other});
  EXPECT_EQ(values(compiled({state})[0]), std::vector<float>(3, 3)) << "the write comes first";
  EXPECT_EQ(values(compiled({other})[0]), std::vector<float>(3, 0));
}

}  // namespace
}  // namespace thixo
