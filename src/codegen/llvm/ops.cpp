#include "codegen/llvm/ops.h"

#include <unordered_map>

#include "codegen/math/expand.h"
#include "thixo/error.h"

namespace thixo::codegen {

using llvm::Intrinsic::ID;

llvm::Type* Ops::type(DType t) const {
  switch (t) {
    case DType::F64:
    case DType::C128: return b_.getDoubleTy();
    case DType::F32:
    case DType::C64: return b_.getFloatTy();
    case DType::Bool: return b_.getInt1Ty();
    default: return b_.getIntNTy(static_cast<unsigned>(item_size(t) * 8));
  }
}

llvm::Type* Ops::memory_type(DType t) const { return t == DType::Bool ? b_.getInt8Ty() : type(t); }

Value Ops::constant(const ExprNode& n) {
  llvm::Type* t = type(n.dtype);
  if (n.dtype == DType::Bool || is_int(n.dtype)) return {llvm::ConstantInt::get(t, n.ivalue, true)};
  if (n.dtype == DType::F16 || n.dtype == DType::BF16) {
    return {f32_to_half(llvm::ConstantFP::get(b_.getFloatTy(), n.f), n.dtype)};
  }
  Value v{llvm::ConstantFP::get(t, n.f)};
  if (is_complex(n.dtype)) v.im = llvm::ConstantFP::get(t, n.f2);
  return v;
}

llvm::Value* Ops::splat(llvm::Value* v) {
  return v == nullptr || v->getType()->isVectorTy() ? v : b_.CreateVectorSplat(lanes_, v);
}
Value Ops::splat(Value v) { return {splat(v.re), splat(v.im)}; }

Value Ops::select(llvm::Value* c, Value a, Value b) {
  if (c->getType()->isVectorTy() || a.wide() || b.wide()) a = splat(a), b = splat(b);
  Value v{b_.CreateSelect(c, a.re, b.re)};
  if (a.im != nullptr) v.im = b_.CreateSelect(c, a.im, b.im);
  return v;
}

static Error no_lowering(const ExprNode& n) {
  return InternalError("the code generator has no instruction for " + expr_str(Expr(&n)));
}

Value Ops::emit(const ExprNode& n, std::span<const Value> given) {
  if (n.op == ExprOp::Select) return select(given[0].re, given[1], given[2]);
  std::vector<Value> args(given.begin(), given.end());
  bool any_wide = false;
  for (const Value& a : args) any_wide |= a.wide();
  if (any_wide) {
    for (Value& a : args) a = splat(a);
  }
  const DType t = n.args[0].dtype();
  switch (n.op) {
    case ExprOp::Cast: return cast(args[0], t, n.dtype);
    case ExprOp::Bitcast: return {b_.CreateBitCast(args[0].re, like(args[0].re, type(n.dtype)))};
    case ExprOp::Real: return {args[0].re};
    case ExprOp::Imag: return {args[0].im};
    case ExprOp::Complex: return {args[0].re, args[1].re};
    default: break;
  }
  if (is_complex(t)) throw no_lowering(n);  // expand_complex() leaves none
  switch (n.op) {
    case ExprOp::Eq:
    case ExprOp::Ne:
    case ExprOp::Lt:
    case ExprOp::Le: return {compare(n.op, t, args[0].re, args[1].re)};
    default: break;
  }
  return is_float(t) ? float_op(n, args) : Value{int_op(n.op, t, args)};
}

Value Ops::float_op(const ExprNode& n, std::span<const Value> args) {
  llvm::Value* a = args[0].re;
  llvm::Value* b = args.size() > 1 ? args[1].re : nullptr;
  switch (n.op) {
    case ExprOp::Add: return {b_.CreateFAdd(a, b)};
    case ExprOp::Sub: return {b_.CreateFSub(a, b)};
    case ExprOp::Mul: return {b_.CreateFMul(a, b)};
    case ExprOp::Div: return {b_.CreateFDiv(a, b)};
    case ExprOp::Neg: return {b_.CreateFNeg(a)};
    case ExprOp::Abs: return {intrinsic(llvm::Intrinsic::fabs, a)};
    case ExprOp::Min:
    case ExprOp::Max: return {min_max(n.op == ExprOp::Max, n.args[0].dtype(), a, b)};
    case ExprOp::Fma:
      if (!caps_.fma) return {b_.CreateFAdd(b_.CreateFMul(a, b), args[2].re)};
      return {b_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, args[2].re})};
    case ExprOp::Sqrt: return {intrinsic(llvm::Intrinsic::sqrt, a)};
    case ExprOp::Floor: return {intrinsic(llvm::Intrinsic::floor, a)};
    case ExprOp::Ceil: return {intrinsic(llvm::Intrinsic::ceil, a)};
    case ExprOp::Trunc: return {intrinsic(llvm::Intrinsic::trunc, a)};
    case ExprOp::Round: return {intrinsic(llvm::Intrinsic::roundeven, a)};
    case ExprOp::CopySign: return {b_.CreateCopySign(a, b)};
    case ExprOp::IsNan: return {b_.CreateFCmpUNO(a, a)};
    default: throw no_lowering(n);
  }
}

llvm::Value* Ops::compare(ExprOp op, DType t, llvm::Value* a, llvm::Value* b) {
  using P = llvm::CmpInst::Predicate;
  const bool f = is_float(t), u = is_unsigned(t) || t == DType::Bool;
  switch (op) {
    case ExprOp::Eq: return b_.CreateCmp(f ? P::FCMP_OEQ : P::ICMP_EQ, a, b);
    case ExprOp::Ne: return b_.CreateCmp(f ? P::FCMP_UNE : P::ICMP_NE, a, b);
    case ExprOp::Lt: return b_.CreateCmp(f ? P::FCMP_OLT : u ? P::ICMP_ULT : P::ICMP_SLT, a, b);
    default: return b_.CreateCmp(f ? P::FCMP_OLE : u ? P::ICMP_ULE : P::ICMP_SLE, a, b);
  }
}

llvm::Value* Ops::min_max(bool max, DType t, llvm::Value* a, llvm::Value* b) {
  if (!is_float(t)) {
    const bool u = is_unsigned(t) || t == DType::Bool;
    return b_.CreateBinaryIntrinsic(
        max ? (u ? llvm::Intrinsic::umax : llvm::Intrinsic::smax) : (u ? llvm::Intrinsic::umin : llvm::Intrinsic::smin),
        a, b);
  }
  // a > b ? a : b is one x86 instruction and gives b when either is nan: only a nan in a is left to be seen to.
  llvm::Value* chosen = b_.CreateSelect(max ? b_.CreateFCmpOGT(a, b) : b_.CreateFCmpOLT(a, b), a, b);
  return b_.CreateSelect(b_.CreateFCmpUNO(a, a), a, chosen);
}

llvm::Value* Ops::int_op(ExprOp op, DType t, std::span<const Value> args) {
  llvm::Value* a = args[0].re;
  llvm::Value* b = args.size() > 1 ? args[1].re : nullptr;
  switch (op) {
    case ExprOp::Add: return b_.CreateAdd(a, b);
    case ExprOp::Sub: return b_.CreateSub(a, b);
    case ExprOp::Mul: return b_.CreateMul(a, b);
    case ExprOp::Div:
    case ExprOp::FloorDiv:
    case ExprOp::Mod: return divide(op, t, a, b);
    case ExprOp::Neg: return b_.CreateNeg(a);
    case ExprOp::Abs:
      return is_unsigned(t) ? a : b_.CreateIntrinsic(llvm::Intrinsic::abs, {a->getType()}, {a, b_.getFalse()});
    case ExprOp::Min:
    case ExprOp::Max: return min_max(op == ExprOp::Max, t, a, b);
    case ExprOp::Fma: return b_.CreateAdd(b_.CreateMul(a, b), args[2].re);
    case ExprOp::And: return b_.CreateAnd(a, b);
    case ExprOp::Or: return b_.CreateOr(a, b);
    case ExprOp::Xor: return b_.CreateXor(a, b);
    case ExprOp::Not: return b_.CreateNot(a);
    case ExprOp::Shl:
    case ExprOp::Shr: return shift(op, t, a, b);
    case ExprOp::MulHi: {
      llvm::Type* twice = like(a, b_.getInt64Ty());
      llvm::Value* product = b_.CreateMul(b_.CreateZExt(a, twice), b_.CreateZExt(b, twice));
      return b_.CreateTrunc(b_.CreateLShr(product, number(product, 32)), a->getType());
    }
    default: break;
  }
  throw InternalError("the code generator has no integer instruction for operation " +
                      std::to_string(static_cast<int>(op)) + " on " + std::string(dtype_name(t)));
}

/// x / 0 is 0 (and x % 0), and the smallest integer / -1 wraps: no division may trap.
llvm::Value* Ops::divide(ExprOp op, DType t, llvm::Value* a, llvm::Value* b) {
  llvm::Value* zero = number(a, 0);
  llvm::Value* by_zero = b_.CreateICmpEQ(b, zero);
  if (is_unsigned(t)) {
    llvm::Value* safe = b_.CreateSelect(by_zero, number(a, 1), b);
    llvm::Value* r = op == ExprOp::Mod ? b_.CreateURem(a, safe) : b_.CreateUDiv(a, safe);
    return b_.CreateSelect(by_zero, zero, r);
  }
  const unsigned bits = a->getType()->getScalarSizeInBits();
  llvm::Value* smallest = llvm::ConstantInt::get(a->getType(), llvm::APInt::getSignedMinValue(bits));
  llvm::Value* minus_one = b_.CreateICmpEQ(b, number(a, -1));
  llvm::Value* overflow = b_.CreateAnd(b_.CreateICmpEQ(a, smallest), minus_one);
  llvm::Value* safe = b_.CreateSelect(b_.CreateOr(by_zero, overflow), number(a, 1), b);
  llvm::Value* quotient = b_.CreateSDiv(a, safe);
  if (op == ExprOp::Div) return b_.CreateSelect(by_zero, zero, quotient);
  llvm::Value* rest = b_.CreateSub(a, b_.CreateMul(quotient, safe));
  llvm::Value* signs_differ = b_.CreateICmpSLT(b_.CreateXor(rest, safe), zero);
  llvm::Value* adjust = b_.CreateAnd(b_.CreateICmpNE(rest, zero), signs_differ);
  llvm::Value* result = op == ExprOp::Mod ? b_.CreateSelect(adjust, b_.CreateAdd(rest, safe), rest)
                                          : b_.CreateSub(quotient, b_.CreateZExt(adjust, a->getType()));
  return b_.CreateSelect(by_zero, zero, result);
}

/// The amount counts modulo the width.
llvm::Value* Ops::shift(ExprOp op, DType t, llvm::Value* a, llvm::Value* b) {
  llvm::Value* amount = b_.CreateAnd(b, number(b, a->getType()->getScalarSizeInBits() - 1));
  if (op == ExprOp::Shl) return b_.CreateShl(a, amount);
  return is_unsigned(t) ? b_.CreateLShr(a, amount) : b_.CreateAShr(a, amount);
}

/// All bits where v is nan.
llvm::Value* Ops::nan_lanes(llvm::Value* v) {
  llvm::Type* bits = like(v, b_.getIntNTy(v->getType()->getScalarSizeInBits()));
  return b_.CreateSExt(b_.CreateFCmpUNO(v, v), bits);
}

Value Ops::with_nan(Value v) {
  llvm::Value* is_nan = b_.CreateICmpNE(v.im, llvm::Constant::getNullValue(v.im->getType()));
  return {b_.CreateSelect(is_nan, llvm::ConstantFP::getNaN(v.re->getType()), v.re)};
}

/// min_max of an accumulator and what is new. Where the nan met so far stand beside it (im), one instruction waits for
/// the old value and another for them; else a comparison and a blend do, since a nan that is there already stays (b >
/// nan is false). A nan of its own, not b, since LLVM would make one condition of both.
Value Ops::extreme(bool max, DType t, Value a, Value b) {
  if (!is_float(t)) return {min_max(max, t, a.re, b.re)};
  llvm::Value* better = max ? b_.CreateFCmpOGT(b.re, a.re) : b_.CreateFCmpOLT(b.re, a.re);
  llvm::Value* chosen = b_.CreateSelect(better, b.re, a.re);
  if (a.im != nullptr) return {chosen, b_.CreateOr(a.im, b.im != nullptr ? b.im : nan_lanes(b.re))};
  return {b_.CreateSelect(b_.CreateFCmpUNO(b.re, b.re), llvm::ConstantFP::getNaN(b.re->getType()), chosen)};
}

Value Ops::combine(Combine c, DType t, Value a, Value b) {
  if (is_complex(t)) {
    if (c == Combine::Sum) return {b_.CreateFAdd(a.re, b.re), b_.CreateFAdd(a.im, b.im)};
    return {b_.CreateFSub(b_.CreateFMul(a.re, b.re), b_.CreateFMul(a.im, b.im)),
            b_.CreateFAdd(b_.CreateFMul(a.re, b.im), b_.CreateFMul(a.im, b.re))};
  }
  const bool f = is_float(t);
  switch (c) {
    case Combine::Sum: return {f ? b_.CreateFAdd(a.re, b.re) : b_.CreateAdd(a.re, b.re)};
    case Combine::Prod: return {f ? b_.CreateFMul(a.re, b.re) : b_.CreateMul(a.re, b.re)};
    case Combine::Min: return extreme(false, t, a, b);
    case Combine::Max: return extreme(true, t, a, b);
    case Combine::Or: return {b_.CreateOr(a.re, b.re)};
    case Combine::And: return {b_.CreateAnd(a.re, b.re)};
  }
  throw InternalError("unknown Combine");
}

Value Ops::cast(Value v, DType from, DType to) {
  if (!is_complex(to)) {
    if (is_complex(from) && to == DType::Bool) {
      llvm::Value* zero = llvm::Constant::getNullValue(v.re->getType());
      return {b_.CreateOr(b_.CreateFCmpUNE(v.re, zero), b_.CreateFCmpUNE(v.im, zero))};
    }
    return {real_cast(v.re, real_type(from), to)};
  }
  const DType part = real_type(to);
  llvm::Value* re = real_cast(v.re, real_type(from), part);
  return {re, v.im != nullptr ? real_cast(v.im, real_type(from), part) : llvm::Constant::getNullValue(re->getType())};
}

llvm::Value* Ops::real_cast(llvm::Value* v, DType from, DType to) {
  if (from == to) return v;
  if (from == DType::F16 || from == DType::BF16) return real_cast(half_to_f32(v, from), DType::F32, to);
  if (to == DType::F16 || to == DType::BF16) return f32_to_half(real_cast(v, from, DType::F32), to);
  llvm::Type* target = like(v, type(to));
  if (is_float(from)) {
    if (is_float(to)) return b_.CreateFPCast(v, target);
    if (to == DType::Bool) return b_.CreateFCmpUNE(v, llvm::Constant::getNullValue(v->getType()));
    return float_to_int(v, to);
  }
  const bool is_signed = !is_unsigned(from) && from != DType::Bool;
  if (is_float(to)) return is_signed ? b_.CreateSIToFP(v, target) : b_.CreateUIToFP(v, target);
  if (to == DType::Bool) return b_.CreateICmpNE(v, number(v, 0));
  return b_.CreateIntCast(v, target, is_signed);
}

/// Saturating at 32 or 64 bits on every target (nan gives 0), then cut to narrower types: -1.0 to u8 is 255,
/// as C compilers make it on x86.
llvm::Value* Ops::float_to_int(llvm::Value* v, DType to) {
  const auto convert = [&](ID id, llvm::Type* t) { return b_.CreateIntrinsic(id, {t, v->getType()}, {v}); };
  if (to == DType::U64) {
    llvm::Type* t = like(v, b_.getInt64Ty());
    llvm::Value* negative = b_.CreateFCmpOLT(v, llvm::Constant::getNullValue(v->getType()));
    return b_.CreateSelect(negative, convert(llvm::Intrinsic::fptosi_sat, t), convert(llvm::Intrinsic::fptoui_sat, t));
  }
  const bool narrow = item_size(to) < 4 || to == DType::I32;
  llvm::Type* through = like(v, narrow ? b_.getInt32Ty() : b_.getInt64Ty());
  return b_.CreateIntCast(convert(llvm::Intrinsic::fptosi_sat, through), like(v, type(to)), true);
}

llvm::Value* Ops::half_to_f32(llvm::Value* bits, DType half) {
  if (half == DType::F16 && caps_.f16) {
    llvm::Type* f32 = like(bits, b_.getFloatTy());
    llvm::Value* v = b_.CreateFPExt(b_.CreateBitCast(bits, like(bits, b_.getHalfTy())), f32);
    // Else LLVM compares the halves themselves (x is nan), which x86 can only lane by lane.
    return b_.CreateIntrinsic(llvm::Intrinsic::arithmetic_fence, {f32}, {v});
  }
  return apply(widen(input(0, DType::U16), half), {bits}).re;
}

llvm::Value* Ops::f32_to_half(llvm::Value* v, DType half) {
  if (half == DType::F16 && caps_.f16) {
    return b_.CreateBitCast(b_.CreateFPTrunc(v, like(v, b_.getHalfTy())), like(v, b_.getInt16Ty()));
  }
  return apply(narrow(input(0, DType::F32), half), {v}).re;
}

/// The value of `body` where its only Input is x.
Value Ops::apply(Expr body, Value x) {
  std::unordered_map<const ExprNode*, Value> values;
  visit(body, [&](Expr e) {
    Value& v = values[e.get()];
    if (e->op == ExprOp::Input) {
      v = x;
    } else if (e->op == ExprOp::Const) {
      v = constant(*e.get());
    } else {
      std::vector<Value> args;
      for (Expr a : e->args) args.push_back(values.at(a.get()));
      v = emit(*e.get(), args);
    }
  });
  return values.at(body.get());
}

}  // namespace thixo::codegen
