// Statements: the function, loops, accumulators.
#include "codegen/llvm/lower.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

/// Whether the lanes of a loop mean something to the result: one that is folded, or a tile of registers.
bool lanes_matter(const Block& body, bool in_lanes) {
  return std::any_of(body.begin(), body.end(), [&](const Stmt& s) {
    if (s.kind != Stmt::Loop && s.kind != Stmt::If) return false;
    const bool vector = s.kind == Stmt::Loop && s.loop == LoopKind::Vector;
    const auto folds = [&](const AccDecl& a) { return !in_lanes && folds_lanes(s, a.id); };
    if (vector && s.extent->op == ExprOp::Const) return true;
    return std::any_of(s.accs.begin(), s.accs.end(), folds) || lanes_matter(s.body, in_lanes || vector);
  });
}

/// Lanes that are lowered at a time. Where each lane stands for itself and the target's vectors hold four, four at a
/// time give the same bits as sixteen in a quarter of the code.
int lane_width(const Kernel& k, const TargetCaps& caps) {
  return caps.short_vectors && !lanes_matter(k.body, k.vector_par) ? 4 : kLanes;
}

}  // namespace

KernelLowering::KernelLowering(llvm::Module& module, const Kernel& kernel, const TargetCaps& caps)
    : kernel_(kernel),
      caps_(caps),
      facts_(kernel),
      module_(module),
      context_(module.getContext()),
      b_(context_),
      width_(lane_width(kernel, caps)),
      ops_(b_, caps, width_) {
  axis_scope_.resize(AxisSet().size());
  axis_value_.resize(AxisSet().size());
  buffers_.resize(kernel.buffers.size());
}

llvm::Function* KernelLowering::run() {
  args_type_ = llvm::StructType::get(b_.getPtrTy(), b_.getPtrTy(), b_.getPtrTy());
  auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {b_.getPtrTy(), b_.getInt64Ty(), b_.getInt64Ty()}, false);
  function_ = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, kernel_.name, module_);
  b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "", function_));
  scopes_.emplace_back();
  llvm::Value *begin = function_->getArg(1), *end = function_->getArg(2);
  const size_t axis = facts_.axis_slot(kernel_.par_axis);
  if (kernel_.vector_par) {
    vector_loop(axis, begin, end, kernel_.body);
  } else {
    counted(begin, end, 1, facts_.writes(kernel_.body), [&](llvm::Value* i) {
      axis_value_[axis] = i;
      axis_scope_[axis] = scopes_.size() - 1;
      block(kernel_.body);
    });
  }
  b_.CreateRet(b_.getInt32(0));
  return function_;
}

llvm::AllocaInst* KernelLowering::entry_alloca(llvm::Type* t, uint64_t align) {
  llvm::IRBuilderBase::InsertPointGuard guard(b_);
  llvm::BasicBlock& entry = function_->getEntryBlock();
  b_.SetInsertPoint(&entry, entry.begin());
  llvm::AllocaInst* a = b_.CreateAlloca(t);
  if (align != 0) a->setAlignment(llvm::Align(align));
  return a;
}

// ---- blocks and control flow

void KernelLowering::block(const Block& body) {
  const auto simple = [&](size_t i) { return body[i].kind != Stmt::Loop && body[i].kind != Stmt::If; };
  for (size_t i = 0; i < body.size();) {
    size_t end = i;
    while (end < body.size() && simple(end)) ++end;
    if (end - i > 1) preload(body, i, end);
    for (end = std::max(end, i + 1); i < end; ++i) statement(body[i]);
  }
}

/// Loads of In buffers come before the run's first store: an In may be the same memory as an Out.
void KernelLowering::preload(const Block& body, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    for (Expr root : {body[i].index, body[i].predicate, body[i].value}) {
      if (!root) continue;
      visit(root, [&](Expr e) {
        if (e->op == ExprOp::Load && facts_.deps(e).states.none()) lower(e);
      });
    }
  }
}

void KernelLowering::statement(const Stmt& s) {
  switch (s.kind) {
    case Stmt::Loop: return loop(s);
    case Stmt::Update:
    case Stmt::Assign: return update(s);
    case Stmt::If: {
      llvm::Value* condition = scalar(s.predicate);
      return region(condition, facts_.writes(s.body), [&] { block(s.body); });
    }
    case Stmt::Store: store(s); break;
    case Stmt::Add: add(s); break;
  }
  if (facts_.ordered(s.buffer)) {
    StateSet written;
    written.set(facts_.buffer_state(s.buffer));
    forget(written);
  }
}

/// Runs `body` where the condition holds (always, when it is null).
void KernelLowering::region(llvm::Value* condition, const StateSet& writes, const std::function<void()>& body) {
  auto* inside = llvm::BasicBlock::Create(context_, "", function_);
  auto* after = llvm::BasicBlock::Create(context_, "", function_);
  scopes_.back().end = condition != nullptr ? static_cast<llvm::Instruction*>(b_.CreateCondBr(condition, inside, after))
                                            : b_.CreateBr(inside);
  b_.SetInsertPoint(inside);
  scopes_.push_back({nullptr, condition == nullptr, writes, {}});
  body();
  scopes_.pop_back();
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  forget(writes);
}

/// for (i = begin; i < end; i += step), with a preheader that runs only when the loop does.
void KernelLowering::counted(llvm::Value* begin, llvm::Value* end, int64_t step, const StateSet& writes,
                             const std::function<void(llvm::Value*)>& body) {
  region(b_.CreateICmpSLT(begin, end), writes, [&] {
    forget(writes);
    llvm::BasicBlock* preheader = b_.GetInsertBlock();
    auto* inside = llvm::BasicBlock::Create(context_, "", function_);
    auto* after = llvm::BasicBlock::Create(context_, "", function_);
    scopes_.back().end = b_.CreateBr(inside);
    scopes_.back().writes = {};
    b_.SetInsertPoint(inside);
    scopes_.push_back({nullptr, true, writes, {}});
    llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2);
    i->addIncoming(begin, preheader);
    body(i);
    llvm::Value* next = b_.CreateNSWAdd(i, b_.getInt64(static_cast<uint64_t>(step)));
    i->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpSLT(next, end), inside, after);
    scopes_.pop_back();
    b_.SetInsertPoint(after);
  });
}

void KernelLowering::vector_loop(size_t axis, llvm::Value* begin, llvm::Value* end, const Block& body) {
  const StateSet writes = facts_.writes(body);
  const auto run = [&](const Lanes& lanes) {
    axis_scope_[axis] = scopes_.size() - 1;
    lanes_ = lanes;
    block(body);
    lanes_.reset();
  };
  llvm::Value* n = b_.CreateSub(end, begin);
  n = b_.CreateSelect(b_.CreateICmpSGT(n, b_.getInt64(0)), n, b_.getInt64(0));  // folds, unlike the intrinsic smax
  llvm::Value* whole = b_.CreateAdd(begin, b_.CreateAnd(n, b_.getInt64(static_cast<uint64_t>(-width_))));
  llvm::Value* rest = b_.CreateAnd(n, b_.getInt64(static_cast<uint64_t>(width_ - 1)));
  const auto* known = llvm::dyn_cast<llvm::ConstantInt>(n);
  const bool no_blocks = known != nullptr && known->getZExtValue() < static_cast<uint64_t>(width_);
  const bool no_tail = known != nullptr && known->getZExtValue() % static_cast<uint64_t>(width_) == 0;
  if (!no_blocks && !no_tail) {
    std::vector<Stream> streams = streams_of(body, axis);
    if (!streams.empty()) return shared_loop(axis, begin, whole, rest, body, std::move(streams));
  }
  if (known != nullptr && known->getZExtValue() / static_cast<uint64_t>(width_) == 1) {
    region(nullptr, writes, [&] { run({axis, begin}); });
  } else if (!no_blocks) {
    counted(begin, whole, width_, writes, [&](llvm::Value* i) { run({axis, i}); });
  }
  if (no_tail) return;
  region(b_.CreateICmpNE(rest, b_.getInt64(0)), writes, [&] {
    llvm::Value* mask = first_lanes(rest);
    run({axis, whole, rest, mask, mask});
  });
}

void KernelLowering::loop(const Stmt& s) {
  for (const AccDecl& a : s.accs) declare(s, a);
  const size_t axis = facts_.axis_slot(s.axis);
  if (s.loop == LoopKind::Unrolled) {
    unrolled(s);
  } else {
    llvm::Value* extent = scalar(s.extent);
    if (s.loop == LoopKind::Vector) {
      vector_loop(axis, b_.getInt64(0), extent, s.body);
    } else {
      counted(b_.getInt64(0), extent, 1, facts_.writes(s.body), [&](llvm::Value* i) {
        axis_value_[axis] = i;
        axis_scope_[axis] = scopes_.size() - 1;
        block(s.body);
      });
    }
  }
  for (const AccDecl& a : s.accs) fold(a);
}

void KernelLowering::unrolled(const Stmt& s) {
  const size_t axis = facts_.axis_slot(s.axis);
  unrolled_depth_[axis] = static_cast<unsigned>(constant_axis_.size());
  for (int64_t i = 0; i < s.extent->ivalue; ++i) {
    constant_axis_[axis] = i;
    block(s.body);
  }
  constant_axis_.erase(axis);
}

// ---- accumulators

Value KernelLowering::new_cell(Value start) {
  const Value cell{entry_alloca(start.re->getType()),
                   start.im != nullptr ? entry_alloca(start.im->getType()) : nullptr};
  write_cell(cell, start);
  return cell;
}

Value KernelLowering::read_cell(const Value& cell) {
  const auto read = [&](llvm::Value* v) -> llvm::Value* {
    return v == nullptr ? nullptr : b_.CreateLoad(llvm::cast<llvm::AllocaInst>(v)->getAllocatedType(), v);
  };
  return {read(cell.re), read(cell.im)};
}

void KernelLowering::write_cell(const Value& cell, Value v) {
  b_.CreateStore(v.re, cell.re);
  if (cell.im != nullptr) b_.CreateStore(v.im, cell.im);
}

void KernelLowering::declare(const Stmt& s, const AccDecl& a) {
  const size_t state = facts_.acc_state(a.id);
  AccState& acc = accs_[a.id];
  acc = {&a, !lanes_ && folds_lanes(s, a.id), {}, {}};
  const bool wide = acc.folds || lanes_;
  Value start = ops_.constant(*neutral(a.combine, a.dtype).get());
  if (a.init) {
    const Value init = lower(a.init);
    (acc.folds ? acc.init : start) = init;
  }
  size_t count = 1;
  for (int n : a.tile) count *= static_cast<size_t>(n);
  if (wide) start = ops_.splat(start);
  const bool extreme = a.combine == Combine::Min || a.combine == Combine::Max;
  if (wide && extreme && is_float(a.dtype)) start.im = ops_.nan_lanes(start.re);
  for (size_t i = 0; i < count; ++i) acc.cells.push_back(new_cell(start));
  lane_states_[state] = wide;
  StateSet written;
  written.set(state);
  forget(written);
}

/// Lane i takes lane i+8, then +4, +2, +1; the accumulator is one value from here on.
void KernelLowering::fold(const AccDecl& a) {
  AccState& acc = accs_.at(a.id);
  if (!acc.folds) return;
  for (Value& c : acc.cells) {
    Value v = read_cell(c);
    for (int half = width_ / 2; half > 0; half /= 2) {
      llvm::SmallVector<int, kLanes> low, high;
      for (int i = 0; i < half; ++i) low.push_back(i), high.push_back(i + half);
      const auto part = [&](const llvm::SmallVector<int, kLanes>& lanes) -> Value {
        return {b_.CreateShuffleVector(v.re, lanes), v.im != nullptr ? b_.CreateShuffleVector(v.im, lanes) : nullptr};
      };
      v = ops_.combine(a.combine, a.dtype, part(low), part(high));
    }
    v = {b_.CreateExtractElement(v.re, uint64_t{0}),
         v.im != nullptr ? b_.CreateExtractElement(v.im, uint64_t{0}) : nullptr};
    if (v.im != nullptr && !is_complex(a.dtype)) v = ops_.with_nan(v);
    if (acc.init.re != nullptr) v = ops_.combine(a.combine, a.dtype, acc.init, v);
    c = new_cell(v);
  }
  const size_t state = facts_.acc_state(a.id);
  lane_states_[state] = false;
  StateSet written;
  written.set(state);
  forget(written);
}

Value& KernelLowering::cell(AccState& a, const std::vector<Expr>& index) {
  size_t flat = 0;
  for (size_t i = 0; i < index.size(); ++i) {
    const int64_t at = evaluate(index[i]);
    const int extent = a.decl->tile[i];
    if (at < 0 || at >= extent) {
      throw InternalError("kernel " + kernel_.name + ": a tile of " + std::to_string(extent) + " is indexed by " +
                          std::to_string(at));
    }
    flat = flat * static_cast<size_t>(extent) + static_cast<size_t>(at);
  }
  return a.cells[flat];
}

void KernelLowering::update(const Stmt& s) {
  AccState& a = accs_.at(s.acc);
  const size_t state = facts_.acc_state(s.acc);
  const DType t = a.decl->dtype;
  const bool wide = lane_states_[state];
  // Only where leaving the old value is the same bits as combining it with the neutral element (-0 + 0 is not -0).
  const bool extreme = a.decl->combine == Combine::Min || a.decl->combine == Combine::Max;
  const bool masked = extreme && wide && caps_.masked_all && s.kind == Stmt::Update && s.value->op == ExprOp::Select &&
                      s.value->args[2] == neutral(a.decl->combine, t);
  Value v = lower(masked ? s.value->args[1] : s.value);
  const Value c = cell(a, s.acc_index);
  if (wide) v = ops_.splat(v);
  const Value old = read_cell(c);
  if (s.kind == Stmt::Update) {
    v = ops_.combine(a.decl->combine, t, old, v);
    if (masked) v = ops_.select(lower(s.value->args[0]).re, v, old);  // one instruction, where it has a mask
  } else if (old.im != nullptr && v.im == nullptr) {
    v.im = ops_.nan_lanes(v.re);
  }
  if (wide && a.folds && lanes_->update_mask != nullptr) v = ops_.select(lanes_->update_mask, v, old);
  write_cell(c, v);
  StateSet written;
  written.set(state);
  forget(written);
}

}  // namespace thixo::codegen
