// The eager executor: computes a call at once, with kernels of the pack. It is the bottom of the interpreter stack
// (ir/dispatch.h); each kind of op has its file eager_<kind>.cpp.
#pragma once

#include <span>

#include "ir/op.h"

namespace thixo::detail {

Values eager(const Call& call);
/// The results go into `out`: out= and in-place forms. An operand may be `out` itself; ValueError when they overlap in
/// part, ShapeError or DTypeError when the result does not fit.
void eager_into(const Call& call, std::span<const Tensor> out);

Tensor eager_pointwise(const Call& call);
void eager_pointwise_into(const Call& call, const Tensor& out);
/// Ops that are one loop nest, reductions among them.
Values eager_nest(const Call& call);
/// Composites over rows: one kernel for the whole, or the decomposition where that does not fit.
Values eager_rows(const Call& call);

/// IndexError when the values of an index operand break the op's bounds (OpDef::index_bounds).
void check_index_bounds(const Call& call);
/// What a composite computes; the ops it is composed of need not check again what it has checked.
Values compose_checked(const Call& call);
/// ShapeError or DTypeError unless a result like `spec` may be written to `out`.
void check_target(const Call& call, const Spec& spec, const Tensor& out);
/// ValueError unless `out` can be written while the operands are read.
void check_write(const Call& call, const Tensor& out);
/// The contents of src, broadcast, into dst: any layouts and dtypes.
void copy_into(const Tensor& src, const Tensor& dst);
/// Entries of the backend table: "copy"; pad, flip, slice_backward
void add_copy_entries();
void add_move_entries();

}  // namespace thixo::detail
