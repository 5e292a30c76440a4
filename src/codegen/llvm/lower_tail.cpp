// Vector loops whose tail runs in the body of the main blocks: the tail's elements are copied into whole blocks on
// the stack, the loop goes round once more there, and what it wrote is copied out. Half the code and half the
// time to compile, for bodies that are large and go through memory block by block.
#include "codegen/llvm/lower.h"

namespace thixo::codegen {

namespace {
constexpr size_t kLargeBody = 24;  // distinct expression nodes from which on a shared body pays
constexpr size_t kMostStreams = 12;
}  // namespace

/// What the body reads and writes block by block; empty when its tail cannot or should not be shared.
std::vector<KernelLowering::Stream> KernelLowering::streams_of(const Block& body, size_t axis) {
  lanes_ = Lanes{axis, nullptr};  // for lane_dependent()
  std::vector<Stream> streams;
  std::unordered_map<const ExprNode*, bool> seen;
  bool possible = constant_axis_.empty();
  const auto is_block = [&](Expr index) {
    const Expr factor = lane_factor(index);
    return factor && factor->op == ExprOp::Const && factor->ivalue == 1;
  };
  const auto stream = [&](int buffer_index, Expr index, bool written) {
    possible = possible && is_block(index);
    for (const Stream& s : streams) {
      if (s.buffer != buffer_index) continue;
      possible = possible && s.written == written;  // both in one body: the order counts
      if (s.index == index) return;
    }
    streams.push_back({buffer_index, index, written});
  };
  for (const Stmt& s : body) {
    for (Expr root : {s.index, s.value, s.predicate}) {
      if (!root) continue;
      visit(root, [&](Expr e) {
        if (!seen.emplace(e.get(), true).second || e->op != ExprOp::Load || !lane_dependent(e)) return;
        possible = possible && !e->guarded;
        stream(e->i, e->args[0], false);
      });
    }
    const bool memory = s.kind == Stmt::Store;
    possible = possible && (memory || s.kind == Stmt::Update || s.kind == Stmt::Assign) && !s.predicate;
    if (memory && possible && (lane_dependent(s.index) || lane_dependent(s.value))) stream(s.buffer, s.index, true);
  }
  lanes_.reset();
  if (!possible || seen.size() < kLargeBody || streams.size() > kMostStreams) streams.clear();
  return streams;
}

/// Finds where the tail's elements are: what the streams' indices are when the axis stands at `whole`.
void KernelLowering::locate_tails(size_t axis, llvm::Value* whole, std::vector<Stream>& streams) {
  axis_scope_[axis] = scopes_.size() - 1;
  lanes_ = Lanes{axis, whole};
  for (size_t i = 0; i < streams.size(); ++i) {
    Stream& s = streams[i];
    if (stream_blocks_.size() <= i) stream_blocks_.push_back(entry_alloca(block_type(), kBlockAlign));
    s.spare = stream_blocks_[i];
    s.tail_index = lower(s.index, Mode::Lane0).re;
    s.tail = element_pointer(memory_of(s.buffer), buffer(s.buffer), s.tail_index);
  }
  lanes_.reset();
  // What depends on the axis is another value inside the loop.
  std::erase_if(scopes_.back().values, [&](const auto& v) { return facts_.deps(Expr(v.first.node)).axes[axis]; });
}

void KernelLowering::shared_loop(size_t axis, llvm::Value* begin, llvm::Value* whole, llvm::Value* rest,
                                 const Block& body, std::vector<Stream> streams) {
  const StateSet writes = facts_.writes(body);
  llvm::Value* has_tail = b_.CreateICmpNE(rest, b_.getInt64(0));
  region(b_.CreateOr(b_.CreateICmpSLT(begin, whole), has_tail), writes, [&] {
    forget(writes);
    locate_tails(axis, whole, streams);
    two_rounds({axis, begin, whole, rest, has_tail}, body, streams);
  });
}

/// Round one: the whole blocks. Round two: the tail, as one whole block.
void KernelLowering::two_rounds(const Rounds& r, const Block& body, std::vector<Stream>& streams) {
  const auto new_block = [&] { return llvm::BasicBlock::Create(context_, "", function_); };
  llvm::BasicBlock *round = new_block(), *inside = new_block(), *leave = new_block(), *first_done = new_block(),
                   *second_done = new_block(), *copy_in = new_block(), *after = new_block();
  llvm::BasicBlock* preheader = b_.GetInsertBlock();
  scopes_.back().writes = {};
  scopes_.back().end = b_.CreateBr(round);

  b_.SetInsertPoint(round);
  const auto by_round = [&](llvm::Value* first, llvm::Value* second) {
    llvm::PHINode* v = b_.CreatePHI(first->getType(), 2);
    v->addIncoming(first, preheader);
    v->addIncoming(second, copy_in);
    return v;
  };
  llvm::PHINode* is_tail = by_round(b_.getFalse(), b_.getTrue());
  llvm::PHINode* start = by_round(r.begin, r.whole);
  llvm::Type* mask_type = ops_.wide(b_.getInt32Ty());
  llvm::PHINode* mask = b_.CreatePHI(mask_type, 2);
  for (Stream& s : streams) s.base = b_.CreatePHI(b_.getPtrTy(), 2);
  llvm::Value* stop =
      b_.CreateSelect(is_tail, b_.CreateAdd(r.whole, b_.getInt64(static_cast<uint64_t>(width_))), r.whole);
  b_.CreateCondBr(b_.CreateICmpSLT(start, stop), inside, leave);

  b_.SetInsertPoint(inside);
  llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2);
  i->addIncoming(start, round);
  scopes_.push_back({nullptr, true, facts_.writes(body), {}});
  axis_scope_[r.axis] = scopes_.size() - 1;
  streams_ = streams;
  lanes_ = Lanes{r.axis, i};
  lanes_->update_mask = b_.CreateICmpSLT(mask, llvm::Constant::getNullValue(mask_type));
  block(body);
  lanes_.reset();
  streams_.clear();
  scopes_.pop_back();
  llvm::Value* next = b_.CreateNSWAdd(i, b_.getInt64(static_cast<uint64_t>(width_)));
  i->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpSLT(next, stop), inside, leave);

  b_.SetInsertPoint(leave);
  b_.CreateCondBr(is_tail, second_done, first_done);
  b_.SetInsertPoint(first_done);
  b_.CreateCondBr(r.has_tail, copy_in, after);

  b_.SetInsertPoint(copy_in);
  mask->addIncoming(llvm::Constant::getAllOnesValue(mask_type), preheader);
  mask->addIncoming(b_.CreateSExt(first_lanes(r.rest), mask_type), copy_in);
  for (Stream& s : streams) {
    if (!s.written) copy_tail(s, r.rest, false);
    s.base->addIncoming(buffer(s.buffer), preheader);
    s.base->addIncoming(element_pointer(memory_of(s.buffer), s.spare, b_.CreateNeg(s.tail_index)), copy_in);
  }
  b_.CreateBr(round);

  b_.SetInsertPoint(second_done);
  for (const Stream& s : streams) {
    if (s.written) copy_tail(s, r.rest, true);
  }
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

/// The first `count` elements from the buffer to the spare room, or back out.
void KernelLowering::copy_tail(const Stream& s, llvm::Value* count, bool out) {
  const DType memory = memory_of(s.buffer);
  llvm::Type* t = ops_.memory_type(memory);
  const auto copy = [&](uint64_t first, llvm::Value* n) {
    const Access on{first_lanes(n), n};
    llvm::Value *spare = b_.CreateConstGEP1_64(t, s.spare, first), *tail = b_.CreateConstGEP1_64(t, s.tail, first);
    if (out) {
      store_block(load_block(t, spare, {}), tail, on);
    } else {
      store_block(load_block(t, tail, on), spare, {});
    }
  };
  if (!is_complex(memory)) return copy(0, count);
  llvm::Value* parts = b_.CreateShl(count, 1);
  llvm::Value* low = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, parts, b_.getInt64(static_cast<uint64_t>(width_)));
  copy(0, low);
  copy(static_cast<uint64_t>(width_), b_.CreateSub(parts, low));
}

}  // namespace thixo::codegen
