// The ops as data: what a language binding, a documentation page or a serving layer needs to call any op without
// knowing it. The C++ functions in thixo/gen/ops.h are made from the same schemas.
#pragma once

#include <span>
#include <string>

#include "thixo/generator.h"
#include "thixo/schema.h"
#include "thixo/tensor.h"

namespace thixo {

struct OpDef;

THIXO_API int op_count();
THIXO_API const OpDef& op_at(int i);
THIXO_API const OpDef* op_named(std::string_view full_name);  ///< "max.dim"; null when there is none
THIXO_API const Schema& op_schema(const OpDef& op);
THIXO_API const std::string& op_doc(const OpDef& op);
THIXO_API const std::string& op_source(const OpDef& op);
THIXO_API const std::string& op_example(const OpDef& op);

/// What `thixo ops` shows of an op.
struct OpFacts {
  std::string tier, dtypes, gradient, batching, kernels;
};
THIXO_API OpFacts op_facts(const OpDef& op);

using OpResults = SmallVec<Tensor, 2>;
/// A call with operands and attributes flat, in the order of the schema; absent operands are undefined tensors.
/// Throws as the C++ function of this op would.
THIXO_API OpResults call_op(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs,
                            SourceLoc at = SourceLoc::current());
/// The in-place form: in[0] receives the result.
THIXO_API void call_op_inplace(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs,
                               SourceLoc at = SourceLoc::current());
/// The out= form.
THIXO_API void call_op_out(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs,
                           std::span<const Tensor> out, SourceLoc at = SourceLoc::current());
/// Draws the value of an rng attribute from g (the default generator when null); the other attributes are set.
THIXO_API RngKey draw_rng(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs, Generator* g);

}  // namespace thixo
