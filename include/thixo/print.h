// How tensors are printed: std::cout << x, x.str().
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>

#include "thixo/tensor.h"

namespace thixo {

/// As PyTorch's set_printoptions.
struct PrintOptions {
  int precision = 4;               ///< digits after the point
  int64_t threshold = 1000;        ///< above so many elements, only the edges are printed
  int64_t edgeitems = 3;           ///< how many at each edge
  int linewidth = 80;              ///< where lines are broken
  std::optional<bool> sci_mode{};  ///< scientific notation: always, never, or where the values call for it
};
THIXO_API PrintOptions print_options();
/// ValueError when a number is out of range.
THIXO_API void set_print_options(const PrintOptions& options);

THIXO_API std::ostream& operator<<(std::ostream& out, const Tensor& t);

}  // namespace thixo
