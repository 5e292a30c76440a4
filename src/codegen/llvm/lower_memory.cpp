// Loads, stores and scatter. No access branches: where an element must not be touched, its address is
// replaced by that of a dummy on the stack.
#include "codegen/llvm/lower.h"
#include "thixo/error.h"

namespace thixo::codegen {

namespace {
llvm::Align element_align(llvm::Type* t) { return llvm::Align(std::max(1u, t->getScalarSizeInBits() / 8)); }
}  // namespace

llvm::Value* KernelLowering::buffer(int i) {
  llvm::Value*& p = buffers_[static_cast<size_t>(i)];
  if (p == nullptr) {
    p = at(0, [&] {
      llvm::Value* table = b_.CreateLoad(b_.getPtrTy(), b_.CreateStructGEP(args_type_, function_->getArg(0), 0));
      return b_.CreateLoad(b_.getPtrTy(),
                           b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), table, static_cast<uint64_t>(i)));
    });
  }
  return p;
}

llvm::Value* KernelLowering::dummy() {
  if (dummy_ != nullptr) return dummy_;
  llvm::AllocaInst* a = entry_alloca(block_type(), kBlockAlign);
  llvm::IRBuilderBase::InsertPointGuard guard(b_);
  b_.SetInsertPoint(a->getNextNode());
  llvm::Type* zeros = llvm::FixedVectorType::get(b_.getInt32Ty(), 4 * kLanes);
  b_.CreateAlignedStore(llvm::Constant::getNullValue(zeros), a, llvm::Align(kBlockAlign));
  return dummy_ = a;
}

/// Room for one block, through which the tail's first lanes pass where the target has no masked access.
llvm::Value* KernelLowering::spare_block() {
  if (spare_block_ == nullptr) spare_block_ = entry_alloca(block_type(), kBlockAlign);
  return spare_block_;
}

bool KernelLowering::has_masked(llvm::Type* t) const {
  return caps_.masked_all || (caps_.masked_words && t->getScalarSizeInBits() >= 32);
}

// ---- addresses

KernelLowering::Address KernelLowering::address(int buffer_index, Expr index) {
  Address a{Address::Uniform, buffer(buffer_index), nullptr};
  const Expr factor = lane_factor(index);
  if (!factor) {
    a.kind = Address::Gather;
    a.index = ops_.splat(lower(index)).re;
    return a;
  }
  if (factor->op == ExprOp::Const && factor->ivalue == 0 && !lane_dependent(index)) {
    a.index = scalar(index);
    return a;
  }
  a.index = lower(index, Mode::Lane0).re;
  a.stride = scalar(factor);
  a.kind = Address::Strided;
  if (const auto* c = llvm::dyn_cast<llvm::ConstantInt>(a.stride)) {
    if (c->isZero()) a.kind = Address::Uniform;
    if (c->isOne()) a.kind = Address::Unit;
    if (c->isMinusOne()) a.kind = Address::Reverse;
  }
  for (const Stream& s : streams_) {
    if (s.buffer == buffer_index && s.index == index) a.base = s.base;
  }
  return a;
}

llvm::Value* KernelLowering::element_pointer(DType memory, llvm::Value* base, llvm::Value* index) {
  llvm::Type* t = ops_.memory_type(memory);
  if (is_complex(memory)) t = llvm::ArrayType::get(t, 2);
  return b_.CreateGEP(t, base, index);
}

llvm::Value* KernelLowering::lane_pointer(DType memory, const Address& a, int lane) {
  const auto offset = [&](int64_t n) { return b_.CreateMul(a.stride, b_.getInt64(static_cast<uint64_t>(n))); };
  switch (a.kind) {
    case Address::Uniform: return element_pointer(memory, a.base, a.index);
    case Address::Gather:
      return element_pointer(memory, a.base, b_.CreateExtractElement(a.index, static_cast<uint64_t>(lane)));
    default: break;
  }
  // Fours of lanes, so that x86 addresses the other three by scaled strides.
  llvm::Value* four = b_.CreateAdd(a.index, offset(lane / 4 * 4));
  llvm::Value* first = element_pointer(memory, a.base, four);
  return lane % 4 == 0 ? first : element_pointer(memory, first, offset(lane % 4));
}

llvm::Value* KernelLowering::lane_pointer(DType memory, const Address& a, int lane, const Access& on) {
  llvm::Value* p = lane_pointer(memory, a, lane);
  const uint64_t n = static_cast<uint64_t>(lane);
  if (on.count != nullptr) return b_.CreateSelect(b_.CreateICmpUGT(on.count, b_.getInt64(n)), p, dummy());
  if (on.mask != nullptr) return b_.CreateSelect(b_.CreateExtractElement(on.mask, n), p, dummy());
  return p;
}

/// The lanes that a lane-dependent access touches, given its predicate (or null).
KernelLowering::Access KernelLowering::access(llvm::Value* predicate) {
  Access on{lanes_->mask, lanes_->count};
  if (predicate == nullptr) return on;
  if (!predicate->getType()->isVectorTy()) {
    llvm::Value* all = on.count != nullptr ? on.count : b_.getInt64(static_cast<uint64_t>(width_));
    on.count = b_.CreateSelect(predicate, all, b_.getInt64(0));
    predicate = b_.CreateVectorSplat(static_cast<unsigned>(width_), predicate);
  } else {
    on.count = nullptr;
  }
  on.mask = on.mask != nullptr ? b_.CreateAnd(on.mask, predicate) : predicate;
  return on;
}

// ---- values in memory

Value KernelLowering::to_value(Value stored, DType memory, DType wanted) {
  if (memory == DType::Bool) return {b_.CreateICmpNE(stored.re, llvm::Constant::getNullValue(stored.re->getType()))};
  return ops_.cast(stored, memory, wanted);  // f16 and bf16 widen
}

Value KernelLowering::to_memory(Value v, DType memory, DType given) {
  if (memory == DType::Bool) {
    llvm::Type* byte = b_.getInt8Ty();
    return {b_.CreateZExt(v.re, v.wide() ? ops_.wide(byte) : byte)};
  }
  return ops_.cast(v, given, memory);
}

Value KernelLowering::load_element(DType memory, llvm::Value* p) {
  llvm::Type* t = ops_.memory_type(memory);
  Value v{b_.CreateAlignedLoad(t, p, element_align(t))};
  if (is_complex(memory)) v.im = b_.CreateAlignedLoad(t, b_.CreateConstGEP1_64(t, p, 1), element_align(t));
  return v;
}

void KernelLowering::store_element(DType memory, llvm::Value* p, Value v) {
  llvm::Type* t = ops_.memory_type(memory);
  b_.CreateAlignedStore(v.re, p, element_align(t));
  if (is_complex(memory)) b_.CreateAlignedStore(v.im, b_.CreateConstGEP1_64(t, p, 1), element_align(t));
}

// ---- loads

Value KernelLowering::load(Expr e, size_t scope) {
  const DType memory = memory_of(e->i);
  const Address a = address(e->i, e->args[0]);
  llvm::Value* predicate = e->guarded ? scalar(e->args[1]) : nullptr;
  const Value other = e->guarded ? lower(e->args[2]) : Value{};
  return at(scope, [&]() -> Value {
    if (a.kind == Address::Uniform) return load_uniform(*e.get(), a, predicate, other);
    const Value stored = load_lanes(memory, a, access(predicate));
    const Value v = to_value(stored, memory, e->dtype);
    return predicate != nullptr ? ops_.select(predicate, v, other) : v;
  });
}

Value KernelLowering::load_uniform(const ExprNode& n, const Address& a, llvm::Value* predicate, Value other) {
  const DType memory = memory_of(n.i);
  llvm::Value* p = element_pointer(memory, a.base, a.index);
  if (predicate != nullptr) {
    llvm::Value* any = predicate;
    if (any->getType()->isVectorTy()) any = b_.CreateOrReduce(access(predicate).mask);
    p = b_.CreateSelect(any, p, dummy());
  }
  const Value v = to_value(load_element(memory, p), memory, n.dtype);
  return predicate != nullptr ? ops_.select(predicate, v, other) : v;
}

Value KernelLowering::load_lanes(DType memory, const Address& a, const Access& on) {
  llvm::Type* t = ops_.memory_type(memory);
  const bool block = a.kind == Address::Unit && (on.mask == nullptr || has_masked(t) || on.count != nullptr);
  if (block && is_complex(memory)) {
    if (on.mask == nullptr || has_masked(t)) return load_complex(memory, a, on);
  } else if (block) {
    return {load_block(t, element_pointer(memory, a.base, a.index), on)};
  }
  if (a.kind == Address::Reverse && on.mask == nullptr && !is_complex(memory)) {
    llvm::Value* first = b_.CreateSub(a.index, b_.getInt64(static_cast<uint64_t>(width_ - 1)));
    return {b_.CreateVectorReverse(load_block(t, element_pointer(memory, a.base, first), on))};
  }
  Value v{llvm::PoisonValue::get(ops_.wide(t)), is_complex(memory) ? llvm::PoisonValue::get(ops_.wide(t)) : nullptr};
  for (int lane = 0; lane < width_; ++lane) {
    const Value x = load_element(memory, lane_pointer(memory, a, lane, on));
    v.re = b_.CreateInsertElement(v.re, x.re, static_cast<uint64_t>(lane));
    if (v.im != nullptr) v.im = b_.CreateInsertElement(v.im, x.im, static_cast<uint64_t>(lane));
  }
  return v;
}

namespace {
/// Lane indices for shuffles: first, first + step, ...
llvm::SmallVector<int, kLanes> steps(int width, int first, int step, int repeat = 1) {
  llvm::SmallVector<int, kLanes> s;
  for (int i = 0; i < width; ++i) s.push_back(first + i / repeat * step);
  return s;
}
llvm::SmallVector<int, kLanes> zip(int width, int first) {
  llvm::SmallVector<int, kLanes> s;
  for (int i = 0; i < width; ++i) s.push_back(first + i / 2 + i % 2 * width);
  return s;
}
}  // namespace

/// Two blocks of (re, im, re, im, ...), taken apart.
Value KernelLowering::load_complex(DType memory, const Address& a, const Access& on) {
  llvm::Type* t = ops_.memory_type(memory);
  llvm::Value* p = element_pointer(memory, a.base, a.index);
  llvm::Value* half[2];
  for (int i : {0, 1}) {
    Access part;
    if (on.mask != nullptr) part.mask = b_.CreateShuffleVector(on.mask, steps(width_, i * width_ / 2, 1, 2));
    half[i] = load_block(t, b_.CreateConstGEP1_64(t, p, static_cast<uint64_t>(i * width_)), part);
  }
  return {b_.CreateShuffleVector(half[0], half[1], steps(width_, 0, 2)),
          b_.CreateShuffleVector(half[0], half[1], steps(width_, 1, 2))};
}

llvm::Value* KernelLowering::load_block(llvm::Type* t, llvm::Value* from, const Access& on) {
  llvm::Type* wide = ops_.wide(t);
  if (on.mask == nullptr) return b_.CreateAlignedLoad(wide, from, element_align(t));
  if (!has_masked(t)) return load_prefix(t, from, on.count);
  return b_.CreateMaskedLoad(wide, from, element_align(t), on.mask, llvm::Constant::getNullValue(wide));
}

/// The first `count` (0 to 16) elements by parts of 16, 8, 4, 2 and 1, put together in the spare block.
llvm::Value* KernelLowering::load_prefix(llvm::Type* t, llvm::Value* from, llvm::Value* count) {
  llvm::Type* wide = ops_.wide(t);
  const llvm::Align align = element_align(t);
  llvm::Value* whole =
      b_.CreateSelect(b_.CreateICmpEQ(count, b_.getInt64(static_cast<uint64_t>(width_))), from, dummy());
  b_.CreateAlignedStore(b_.CreateAlignedLoad(wide, whole, align), spare_block(), align);
  for (auto n = static_cast<uint64_t>(width_ / 2); n > 0; n /= 2) {
    llvm::Type* part = llvm::FixedVectorType::get(t, static_cast<unsigned>(n));
    llvm::Value* offset = b_.CreateAnd(count, b_.getInt64(static_cast<uint64_t>(width_) - 2 * n));
    llvm::Value* taken = b_.CreateICmpNE(b_.CreateAnd(count, b_.getInt64(n)), b_.getInt64(0));
    llvm::Value* p = b_.CreateSelect(taken, b_.CreateGEP(t, from, offset), b_.CreateGEP(t, spare_block(), offset));
    b_.CreateAlignedStore(b_.CreateAlignedLoad(part, p, align), b_.CreateGEP(t, spare_block(), offset), align);
  }
  return b_.CreateAlignedLoad(wide, spare_block(), align);
}

// ---- stores

void KernelLowering::store(const Stmt& s) {
  const DType memory = memory_of(s.buffer);
  const Address a = address(s.buffer, s.index);
  const Value v = to_memory(lower(s.value), memory, s.value.dtype());
  llvm::Value* predicate = s.predicate ? scalar(s.predicate) : nullptr;
  const bool lanes =
      a.kind != Address::Uniform || v.wide() || (predicate != nullptr && predicate->getType()->isVectorTy());
  if (lanes) {
    store_lanes(memory, a, ops_.splat(v), access(predicate));
  } else if (predicate != nullptr) {
    region(predicate, {}, [&] { store_element(memory, element_pointer(memory, a.base, a.index), v); });
  } else {
    store_element(memory, element_pointer(memory, a.base, a.index), v);
  }
}

void KernelLowering::store_lanes(DType memory, const Address& a, Value v, const Access& on) {
  llvm::Type* t = ops_.memory_type(memory);
  if (a.kind == Address::Unit && (on.mask == nullptr || has_masked(t) || (on.count != nullptr && v.im == nullptr))) {
    llvm::Value* p = element_pointer(memory, a.base, a.index);
    if (v.im == nullptr) return store_block(v.re, p, on);
    for (int i : {0, 1}) {
      Access part;
      if (on.mask != nullptr) part.mask = b_.CreateShuffleVector(on.mask, steps(width_, i * width_ / 2, 1, 2));
      llvm::Value* half = b_.CreateShuffleVector(v.re, v.im, zip(width_, i * width_ / 2));
      store_block(half, b_.CreateConstGEP1_64(t, p, static_cast<uint64_t>(i * width_)), part);
    }
    return;
  }
  if (a.kind == Address::Reverse && on.mask == nullptr && v.im == nullptr) {
    llvm::Value* first = b_.CreateSub(a.index, b_.getInt64(static_cast<uint64_t>(width_ - 1)));
    return store_block(b_.CreateVectorReverse(v.re), element_pointer(memory, a.base, first), on);
  }
  for (int lane = 0; lane < width_; ++lane) {
    const uint64_t n = static_cast<uint64_t>(lane);
    const Value x{b_.CreateExtractElement(v.re, n), v.im != nullptr ? b_.CreateExtractElement(v.im, n) : nullptr};
    store_element(memory, lane_pointer(memory, a, lane, on), x);
  }
}

void KernelLowering::store_block(llvm::Value* v, llvm::Value* to, const Access& on) {
  llvm::Type* t = v->getType()->getScalarType();
  if (on.mask == nullptr) {
    b_.CreateAlignedStore(v, to, element_align(t));
  } else if (has_masked(t)) {
    b_.CreateMaskedStore(v, to, element_align(t), on.mask);
  } else {
    store_prefix(v, to, on.count);
  }
}

void KernelLowering::store_prefix(llvm::Value* v, llvm::Value* to, llvm::Value* count) {
  llvm::Type* t = v->getType()->getScalarType();
  const llvm::Align align = element_align(t);
  b_.CreateAlignedStore(v, spare_block(), align);
  llvm::Value* whole = b_.CreateSelect(b_.CreateICmpEQ(count, b_.getInt64(static_cast<uint64_t>(width_))), to, dummy());
  b_.CreateAlignedStore(v, whole, align);
  for (auto n = static_cast<uint64_t>(width_ / 2); n > 0; n /= 2) {
    llvm::Type* part = llvm::FixedVectorType::get(t, static_cast<unsigned>(n));
    llvm::Value* offset = b_.CreateAnd(count, b_.getInt64(static_cast<uint64_t>(width_) - 2 * n));
    llvm::Value* taken = b_.CreateICmpNE(b_.CreateAnd(count, b_.getInt64(n)), b_.getInt64(0));
    llvm::Value* from = b_.CreateAlignedLoad(part, b_.CreateGEP(t, spare_block(), offset), align);
    b_.CreateAlignedStore(from, b_.CreateSelect(taken, b_.CreateGEP(t, to, offset), dummy()), align);
  }
}

// ---- scatter

void KernelLowering::add(const Stmt& s) {
  const DType memory = memory_of(s.buffer);
  const DType given = s.value.dtype();
  const Address a = address(s.buffer, s.index);
  const Value v = lower(s.value);
  llvm::Value* predicate = s.predicate ? scalar(s.predicate) : nullptr;
  const auto add_to = [&](llvm::Value* p, Value x) {
    const bool half = memory == DType::F16 || memory == DType::BF16;
    const DType t = half ? DType::F32 : memory;
    const Value old = to_value(load_element(memory, p), memory, t);
    store_element(memory, p, to_memory(ops_.combine(Combine::Sum, t, old, ops_.cast(x, given, t)), memory, t));
  };
  if (!lanes_) {
    const auto once = [&] { add_to(element_pointer(memory, a.base, a.index), v); };
    return predicate != nullptr ? region(predicate, {}, once) : once();
  }
  const Access on = access(predicate);
  const Value each = ops_.splat(v);
  for (int lane = 0; lane < width_; ++lane) {
    const uint64_t n = static_cast<uint64_t>(lane);
    const Value x{b_.CreateExtractElement(each.re, n),
                  each.im != nullptr ? b_.CreateExtractElement(each.im, n) : nullptr};
    add_to(lane_pointer(memory, a, lane, on), x);
  }
}

}  // namespace thixo::codegen
