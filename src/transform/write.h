// Writing into tensors. A write through a view means base = write(base, chain, value), one pure op; the data is
// written in place, and the tape gets that op. Views made earlier find out by the version (view_is_stale).
#pragma once

#include <optional>

#include "ir/dispatch.h"

namespace thixo {

/// DispatchTable::tape_write.
void tape_write(const Tensor& self, const Tensor& value, const Call& call);
/// The tape's part alone: self has been overwritten and is `value`, with its history.
void tape_wrote(const Tensor& self, const Tensor& value);
/// self := value (broadcast, converted) with its history: what a level's interpreter calls for the level below.
void write_value(const Tensor& self, const Tensor& value);
/// Writes data only: recorders and checkers see it, the tape does not.
void write_data(const Tensor& self, const Tensor& value, size_t depth);

/// Another tensor of the same data or wrapper, without history.
Tensor alias(const Tensor& t);
/// The chain of view ops applied to t.
Tensor replay_chain(Tensor t, const std::vector<ViewStep>& chain);
/// The gradient of a view op that brings none of its own: g written into zeros.
Tensor view_grad(GradCtx& c);

/// "add_ (train.cpp:41)": the in-place op that made version `version` + 1 of t's data, when it is remembered.
std::optional<std::string> writer_after(const Tensor& t, uint32_t version);

}  // namespace thixo
