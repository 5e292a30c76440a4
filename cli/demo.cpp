// thixo demo: trains a small network on the digits in the library, shows what it learned, saves it and reads it back.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>

#include "commands.h"
#include "demo_report.h"
#include "demo_train.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"
#include "thixo/parallel.h"

namespace thixo::cli {
namespace {

struct Options {
  uint64_t seed = 0;
  std::string out = "runs/demo";
  bool eager = false, cross_validate = false;
  int64_t folds = 5, repeats = 1;
  Recipe recipe;
};

int64_t count_parameters(const DigitNet& net) {
  int64_t n = 0;
  for (const Tensor& p : net->parameters()) n += p.numel();
  return n;
}

std::string model_path(const Options& o) { return (std::filesystem::path(o.out) / "model.safetensors").string(); }

Error no_place(const std::string& what, const std::string& reason) {
  return IoError("demo: cannot " + what + ": " + reason).fix("name another folder: thixo demo --out <folder>");
}

/// Before the training, so that nobody waits for an error, or loses the model to one.
void make_folder(const Options& o) {
  std::error_code failed;
  std::filesystem::create_directories(o.out, failed);
  if (failed) throw no_place("make the folder '" + o.out + "'", failed.message());
  const std::string model = model_path(o);
  if (std::filesystem::is_directory(model, failed)) throw no_place("write '" + model + "'", "it is a folder");
  if (std::filesystem::exists(model, failed) && access(model.c_str(), W_OK) != 0)
    throw no_place("write '" + model + "'", std::strerror(errno));
  std::string probe = (std::filesystem::path(o.out) / ".model-XXXXXX").string();
  const int fd = mkstemp(probe.data());
  if (fd < 0) throw no_place("write in the folder '" + o.out + "'", std::strerror(errno));
  close(fd);
  unlink(probe.c_str());
}

std::string save_to(const DigitNet& net, const Options& o) {
  const std::string path = model_path(o);
  net->save(path);
  return path;
}

/// Reads the file into a network with other initial values: do both say the same?
bool show_reload(const std::string& path, const Options& o, const Tensor& images, const Tensor& logits) {
  manual_seed(o.seed + 1);
  DigitNet again(o.recipe.width, o.recipe.dropout);
  again->load(path);
  const Tensor reloaded = logits_of(again, images);
  const int64_t same = count_equal(classes_of(logits), classes_of(reloaded));
  const double difference = (logits - reloaded).abs().amax().item();
  const bool agrees = same == images.size(0) && difference == 0;
  std::printf("reloaded: %lld of %lld predictions agree, the largest difference of a logit is %g\n",
              static_cast<long long>(same), static_cast<long long>(images.size(0).value()), difference);
  if (!agrees) std::printf("the reloaded model does not agree: this is a fault of thixo, please report it\n");
  return agrees;
}

int run_demo(const Options& o) {
  make_folder(o);
  const auto [train_digits, test_digits] = data::digits().split();
  manual_seed(o.seed);
  DigitNet net(o.recipe.width, o.recipe.dropout);
  const int64_t steps = steps_per_epoch(train_digits, o.recipe);
  if (steps < 1)
    throw ValueError("demo: a batch is larger than the data")
        .got("--batch-size " + std::to_string(o.recipe.batch_size));
  std::printf("%s digits to train, %s held out; a network of %s parameters; %s step, %d thread%s, seed %llu\n",
              thousands(train_digits.labels.size(0)).c_str(), thousands(test_digits.labels.size(0)).c_str(),
              thousands(count_parameters(net)).c_str(), o.eager ? "eager" : "compiled", get_num_threads(),
              get_num_threads() == 1 ? "" : "s", static_cast<unsigned long long>(o.seed));

  Interrupt interrupt;
  Progress progress(o.recipe.epochs, steps);
  int64_t reached = 0;
  const bool whole = train(net, train_digits, o.recipe, o.seed, o.eager,
                           [&](int64_t epoch, int64_t step, int64_t samples, double loss, double accuracy) {
                             reached = epoch;
                             progress.update(epoch, step, samples, loss, accuracy);
                             return !interrupt.requested();
                           });
  progress.finish();
  if (!whole) {
    const std::string path = save_to(net, o);
    std::printf("stopped in epoch %lld of %lld; the model so far is in %s\n", static_cast<long long>(reached),
                static_cast<long long>(o.recipe.epochs), path.c_str());
    return 130;
  }
  std::printf("trained in %.1f s\n\n", progress.seconds());

  const Tensor logits = logits_of(net, test_digits.images);
  const std::vector<int64_t> predicted = classes_of(logits), labels = test_digits.labels.to_vector<int64_t>();
  const int64_t right = count_equal(predicted, labels);
  std::printf("%s\n%s\n", confusion_matrix(labels, predicted).c_str(), drawn_digits(test_digits, predicted, 4).c_str());
  std::printf("test accuracy %.2f %% (%lld of %zu)\n\n",
              100.0 * static_cast<double>(right) / static_cast<double>(labels.size()), static_cast<long long>(right),
              labels.size());

  const std::string path = save_to(net, o);
  std::printf("saved to %s (%s bytes)\n", path.c_str(),
              thousands(static_cast<int64_t>(std::filesystem::file_size(path))).c_str());
  const bool agrees = show_reload(path, o, test_digits.images, logits);
  std::printf(
      "\nTry next\n"
      "  thixo demo --seed 1        other initial values, another order\n"
      "  thixo demo --eager         the same without compiling: how much slower is it?\n"
      "  thixo ops conv2d           what the network is made of\n"
      "  examples/digits.cpp        this program in C++ (examples/digits.py in Python): change the network\n");
  return agrees ? 0 : 1;
}

/// The recipe on parts of the training digits only; the 360 are never looked at.
int run_cross_validation(const Options& o) {
  const data::Digits digits = data::digits().split().first;
  const std::vector<int64_t> labels = digits.labels.to_vector<int64_t>();
  Interrupt interrupt;
  std::printf("%s digits in %lld folds, %lld epochs each\n", thousands(digits.labels.size(0)).c_str(),
              static_cast<long long>(o.folds), static_cast<long long>(o.recipe.epochs));
  std::fflush(stdout);
  int64_t right_sum = 0, count_sum = 0;
  for (int64_t repeat = 0; repeat < o.repeats; ++repeat) {
    const uint64_t seed = o.seed + static_cast<uint64_t>(repeat);
    int64_t fold = 0, right_repeat = 0;
    for (const data::Split& split : data::stratified_folds(labels, o.folds, seed)) {
      const data::Digits train_digits = digits.select(split.train), test_digits = digits.select(split.test);
      manual_seed(seed);
      DigitNet net(o.recipe.width, o.recipe.dropout);
      const bool whole = train(net, train_digits, o.recipe, seed, o.eager,
                               [&](int64_t, int64_t, int64_t, double, double) { return !interrupt.requested(); });
      if (!whole) {
        std::printf("stopped in fold %lld of %lld, seed %llu\n", static_cast<long long>(fold + 1),
                    static_cast<long long>(o.folds), static_cast<unsigned long long>(seed));
        return 130;
      }
      const int64_t right =
          count_equal(classes_of(logits_of(net, test_digits.images)), test_digits.labels.to_vector<int64_t>());
      std::printf("seed %llu fold %lld of %lld: %lld of %zu\n", static_cast<unsigned long long>(seed),
                  static_cast<long long>(++fold), static_cast<long long>(o.folds), static_cast<long long>(right),
                  split.test.size());
      std::fflush(stdout);
      right_repeat += right;
    }
    right_sum += right_repeat;
    count_sum += static_cast<int64_t>(labels.size());
  }
  std::printf("cross-validated accuracy %.3f %% (%lld of %lld)\n",
              100.0 * static_cast<double>(right_sum) / static_cast<double>(count_sum),
              static_cast<long long>(right_sum), static_cast<long long>(count_sum));
  return 0;
}

/// A number that a text spells wholly, and that lies in a range: CLI::Range lets nan pass, and what is too large for
/// an integer becomes the largest one.
template <class T> CLI::Validator number_from_to(T low, T high, const std::string& range) {
  return CLI::Validator(
      [=](std::string& text) {
        T v{};
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), v);
        const bool good = failed == std::errc() && end == text.data() + text.size() && v >= low && v <= high;
        return good ? std::string() : "'" + text + "' is no number " + range;
      },
      range);
}

const CLI::Validator kShare = number_from_to(0.0, 1.0, "from 0 to 1");
const CLI::Validator kNotNegative = number_from_to(0.0, std::numeric_limits<double>::max(), "of at least 0");
const CLI::Validator kSeed = number_from_to<uint64_t>(0, UINT64_MAX, "from 0 to 2^64 - 1");

}  // namespace

void add_demo(CLI::App& app, int* status) {
  CLI::App* c =
      app.add_subcommand("demo", "Train a small convolutional network on 1,437 handwritten digits and test it on 360");
  auto o = std::make_shared<Options>();
  c->add_option("--seed", o->seed, "Initial values, order and augmentation follow from it: same seed, same bits")
      ->capture_default_str()
      ->check(kSeed);
  c->add_option("--epochs", o->recipe.epochs, "How often each digit is seen")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  c->add_option("--out", o->out, "Folder for model.safetensors")->capture_default_str();
  c->add_flag("--eager", o->eager, "Run every op at once instead of the recorded, fused step");
  c->add_flag("--cross-validate", o->cross_validate,
              "Judge the recipe below by folds of the 1,437 alone, as it was chosen");
  const std::string recipe = "Recipe";
  c->add_option("--lr", o->recipe.lr, "Highest learning rate of the one-cycle schedule")
      ->capture_default_str()
      ->check(kNotNegative)
      ->group(recipe);
  c->add_option("--weight-decay", o->recipe.weight_decay, "By how much AdamW pulls weights to zero")
      ->capture_default_str()
      ->check(kNotNegative)
      ->group(recipe);
  c->add_option("--batch-size", o->recipe.batch_size, "Digits of one step")
      ->capture_default_str()
      ->check(CLI::Range(2, 1437))
      ->group(recipe);
  c->add_option("--width", o->recipe.width, "Channels of the first convolution")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->group(recipe);
  c->add_option("--dropout", o->recipe.dropout, "Share of the last layer's inputs that are zeroed while training")
      ->capture_default_str()
      ->check(kShare)
      ->group(recipe);
  c->add_option("--smoothing", o->recipe.smoothing, "Label smoothing")
      ->capture_default_str()
      ->check(kShare)
      ->group(recipe);
  c->add_option("--shift", o->recipe.shift, "Pixels by which digits are moved at most while training")
      ->capture_default_str()
      ->check(CLI::Range(0, 7))
      ->group(recipe);
  const std::string judging = "Cross-validation";
  c->add_option("--folds", o->folds, "Parts of the 1,437, each held out once")
      ->capture_default_str()
      ->check(CLI::Range(2, 1437))
      ->group(judging);
  c->add_option("--repeats", o->repeats, "Whole rounds, with seeds that follow --seed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000))
      ->group(judging);
  c->footer(
      "Ctrl-C stops after the step that runs, saves the model so far and says so.\n"
      "Exit status: 0 trained, 1 an error, 2 wrong usage, 130 stopped.");
  c->callback([o, status] { *status = o->cross_validate ? run_cross_validation(*o) : run_demo(*o); });
}

}  // namespace thixo::cli
