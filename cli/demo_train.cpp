#include "demo_train.h"

#include <algorithm>
#include <cmath>

#include "thixo/autograd.h"
#include "thixo/compile.h"
#include "thixo/lr_scheduler.h"
#include "thixo/optim.h"

namespace thixo::cli {
namespace {

/// Each image moved by up to `most` pixels in each direction, what comes in is empty.
Tensor shifted(const Tensor& images, int most, Generator& generator) {
  if (most == 0) return images;
  Tensor out = zeros(images.shape());
  const int64_t n = images.size(0), side = images.size(2);
  const auto* from = images.data<float>();
  auto* to = out.data<float>();
  const auto range = static_cast<uint32_t>(2 * most + 1);
  const uint64_t counter = generator.take(static_cast<uint64_t>(n));
  for (int64_t i = 0; i < n; ++i, from += side * side, to += side * side) {
    const auto random = philox4x32(generator.seed(), counter + static_cast<uint64_t>(i));
    const int64_t down = static_cast<int64_t>(random[0] % range) - most,
                  right = static_cast<int64_t>(random[1] % range) - most;
    for (int64_t y = std::max<int64_t>(0, down); y < std::min(side, side + down); ++y) {
      for (int64_t x = std::max<int64_t>(0, right); x < std::min(side, side + right); ++x) {
        to[y * side + x] = from[(y - down) * side + x - right];
      }
    }
  }
  return out;
}

void check_loss(double loss, int64_t epoch, int64_t step, const optim::Optimizer& optimizer) {
  if (std::isfinite(loss)) return;
  throw ValueError("demo: the loss is " + std::to_string(loss) + " in epoch " + std::to_string(epoch) + ", step " +
                   std::to_string(step))
      .got("lr " + std::to_string(optimizer.param_groups()[0]["lr"]))
      .need("a finite loss")
      .fix("train with a smaller --lr");
}

nn::Sequential make_features(int64_t w) {
  return nn::Sequential(nn::Conv2d(1, w, 3, {.padding = 1}), nn::BatchNorm2d(w), nn::ReLU(),            //
                        nn::Conv2d(w, w, 3, {.padding = 1}), nn::BatchNorm2d(w), nn::ReLU(),            //
                        nn::MaxPool2d(2),                                                              //
                        nn::Conv2d(w, 2 * w, 3, {.padding = 1}), nn::BatchNorm2d(2 * w), nn::ReLU(),    //
                        nn::MaxPool2d(2));
}

}  // namespace

DigitNetImpl::DigitNetImpl(int64_t width, double dropout)
    : features(this, "features", make_features(width)),
      classifier(this, "classifier", nn::Flatten(), nn::Dropout(dropout), nn::Linear(2 * width * 2 * 2, 10)) {}

int64_t steps_per_epoch(const data::Digits& digits, const Recipe& recipe) {
  return digits.labels.size(0) / recipe.batch_size;
}

bool train(const DigitNet& net, const data::Digits& digits, const Recipe& recipe, uint64_t seed, bool eager,
           const OnStep& on_step) {
  data::DataLoader loader(digits, {.batch_size = recipe.batch_size, .shuffle = true, .drop_last = true, .seed = seed});
  optim::AdamW optimizer(net->parameters(), {.lr = recipe.lr, .weight_decay = recipe.weight_decay});
  optim::OneCycleLR schedule(optimizer, recipe.lr, recipe.epochs * loader.size());
  Generator generator(seed);

  // The whole step is one function, so that it can be recorded as one program.
  auto step = [&](const TensorList& batch) -> TensorList {
    Tensor logits = net(batch[0]);
    Tensor loss = cross_entropy(logits, batch[1], {}, {.label_smoothing = recipe.smoothing});
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    return {loss.detach(), (logits.detach().argmax(1) == batch[1]).sum()};
  };
  const Compiled compiled = compile(step);

  int64_t samples = 0;
  for (int64_t epoch = 1; epoch <= recipe.epochs; ++epoch) {
    net->train();
    double loss_sum = 0;
    int64_t right = 0, seen = 0, count = 0;
    for (const TensorList& batch : loader) {
      const TensorList args = {shifted(batch[0], recipe.shift, generator), batch[1]};
      const TensorList result = eager ? step(args) : compiled(args);
      schedule.step();
      const double loss = result[0].item();
      check_loss(loss, epoch, ++count, optimizer);
      loss_sum += loss;
      right += result[1].item<int64_t>();
      seen += recipe.batch_size;
      samples += recipe.batch_size;
      const double mean_loss = loss_sum / static_cast<double>(count);
      if (!on_step(epoch, count, samples, mean_loss, static_cast<double>(right) / static_cast<double>(seen)))
        return false;
    }
  }
  return true;
}

Tensor logits_of(const DigitNet& net, const Tensor& images) {
  NoGrad off;
  net->eval();
  return net(images);
}

std::vector<int64_t> classes_of(const Tensor& logits) { return logits.argmax(1).to_vector<int64_t>(); }

int64_t count_equal(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  int64_t n = 0;
  for (size_t i = 0; i < a.size(); ++i) n += a[i] == b[i] ? 1 : 0;
  return n;
}

}  // namespace thixo::cli
