// Batching rules that several ops share. A rule gets operands with a batch dim somewhere and returns results with
// one; a BatchResult without values means: loop over the batch for this call.
#pragma once

#include "ir/op.h"

namespace thixo::ops {

/// Operand k with its batch dim in front; as it is when it has none.
Tensor batch_first(const BatchArgs& a, int k);
/// The same, and an operand without a batch dim is expanded to have one.
Tensor batch_expanded(const BatchArgs& a, int k);
/// Calls `a`'s op on these operands and attributes; results have the batch in front.
BatchResult call_batched(const BatchArgs& a, std::span<const Tensor> in, std::span<const Attr> attrs);
/// Where the attribute stands in the schema of a's op.
size_t attr_index(const Call& c, std::string_view name);

/// For ops whose leading dims are independent already (tril, pad): the batch in front, attributes as they are.
BatchResult batch_leading(const BatchArgs& a);
/// For ops along the dim or dims of attribute `Name`, counted on operand 0: all operands batched in front, the
/// attribute shifted by one.
BatchResult batch_along(const BatchArgs& a, std::string_view name);
inline std::function<BatchResult(const BatchArgs&)> along(std::string name) {
  return [name = std::move(name)](const BatchArgs& a) { return batch_along(a, name); };
}

}  // namespace thixo::ops
