#include "thixo/registry.h"

#include "ir/dispatch.h"
#include "ir/front.h"

namespace thixo {
namespace {

/// The call, flat as a binding gives it: what it leaves out would be read beyond the end.
Call checked(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs, SourceLoc at) {
  const size_t need = op.schema.attrs.size();
  if (attrs.size() == need) [[likely]]
    return {&op, in, attrs, at};
  throw InternalError(op.name() + ": a call with " + std::to_string(attrs.size()) + " attributes")
      .need(std::to_string(need) + ", one for each of the schema: " + op.schema.text)
      .at(at);
}

}  // namespace

int op_count() { return static_cast<int>(all_ops().size()); }
const OpDef& op_at(int i) { return op_by_id(i); }
const OpDef* op_named(std::string_view full_name) { return find_op(full_name); }
const Schema& op_schema(const OpDef& op) { return op.schema; }
const std::string& op_doc(const OpDef& op) { return op.doc; }
const std::string& op_source(const OpDef& op) { return op.source; }
const std::string& op_example(const OpDef& op) { return op.example; }

OpFacts op_facts(const OpDef& op) {
  constexpr const char* tiers[] = {"pointwise", "nest", "view", "composite", "structured"};
  OpFacts f;
  f.tier = tiers[static_cast<int>(op.tier)];
  f.dtypes = op.schema.operands.empty() ? "any" : tensor_kind_name(op.schema.operands[0].kind);
  bool derived = op.tier == Tier::Pointwise || op.tier == Tier::Composite;
  f.gradient = !op.differentiable ? "none" : op.grad ? "written" : derived ? "derived" : "none";
  f.batching = op.batch ? "rule" : derived ? "derived" : "by schema or loop";
  f.kernels = !op.kernel.empty()                                                     ? "library: " + op.kernel
              : op.tier == Tier::Pointwise || op.tier == Tier::Nest || op.fused_rows ? "generated"
              : op.tier == Tier::View                                                ? "none: strides"
                                                                                     : "of its parts";
  return f;
}

OpResults call_op(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs, SourceLoc at) {
  return dispatch(checked(op, in, attrs, at));
}
void call_op_inplace(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs, SourceLoc at) {
  dispatch_inplace(checked(op, in, attrs, at), in[0]);
}
void call_op_out(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs, std::span<const Tensor> out,
                 SourceLoc at) {
  dispatch_out(checked(op, in, attrs, at), out);
}
RngKey draw_rng(const OpDef& op, std::span<const Tensor> in, std::span<const Attr> attrs, Generator* g) {
  return draw_key(checked(op, in, attrs, {}), g);
}

}  // namespace thixo
