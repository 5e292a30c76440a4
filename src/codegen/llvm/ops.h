// The operations of scalar expressions as LLVM instructions, on one value or on all lanes alike.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <span>

#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// What the target's instructions offer.
struct TargetCaps {
  bool fma = false;           // Fma in one rounding (never in deterministic mode)
  bool f16 = false;           // conversions between f16 and f32
  bool masked_words = false;  // masked loads and stores of 4 and 8 bytes
  bool masked_all = false;    // and of 1 and 2 bytes
  bool short_vectors = false;  // of 128 bits: four lanes of 32
};

/// A lowered value: T or <lanes x T>. Complex numbers have both parts; bool is i1; f16 and bf16 are their bits (i16).
struct Value {
  llvm::Value* re = nullptr;
  llvm::Value* im = nullptr;
  bool wide() const { return re->getType()->isVectorTy(); }
};

class Ops {
 public:
  Ops(llvm::IRBuilder<>& b, const TargetCaps& caps, int lanes)
      : b_(b), caps_(caps), lanes_(static_cast<unsigned>(lanes)) {}

  llvm::Type* type(DType t) const;         ///< of one value (of one part, where complex)
  llvm::Type* memory_type(DType t) const;  ///< the same with bool as i8
  llvm::Type* wide(llvm::Type* t) const { return llvm::FixedVectorType::get(t, lanes_); }

  Value constant(const ExprNode& n);
  Value splat(Value v);
  /// Any node but leaves and memory.
  Value emit(const ExprNode& n, std::span<const Value> args);
  Value combine(Combine c, DType t, Value a, Value b);
  /// What the im of a float accumulator of Min or Max holds: where it has met nan. And the accumulator with these.
  llvm::Value* nan_lanes(llvm::Value* v);
  Value with_nan(Value v);
  Value select(llvm::Value* c, Value a, Value b);
  Value cast(Value v, DType from, DType to);
  llvm::Value* half_to_f32(llvm::Value* bits, DType half);
  llvm::Value* f32_to_half(llvm::Value* v, DType half);

 private:
  llvm::Value* splat(llvm::Value* v);
  Value float_op(const ExprNode& n, std::span<const Value> args);
  llvm::Value* int_op(ExprOp op, DType t, std::span<const Value> args);
  llvm::Value* compare(ExprOp op, DType t, llvm::Value* a, llvm::Value* b);
  llvm::Value* min_max(bool max, DType t, llvm::Value* a, llvm::Value* b);
  Value extreme(bool max, DType t, Value a, Value b);
  llvm::Value* divide(ExprOp op, DType t, llvm::Value* a, llvm::Value* b);
  llvm::Value* shift(ExprOp op, DType t, llvm::Value* a, llvm::Value* b);
  llvm::Value* float_to_int(llvm::Value* v, DType to);
  llvm::Value* real_cast(llvm::Value* v, DType from, DType to);
  llvm::Value* intrinsic(llvm::Intrinsic::ID id, llvm::Value* a) { return b_.CreateUnaryIntrinsic(id, a); }
  llvm::Type* like(llvm::Value* v, llvm::Type* t) const { return v->getType()->isVectorTy() ? wide(t) : t; }
  llvm::Value* number(llvm::Value* like_this, int64_t v) {
    return llvm::ConstantInt::get(like_this->getType(), v, true);
  }
  Value apply(Expr body, Value x);

  llvm::IRBuilder<>& b_;
  const TargetCaps& caps_;
  const unsigned lanes_;
};

}  // namespace thixo::codegen
