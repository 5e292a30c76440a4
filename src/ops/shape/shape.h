// Shared by the shape ops.
#pragma once

#include <optional>

#include "ir/op.h"

namespace thixo::ops {

/// `size` with its one -1 replaced so that it holds `numel` elements; ShapeError when that cannot be.
Shape resolve_shape(const Call& c, const Shape& size, Dim numel);
/// Strides under which `to` shows the elements of (from, strides) in their order; none when only a copy can.
std::optional<Strides> view_strides(const Shape& from, const Strides& strides, const Shape& to);
/// `dim` counted on rank + 1, as unsqueeze and stack count.
int insert_dim(const Call& c, std::string_view name, int rank);
/// The view of operand 0 with this shape and these strides at its own offset.
ViewSpec same_place(const Call& c, Shape shape, Strides strides);

}  // namespace thixo::ops
