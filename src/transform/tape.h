// The tape interpreter and its node for ops. What a gradient needs is learnt once per op (saving.h), so a node keeps
// only that; gradients of pointwise ops are derived (ir/pointwise_grad.h), all others are written with the op.
#pragma once

#include "ir/pointwise_grad.h"
#include "transform/checkpoint.h"
#include "transform/node.h"

namespace thixo {

/// A value of a call as the node keeps it: the tensor, or only what it looked like.
struct Kept {
  Tensor value;
  Ref<Ticket> ticket;    ///< in the place of value: it can be had again
  uint32_t version = 0;  ///< of value's storage when it was saved
  bool saved = false, defined = false, strided = false;
  DType dtype = DType::F32;
  uint8_t rank = 0;
  Device device{};
  uint32_t dims = 0;  ///< where shape (then strides and offset, if `strided`) begin in OpNode::dims
};

class OpNode final : public Node {
 public:
  OpNode(const Call& call, const Values& out, SmallVec<Edge, 2> e);

  std::string name() const override { return op->name(); }
  size_t results() const override { return results_.size(); }
  Values apply(std::span<const Tensor> g, const GradRun& how) override;
  void release_saved() override;
  bool freed() const override { return freed_ && keeps_values_; }
  /// Before `storage` is overwritten: values saved from it become copies, so that backward still finds them.
  void copy_saved_from(const Storage* storage);

  const OpDef* op;

 private:
  friend class TapeGrad;
  void keep_meta(Kept& k, const Tensor& t, bool strides);
  void keep_value(Kept& k, const Tensor& t);
  void choose_saved(const Call& call, const Values& out);
  Shape shape_of(const Kept& k) const;
  Tensor abstract_of(const Kept& k) const;
  Tensor fit(Tensor g, const Kept& k) const;
  Values pointwise_grads(class TapeGrad& ctx) const;

  SmallVec<Attr, 1> attrs_;
  SmallVec<Kept, 2> operands_;
  SmallVec<Kept, 1> results_;
  SmallVec<Dim, 8> dims_;
  SmallVec<const PointwiseGrad*, 2> derived_;  ///< per operand, null where no gradient is wanted
  bool keeps_values_ = false, freed_ = false;
};

/// A gradient that derived_grad made: its own gradients are derived_op_grad's.
inline bool is_derived(const OpDef& op) { return static_cast<size_t>(op.id) >= all_ops().size(); }

/// DispatchTable::tape.
Values tape(const Call& call, Values (*below)(const Call&));

}  // namespace thixo
