// Attribute values of an op call, in the order of the op's schema.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "thixo/device.h"
#include "thixo/dim.h"
#include "thixo/dtype.h"
#include "thixo/scalar.h"

namespace thixo {

struct OpDef;
struct ViewStep;
/// View ops from a base to a view, first applied first.
using ViewChain = std::shared_ptr<const std::vector<ViewStep>>;

/// What a random op gets from a Generator: pure data, so a replay gives the same numbers.
struct RngKey {
  uint64_t key = 0, counter = 0;
  uint32_t source = 0;  ///< in a recording: which of its generators gave it
  friend bool operator==(const RngKey&, const RngKey&) = default;
};

/// monostate: None. Dim: an int. Shape: a list of ints or sizes. string: an enum or a name.
using Attr =
    std::variant<std::monostate, bool, Dim, double, Scalar, Shape, std::string, DType, Device, RngKey, ViewChain>;

/// One view op on the way from a base to a view.
struct ViewStep {
  const OpDef* op;
  std::vector<Attr> attrs;
};

}  // namespace thixo
