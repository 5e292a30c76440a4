// Gradients of pointwise ops, found from their expressions.
//
// First order: op f and operand k have a derived op "f.grad<k>"(g, saved...) = g * conj(df/dx_k), itself an ordinary
// pointwise op with kernels in the pack; where f is no holomorphic function (abs, and derived ops themselves, which
// conjugate) + conj(g) * df/d conj(x_k): the parts of a gradient belong to the parts of the operand. Higher orders: a
// derived op has no derived op of its own; the derivative of its expression is evaluated by the existing pointwise ops,
// node by node (expr_as_calls), so the tape sees calls that it can differentiate again.
#pragma once

#include "ir/op.h"

namespace thixo {

/// The gradient of a pointwise op with respect to one operand, for one choice of attributes.
struct PointwiseGrad {
  const OpDef* op = nullptr;  ///< null: the gradient is g itself (add) or always zero (`zero`)
  bool zero = false;  ///< the result does not depend on the operand (floor, sign)
  /// What stands beside g in a call of `op`, in this order: operand k of f is k, its result is kSavedOut.
  SmallVec<int, 4> saved;
};
inline constexpr int kSavedOut = -1;

/// The derived op of `f` for operand k where f was called with these attributes. The operands of `op` are g, then what
/// `saved` lists; its attributes are f's. The call's g and saved tensors broadcast as f's operands did: the caller
/// sums the result to the operand's size. Cached; the reference stays valid.
/// NotImplementedError names f when its expression has no derivative.
const PointwiseGrad& derived_grad(const OpDef& f, int k, std::span<const Attr> attrs);

/// The value of `e` by calls of pointwise ops of the registry, one for each node that is not a leaf. Input k is
/// operands[k]; Param i is params[i] (a wrapped number); dtypes promote as in the calls themselves.
Tensor expr_as_calls(Expr e, std::span<const Tensor> operands, std::span<const Tensor> params);

/// The gradients of a call of a derived op (op of derived_grad) with respect to each of its operands, made by
/// expr_as_calls from the symbolic derivative, so that they can be differentiated again.
Values derived_op_grad(const Call& call, const Tensor& g, std::span<const bool> needs);

/// The tangent of a call of a derived op where operand k has the tangent t; undefined where it is zero.
Tensor derived_op_jvp(const Call& call, size_t k, const Tensor& t);

}  // namespace thixo
