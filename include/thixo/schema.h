// The one-line declaration of an op, parsed from its text:
//
//   gelu(x: Float, *, approximate: none|tanh = none) -> Float @nn @inplace
//   index_select(x: Tensor, dim: dim, index: Index) -> Tensor
//   cat(tensors: Tensor[], dim: dim = 0) -> Tensor
//   layer_norm(input: Float, normalized_shape: size, weight: Float?, bias: Float?, eps: float = 1e-5) -> Float @nn
//
// Operand kinds begin with a capital: Tensor (any), Number (no bool), Real (no complex), Float (16 to 64 bits;
// in pointwise ops integers are promoted to the default dtype), FloatC (Float or complex, likewise promoted),
// Int (integers), Integral (integers and bool), Bool, Index (i64 or i32). `?` optional, `[]` list (at most one, its
// length is free; `[]?`: its entries may be absent). In pointwise ops Bool operands take no part in the promotion.
// Attribute types: bool int float scalar dim dims size dtype device string rng, an enum a|b|c; `?` may be None.
// dims takes one int or several; rng is a Generator in public signatures and an RngKey in a call.
// Results: one kind, or (values: Tensor, indices: Index); names with a leading _ are hidden (saved for gradients);
// Tensor[] of a composite: as many as the call gives.
// Forms: by default a function, a method of the operand named `input` (else of the first), and out=. @inplace adds
// name_, @nn: in nn.functional only (no method), @creation: a new tensor (its options also take requires_grad),
// @private: C++ inside the library only; with @inplace, name_ alone is public (uniform_); with @layer, a function of
// its name in nn.functional is, which also writes the results to the operands of their names (batch_norm).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "thixo/attr.h"
#include "thixo/export.h"

namespace thixo {

enum class TensorKind : uint8_t { Tensor, Number, Real, Float, FloatC, Int, Integral, Bool, Index };
enum class AttrKind : uint8_t { Bool, Int, Float, Scalar, Dim, Dims, Size, DType, Device, String, Rng, Enum, Chain };

struct OperandDecl {
  std::string name;
  TensorKind kind = TensorKind::Tensor;
  bool optional = false, list = false;
};
struct AttrDecl {
  std::string name;
  AttrKind kind = AttrKind::Int;
  bool optional = false, has_default = false;
  Attr def;
  std::vector<std::string> choices;
};
struct ResultDecl {
  std::string name;  // "" when there is one
  TensorKind kind = TensorKind::Tensor;
  bool hidden = false, list = false;
};
/// The signature in its written order: which operand or attribute stands where.
struct ParamRef {
  bool is_operand;
  int index;
  bool keyword_only;
};

struct THIXO_API Schema {
  std::string text, name, overload;  // "max", "dim" for max.dim
  std::vector<OperandDecl> operands;
  std::vector<AttrDecl> attrs;
  std::vector<ResultDecl> results;
  std::vector<ParamRef> params;
  bool inplace = false, nn = false, creation = false, is_private = false, layer = false;
  int visible_results() const;
  /// Which operand declaration stands behind operand i of a call with n operands (a list takes as many as it has).
  size_t operand_at(size_t i, size_t n) const;
  std::string full_name() const { return overload.empty() ? name : name + "." + overload; }
};

/// Throws InternalError with the position on a malformed text.
Schema parse_schema(std::string_view text);
bool accepts(TensorKind kind, DType t);
const char* tensor_kind_name(TensorKind kind);

}  // namespace thixo
