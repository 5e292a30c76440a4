#include "demo_report.h"

#include <algorithm>
#include <cstdio>

namespace thixo::cli {
namespace {

constexpr int kClasses = 10, kSide = 8;
constexpr char kShades[] = " .:-=+*#%@";

char shade(float v) { return kShades[static_cast<size_t>(std::clamp(v, 0.0f, 1.0f) * 9 + 0.5f)]; }

}  // namespace

std::string confusion_matrix(const std::vector<int64_t>& labels, const std::vector<int64_t>& predicted) {
  int counts[kClasses][kClasses] = {};
  for (size_t i = 0; i < labels.size(); ++i) ++counts[labels[i]][predicted[i]];
  std::string text = "        said";
  for (int c = 0; c < kClasses; ++c) text += (c == 0 ? "  " : "   ") + std::to_string(c);
  text += "\n";
  for (int row = 0; row < kClasses; ++row) {
    text += (row == 0 ? "  is  " : "      ") + std::to_string(row) + "      ";
    for (int n : counts[row]) {
      char cell[8];
      std::snprintf(cell, sizeof cell, n == 0 ? "   ." : "%4d", n);
      text += cell;
    }
    text += "\n";
  }
  return text;
}

std::string drawn_digits(const data::Digits& digits, const std::vector<int64_t>& predicted, int64_t count) {
  const std::vector<int64_t> labels = digits.labels.to_vector<int64_t>();
  std::vector<size_t> order(labels.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_partition(order.begin(), order.end(), [&](size_t i) { return labels[i] != predicted[i]; });
  order.resize(std::min(order.size(), static_cast<size_t>(count)));

  const auto* pixels = digits.images.data<float>();
  std::string text;
  for (int y = 0; y < kSide; ++y) {
    std::string line = "  ";
    for (size_t i : order) {
      for (int x = 0; x < kSide; ++x)
        line += std::string(2, shade(pixels[i * kSide * kSide + static_cast<size_t>(y * kSide + x)]));
      line += "   ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  std::string line = "  ";
  for (size_t i : order) {
    std::string says = "it says " + std::to_string(predicted[i]);
    if (labels[i] != predicted[i]) says += ", is " + std::to_string(labels[i]);
    says.resize(2 * kSide + 3, ' ');
    line += says;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return text + line + "\n";
}

}  // namespace thixo::cli
