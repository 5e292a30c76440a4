// How one tensor is a view of another over the same storage.
#pragma once

#include <optional>
#include <span>

#include "core/record.h"

namespace thixo {

/// The same elements in the same order: t itself, or another handle to them (detach()).
bool same_elements(const Tensor& a, const Tensor& b);

/// Whether what t spans in memory lies within what root spans.
bool spans_part_of(const Tensor& root, const Tensor& t);
/// Whether this is as_strided with an offset: it counts from the start of the storage, wherever its operand begins.
bool counts_from_storage(const OpDef* op, std::span<const Attr> attrs);

/// View ops that make t's elements of root's wherever those are kept, also row by row in memory that is not root's.
/// None when t is not part of root, or cannot be told from strides.
std::optional<std::vector<ViewStep>> steps_between(const Tensor& root, const Tensor& t);
/// How many of the steps, from the first on, are views of a tensor of this shape that lies row by row.
size_t steps_by_rows(const Shape& root, const std::vector<ViewStep>& steps);

}  // namespace thixo
