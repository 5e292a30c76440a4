// One element as a number, and what each basic op does to it: exactly what generated code computes.
// Constant folding and the exact evaluator of backend/reference both stand on this.
#pragma once

#include <cstdint>
#include <span>

#include "ir/expr.h"

namespace thixo {

/// Integers and bool stand in i (wrapped to the type; u64 as its bit pattern), floats in f (rounded to the
/// type), complex in f and f2.
struct ExprValue {
  int64_t i = 0;
  double f = 0, f2 = 0;
};

ExprValue value_of_const(const ExprNode& n);
Expr const_of_value(const ExprValue& v, DType t);

/// v rounded to float type t.
double round_to(double v, DType t);
/// v wrapped to the width of integer type t; for Bool v != 0.
int64_t wrap_int(int64_t v, DType t);
/// v to type t, as Cast does. A float out of an integer type's range gives some number (generated code may differ).
ExprValue cast_value(const ExprValue& v, DType from, DType t);

/// Evaluates a basic op (no leaf, memory, transcendental, complex product or quotient, or Mod and FloorDiv of floats)
/// on arguments of type `arg_type` (that of the first, for Select of the second). False when the op isn't one of these.
bool eval_basic(ExprOp op, DType result, DType arg_type, std::span<const ExprValue> args, ExprValue& out);

}  // namespace thixo
