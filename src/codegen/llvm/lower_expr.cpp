// Expressions: where a node is computed, and its leaves.
#include <utility>

#include "codegen/llvm/lower.h"
#include "thixo/error.h"

namespace thixo::codegen {

size_t KernelLowering::KeyHash::operator()(const Key& k) const {
  const size_t h = std::hash<const void*>()(k.node) + k.unrolled * 0x9e3779b97f4a7c15u;
  return h ^ (static_cast<size_t>(k.mode) << 7);
}

KernelLowering::Key KernelLowering::key(Expr e, const Deps& d, Mode mode) const {
  Key k{e.get(), 0, mode};
  for (const auto& [slot, value] : constant_axis_) {
    if (d.axes[slot]) k.unrolled |= static_cast<uint64_t>(value) << (16 * unrolled_depth_.at(slot));
  }
  return k;
}

/// The scope in which a node with these dependencies is computed.
size_t KernelLowering::home(const Deps& d) const {
  size_t scope = innermost_home_;
  for (size_t slot = 0; slot < axis_scope_.size(); ++slot) {
    if (d.axes[slot] && !constant_axis_.count(slot)) scope = std::max(scope, axis_scope_[slot]);
  }
  for (size_t i = scopes_.size() - 1; i > scope; --i) {
    if ((scopes_[i].writes & d.states).any() || (d.loads && !scopes_[i].loads_may_leave)) return i;
  }
  return scope;
}

bool KernelLowering::lane_dependent(Expr e) {
  const Deps& d = facts_.deps(e);
  return (lanes_ && d.axes[lanes_->axis]) || (d.states & lane_states_).any();
}

/// Values that read these states are stale.
void KernelLowering::forget(const StateSet& written) {
  if (written.none()) return;
  for (Scope& s : scopes_) {
    std::erase_if(s.stateful, [&](const auto& entry) {
      const bool stale = (entry.second & written).any();
      if (stale) s.values.erase(entry.first);
      return stale;
    });
  }
}

Value KernelLowering::lower(Expr e, Mode mode) {
  if (e->op == ExprOp::Const) return ops_.constant(*e.get());
  const Deps& d = facts_.deps(e);
  if (mode == Mode::Lane0 && !d.axes[lanes_->axis]) mode = Mode::Full;
  const Key k = key(e, d, mode);
  for (size_t i = scopes_.size(); i-- > 0;) {
    const auto found = scopes_[i].values.find(k);
    if (found != scopes_[i].values.end()) return found->second;
  }
  const size_t scope = home(d);
  const Value v = make(e, mode, scope);
  scopes_[scope].values.emplace(k, v);
  if (d.states.any()) scopes_[scope].stateful.emplace_back(k, d.states);
  return v;
}

Value KernelLowering::make(Expr e, Mode mode, size_t scope) {
  switch (e->op) {
    case ExprOp::Param: return param(*e.get());
    case ExprOp::Size: return {size(e->dim)};
    case ExprOp::Axis: {
      const size_t slot = facts_.axis_slot(e->i);
      if (const auto u = constant_axis_.find(slot); u != constant_axis_.end())
        return {b_.getInt64(static_cast<uint64_t>(u->second))};
      if (!lanes_ || lanes_->axis != slot) return {axis_value_[slot]};
      return {at(scope, [&] { return lane_axis(mode); })};
    }
    case ExprOp::Acc: {
      AccState& a = accs_.at(e->i);
      const Value& c = cell(a, e->args);
      return at(scope, [&] {
        const Value v = read_cell(c);
        return v.im != nullptr && !is_complex(e->dtype) ? ops_.with_nan(v) : v;
      });
    }
    case ExprOp::Load: return load(e, scope);
    case ExprOp::Eq:
    case ExprOp::Ne:
    case ExprOp::Lt:
    case ExprOp::Le:
      if (llvm::Value* v = mode == Mode::Full ? compare_indices(e, scope) : nullptr) return {v};
      break;
    case ExprOp::Select:
      if (e->i == 1 && scope + 1 == scopes_.size()) return select_rare(e);
      break;
    default: break;
  }
  std::vector<Value> args;
  args.reserve(e->args.size());
  for (Expr a : e->args) args.push_back(lower(a, mode));
  return at(scope, [&] { return ops_.emit(*e.get(), args); });
}

/// A Select whose condition seldom holds: its first value is computed in a region that runs when a lane takes it.
Value KernelLowering::select_rare(Expr e) {
  const Value condition = lower(e->args[0]), usual = lower(e->args[2]);
  const bool wide = condition.wide() || usual.wide() || lane_dependent(e);
  const Value result = new_cell(wide ? ops_.splat(usual) : usual);
  llvm::Value* any = condition.wide() ? b_.CreateOrReduce(condition.re) : condition.re;
  region(any, {}, [&] {
    const size_t before = std::exchange(innermost_home_, scopes_.size() - 1);
    const Value chosen = ops_.select(condition.re, lower(e->args[1]), usual);
    write_cell(result, wide ? ops_.splat(chosen) : chosen);
    innermost_home_ = before;
  });
  return read_cell(result);
}

llvm::Value* KernelLowering::lane_axis(Mode mode) {
  if (mode == Mode::Lane0) return lanes_->start;
  std::vector<llvm::Constant*> steps;
  for (uint64_t i = 0; i < static_cast<uint64_t>(width_); ++i) steps.push_back(b_.getInt64(i));
  return b_.CreateAdd(b_.CreateVectorSplat(static_cast<unsigned>(width_), lanes_->start),
                      llvm::ConstantVector::get(steps));
}

llvm::Value* KernelLowering::compare_indices(Expr e, size_t scope) {
  if (e->args[0].dtype() != DType::I64 || !lane_dependent(e)) return nullptr;
  const Expr left = lane_factor(e->args[0]), right = lane_factor(e->args[1]);
  if (!left || !right || left->op != ExprOp::Const || right->op != ExprOp::Const) return nullptr;
  const int64_t factor = right->ivalue - left->ivalue;
  if (factor != 1 && factor != -1) return nullptr;
  llvm::Value *a = lower(e->args[0], Mode::Lane0).re, *b = lower(e->args[1], Mode::Lane0).re;
  return at(scope, [&] {
    // The sign of (b - a) + factor * lane; beyond 32 either way it does not depend on the lane.
    const auto limit = [&](llvm::Value* v, llvm::CmpInst::Predicate p, int64_t bound) {
      llvm::Value* at_bound = b_.getInt64(static_cast<uint64_t>(bound));
      return b_.CreateSelect(b_.CreateICmp(p, v, at_bound), v, at_bound);
    };
    llvm::Value* d = limit(b_.CreateSub(b, a), llvm::CmpInst::ICMP_SGT, -32);
    d = b_.CreateTrunc(limit(d, llvm::CmpInst::ICMP_SLT, 32), b_.getInt32Ty());
    if (factor == 1) d = b_.CreateNeg(d);
    llvm::Value* lanes = lane_numbers();
    d = b_.CreateVectorSplat(static_cast<unsigned>(width_), d);
    switch (e->op) {
      case ExprOp::Eq: return b_.CreateICmpEQ(lanes, d);
      case ExprOp::Ne: return b_.CreateICmpNE(lanes, d);
      case ExprOp::Lt: return factor == 1 ? b_.CreateICmpSGT(lanes, d) : b_.CreateICmpSLT(lanes, d);
      default: return factor == 1 ? b_.CreateICmpSGE(lanes, d) : b_.CreateICmpSLE(lanes, d);
    }
  });
}

llvm::Value* KernelLowering::first_lanes(llvm::Value* count) {
  llvm::Value* lanes = b_.CreateVectorSplat(static_cast<unsigned>(width_), b_.CreateTrunc(count, b_.getInt32Ty()));
  return b_.CreateICmpULT(lane_numbers(), lanes);
}

llvm::Constant* KernelLowering::lane_numbers() {
  std::vector<llvm::Constant*> lane;
  for (uint32_t i = 0; i < static_cast<uint32_t>(width_); ++i) lane.push_back(b_.getInt32(i));
  return llvm::ConstantVector::get(lane);
}

Value KernelLowering::param(const ExprNode& n) {
  return at(0, [&]() -> Value {
    llvm::Value* params = b_.CreateLoad(b_.getPtrTy(), b_.CreateStructGEP(args_type_, function_->getArg(0), 2));
    const auto number = [&](int64_t i, llvm::Type* t) {
      return b_.CreateLoad(t, b_.CreateConstInBoundsGEP1_64(b_.getDoubleTy(), params, static_cast<uint64_t>(i)));
    };
    const int64_t first = 2 * static_cast<int64_t>(n.i);
    if (n.dtype == DType::Bool || is_int(n.dtype)) {
      return ops_.cast({number(first, b_.getInt64Ty())}, DType::I64, n.dtype);
    }
    Value v{number(first, b_.getDoubleTy())};
    if (is_complex(n.dtype)) v.im = number(first + 1, b_.getDoubleTy());
    return ops_.cast(v, v.im != nullptr ? DType::C128 : DType::F64, n.dtype);
  });
}

llvm::Value* KernelLowering::size(Dim d) {
  if (!d.is_symbolic()) return b_.getInt64(static_cast<uint64_t>(d.raw()));
  for (size_t i = 0; i < kernel_.sizes.size(); ++i) {
    if (kernel_.sizes[i].raw() != d.raw()) continue;
    return at(0, [&] {
      llvm::Value* ints = b_.CreateLoad(b_.getPtrTy(), b_.CreateStructGEP(args_type_, function_->getArg(0), 1));
      return b_.CreateLoad(b_.getInt64Ty(), b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), ints, i));
    });
  }
  const DimNode& n = dim_node(d);
  const auto part = [](Dim of) { return thixo::size(of); };
  switch (n.op) {
    case '+': return scalar(part(n.a) + part(n.b));
    case '-': return scalar(part(n.a) - part(n.b));
    case '*': return scalar(part(n.a) * part(n.b));
    case '/': return scalar(floor_div(part(n.a), part(n.b)));
    case '%': return scalar(mod(part(n.a), part(n.b)));
    default: throw InternalError("size " + d.str() + " is not among the kernel's sizes");
  }
}

/// The value of an index made of constants and Unrolled axes.
int64_t KernelLowering::evaluate(Expr e) const {
  switch (e->op) {
    case ExprOp::Const: return e->ivalue;
    case ExprOp::Axis:
      if (const auto u = constant_axis_.find(facts_.axis_slot(e->i)); u != constant_axis_.end()) return u->second;
      break;
    case ExprOp::Add: return evaluate(e->args[0]) + evaluate(e->args[1]);
    case ExprOp::Sub: return evaluate(e->args[0]) - evaluate(e->args[1]);
    case ExprOp::Mul: return evaluate(e->args[0]) * evaluate(e->args[1]);
    default: break;
  }
  throw InternalError("kernel " + kernel_.name + ": " + expr_str(e) + " is not a constant where a tile is indexed");
}

Expr KernelLowering::lane_factor(Expr e) {
  if (!lane_dependent(e)) return constant_int(0);
  const auto is_zero = [](Expr f) { return f->op == ExprOp::Const && f->ivalue == 0; };
  switch (e->op) {
    case ExprOp::Axis: return constant_int(1);
    case ExprOp::Neg: {
      const Expr f = lane_factor(e->args[0]);
      return f ? -f : f;
    }
    case ExprOp::Add:
    case ExprOp::Sub: {
      const Expr a = lane_factor(e->args[0]), b = lane_factor(e->args[1]);
      if (!a || !b) return {};
      if (is_zero(b)) return a;
      if (is_zero(a)) return e->op == ExprOp::Add ? b : -b;
      return binary(e->op, a, b);
    }
    case ExprOp::Mul:
      for (size_t i : {0u, 1u}) {
        if (lane_dependent(e->args[i])) continue;
        const Expr f = lane_factor(e->args[1 - i]);
        return f ? f * e->args[i] : f;
      }
      return {};
    default: return {};
  }
}

}  // namespace thixo::codegen
