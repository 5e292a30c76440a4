// The demo as a program of your own: a small convolutional network learns handwritten digits.
//
//   cmake -S examples -B build-examples -DCMAKE_PREFIX_PATH=<where thixo is installed>
//   cmake --build build-examples
//   build-examples/digits [epochs]
#include <thixo/thixo.h>

#include <cstdio>
#include <cstdlib>

using namespace thixo;

struct NetImpl : nn::Module {
  nn::Sequential features{this,
                          "features",
                          nn::Conv2d(1, 32, 3, {.padding = 1}),
                          nn::BatchNorm2d(32),
                          nn::ReLU(),
                          nn::Conv2d(32, 32, 3, {.padding = 1}),
                          nn::BatchNorm2d(32),
                          nn::ReLU(),
                          nn::MaxPool2d(2),
                          nn::Conv2d(32, 64, 3, {.padding = 1}),
                          nn::BatchNorm2d(64),
                          nn::ReLU(),
                          nn::MaxPool2d(2)};
  nn::Dropout dropout{this, "dropout", 0.3};
  nn::Linear head{this, "head", 64 * 2 * 2, 10};
  Tensor forward(const Tensor& x) override { return head(dropout(features(x).flatten(1))); }
};
using Net = nn::Handle<NetImpl>;

int run(int64_t epochs) {
  manual_seed(0);
  const auto [train, test] = data::digits().split();
  data::DataLoader loader(train, {.batch_size = 32, .shuffle = true, .drop_last = true, .num_workers = 1});
  Net net;
  optim::AdamW opt(net->parameters(), {.lr = 4e-3});
  optim::OneCycleLR schedule(opt, 4e-3, epochs * loader.size());

  // The whole step, forward, backward and update, is recorded once and runs as one program from then on.
  auto step = compile([&](const TensorList& batch) -> TensorList {
    opt.zero_grad();
    Tensor loss = cross_entropy(net(batch[0]), batch[1], {}, {.label_smoothing = 0.05});
    loss.backward();
    opt.step();
    return {loss.detach()};
  });

  for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
    double sum = 0;
    for (const TensorList& batch : loader) {
      sum += step(batch)[0].item();
      schedule.step();
    }
    std::printf("epoch %lld  loss %.4f\n", static_cast<long long>(epoch), sum / static_cast<double>(loader.size()));
  }

  net->eval();
  NoGrad off;
  const int64_t right = (net(test.images).argmax(1) == test.labels).sum().item<int64_t>(), all = test.labels.size(0);
  std::printf("test accuracy %.2f %% (%lld of %lld)\n", 100.0 * static_cast<double>(right) / static_cast<double>(all),
              static_cast<long long>(right), static_cast<long long>(all));
  net->save("digits.safetensors");
  return 0;
}

int main(int argc, char** argv) {
  try {
    const int64_t epochs = argc > 1 ? std::atoll(argv[1]) : 20;
    if (epochs < 1) throw std::invalid_argument(std::string("digits: ") + argv[1] + " is no number of epochs");
    return run(epochs);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
