// What the demo shows of a trained network.
#pragma once

#include <string>
#include <vector>

#include "thixo/data.h"

namespace thixo::cli {

/// Rows: what the digit is; columns: what the network says. Zeros are dots.
std::string confusion_matrix(const std::vector<int64_t>& labels, const std::vector<int64_t>& predicted);
/// Some digits side by side, drawn as characters, with what the network says: its errors first.
std::string drawn_digits(const data::Digits& digits, const std::vector<int64_t>& predicted, int64_t count);

}  // namespace thixo::cli
