// Training steps compiled, as a whole and in parts, against eager.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/record.h"
#include "thixo/compile.h"
#include "thixo/generator.h"
#include "thixo/lr_scheduler.h"
#include "thixo/nn.h"
#include "thixo/optim.h"

namespace thixo::optim {
namespace {

struct NetImpl : nn::Module {
  nn::Linear in{this, "in", 24, 40}, mid{this, "mid", 40, 32}, out{this, "out", 32, 7};
  nn::LayerNorm norm{this, "norm", IntList{40}};
  Tensor forward(const Tensor& x) override { return out(relu(mid(gelu(norm(in(x)))))); }
};

/// A network and its optimizer, the same at every start.
struct Trainer {
  Ref<NetImpl> net;
  std::unique_ptr<Optimizer> optimizer;
  explicit Trainer(const std::function<std::unique_ptr<Optimizer>(const TensorList&)>& make) {
    manual_seed(3);
    net = make_ref<NetImpl>();
    optimizer = make(net->parameters());
  }
  Tensor loss(const TensorList& batch) const { return cross_entropy((*net)(batch[0]), batch[1]); }
  TensorList step(const TensorList& batch) {
    optimizer->zero_grad();
    Tensor l = loss(batch);
    l.backward();
    optimizer->step();
    return {l.detach()};
  }
};

TensorList batch(int i) {
  manual_seed(static_cast<uint64_t>(100 + i));
  Tensor x = randn({16, 24});
  return {x, randint(7, {16})};
}

std::unique_ptr<Optimizer> adam(const TensorList& p) {
  return std::make_unique<Adam>(p, AdamOptions{.lr = 0.01, .weight_decay = 0.1});
}
std::unique_ptr<Optimizer> amsgrad(const TensorList& p) {
  return std::make_unique<Adam>(p, AdamOptions{.lr = 0.01, .amsgrad = true});
}
std::unique_ptr<Optimizer> adamw(const TensorList& p) { return std::make_unique<AdamW>(p, AdamWOptions{.lr = 0.01}); }
std::unique_ptr<Optimizer> momentum(const TensorList& p) {
  return std::make_unique<SGD>(p, SGDOptions{.lr = 0.05, .momentum = 0.9});
}

using Step = std::function<TensorList(const TensorList&)>;

void expect_same_training(std::unique_ptr<Optimizer> (*make)(const TensorList&),
                          const std::function<Step(Trainer&)>& compiled_step) {
  Trainer eager(make), compiled(make);
  LambdaLR eager_rate(*eager.optimizer, [](int64_t t) { return 1.0 / static_cast<double>(1 + t); });
  LambdaLR compiled_rate(*compiled.optimizer, [](int64_t t) { return 1.0 / static_cast<double>(1 + t); });
  const Step step = compiled_step(compiled);
  std::vector<const void*> memory;
  for (const Tensor& p : compiled.net->parameters()) memory.push_back(p.raw_data());
  for (int i = 0; i < 20; ++i) {
    const TensorList want = eager.step(batch(i)), got = step(batch(i));
    EXPECT_EQ(want[0].item(), got[0].item()) << "step " << i;
    const TensorList a = eager.net->parameters(), b = compiled.net->parameters();
    for (size_t k = 0; k < a.size(); ++k) {
      ASSERT_EQ(a[k].to_vector<float>(), b[k].to_vector<float>()) << "step " << i << ", parameter " << k;
      ASSERT_EQ(a[k].grad().to_vector<float>(), b[k].grad().to_vector<float>()) << "step " << i << ", gradient " << k;
      EXPECT_EQ(b[k].raw_data(), memory[k]) << "updated in place";
      EXPECT_EQ(compiled.optimizer->state_of(b[k]).step, i + 1);
    }
    if (i % 5 == 4) {
      eager_rate.step();
      compiled_rate.step();
    }
  }
}

TEST(CompiledTraining, TheWholeStepIsEagersBitForBit) {
  for (auto make : {adam, amsgrad, adamw, momentum}) {
    size_t recordings = 0;
    expect_same_training(make, [&](Trainer& t) -> Step {
      Compiled f = compile([&t](const TensorList& b) { return t.step(b); });
      return [f, &recordings](const TensorList& b) {
        TensorList out = f(b);
        recordings = f.function().recordings();
        return out;
      };
    });
    EXPECT_EQ(recordings, 1u);
  }
}

TEST(CompiledTraining, ForwardAndUpdateCompiledApart) {
  for (auto make : {adam, momentum}) {
    size_t forwards = 0, updates = 0;
    expect_same_training(make, [&](Trainer& t) -> Step {
      Compiled forward = compile([&t](const TensorList& b) { return TensorList{t.loss(b)}; });
      Compiled update = compile([&t](const TensorList&) {
        t.optimizer->step();
        return TensorList{};
      });
      return [&, forward, update](const TensorList& b) {
        t.optimizer->zero_grad();
        Tensor l = forward(b)[0];
        l.backward();
        update({});
        forwards = forward.function().recordings();
        updates = update.function().recordings();
        return TensorList{l.detach()};
      };
    });
    EXPECT_EQ(forwards, 1u);
    EXPECT_EQ(updates, 1u);
  }
}

TEST(CompiledTraining, GradientsKeptAsZeros) {
  expect_same_training(adam, [](Trainer& t) -> Step {
    Compiled f = compile([&t](const TensorList& b) {
      t.optimizer->zero_grad(/*set_to_none=*/false);
      Tensor l = t.loss(b);
      l.backward();
      t.optimizer->step();
      return TensorList{l.detach()};
    });
    return [f](const TensorList& b) { return f(b); };
  });
}

TEST(CompiledTraining, UpdatesAreOneStepInPlace) {
  Trainer t(adam);
  Compiled f = compile([&t](const TensorList& b) { return t.step(b); });
  const std::string text = explain(f, batch(0));
  EXPECT_NE(text.find("adam_update: 8 calls in one loop"), std::string::npos) << text;
  EXPECT_EQ(text.find("is copied at the end"), std::string::npos) << text;
}

TEST(CompiledTraining, ALossThatIsNotANumberGoesThrough) {
  Trainer eager(adam), compiled(adam);
  Compiled f = compile([&](const TensorList& b) { return compiled.step(b); });
  for (int i = 0; i < 3; ++i) {
    TensorList b = batch(i);
    if (i == 1) b[0].index({3}).fill_(std::numeric_limits<double>::quiet_NaN());
    const double want = eager.step(b)[0].item(), got = f(b)[0].item();
    EXPECT_EQ(std::isnan(want), std::isnan(got));
    EXPECT_EQ(std::isnan(got), i >= 1);
  }
}

TEST(CompiledTraining, ALeftOutBatch) {
  Trainer t(adam);
  Compiled f = compile([&](const TensorList& b) { return TensorList{(*t.net)(b[0])}; });
  for (int call = 0; call < 2; ++call) {
    EXPECT_EQ(f({empty({0, 24})})[0].shape(), (Shape{0, 7}));
    f({empty({0, 24})})[0].sum().backward();
  }
}

}  // namespace
}  // namespace thixo::optim
