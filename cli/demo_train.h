// The network of the demo and how it is trained.
#pragma once

#include <functional>

#include "thixo/data.h"
#include "thixo/nn.h"

namespace thixo::cli {

/// Chosen by cross-validation on the 1,437 digits to train with (thixo demo --cross-validate).
struct Recipe {
  int64_t epochs = 20, batch_size = 32, width = 32;
  double lr = 4e-3, weight_decay = 1e-2, dropout = 0.3, smoothing = 0.05;
  int shift = 1;  ///< pixels by which images are moved at most, in each direction
};

/// Three convolutions with batch normalisation, and one linear layer.
struct DigitNetImpl : nn::Module {
  explicit DigitNetImpl(int64_t width, double dropout);
  nn::Sequential features, classifier;
  Tensor forward(const Tensor& x) override { return classifier(features(x)); }
};
using DigitNet = nn::Handle<DigitNetImpl, int64_t, double>;

/// Called after each step: epoch and step from 1, samples so far, mean loss and accuracy of the epoch so far.
/// False ends the training.
using OnStep = std::function<bool(int64_t epoch, int64_t step, int64_t samples, double loss, double accuracy)>;

/// False when `on_step` ended it early. ValueError when the loss is not finite.
bool train(const DigitNet& net, const data::Digits& digits, const Recipe& recipe, uint64_t seed, bool eager,
           const OnStep& on_step);
int64_t steps_per_epoch(const data::Digits& digits, const Recipe& recipe);

/// f32 [n, 10] in evaluation mode, without gradients.
Tensor logits_of(const DigitNet& net, const Tensor& images);
/// The most likely class of each row.
std::vector<int64_t> classes_of(const Tensor& logits);
int64_t count_equal(const std::vector<int64_t>& a, const std::vector<int64_t>& b);

}  // namespace thixo::cli
