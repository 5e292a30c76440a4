// One kernel as one LLVM function.
//
// Every expression node is computed once in each place it is needed, as far out as its operands allow: the
// lowering keeps a stack of scopes (the function, then for each loop its preheader and its body) with the
// values computed in each. A node belongs to the innermost scope that defines one of its axes or changes a
// state that it reads; loads stay inside regions that may not run. Values of outer scopes are inserted before
// the jump that leaves for the inner one, so straight-line code suffices: masked and guarded accesses choose
// between the element's address and a dummy's instead of branching (a rare Select in the innermost scope branches).
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <optional>
#include <unordered_map>

#include "codegen/llvm/facts.h"
#include "codegen/llvm/ops.h"

namespace thixo::codegen {

class KernelLowering {
 public:
  KernelLowering(llvm::Module& module, const Kernel& kernel, const TargetCaps& caps);
  llvm::Function* run();

 private:
  // ---- scopes and expressions (lower_expr.cpp)
  /// A value in all lanes, or where it is affine in the vector axis: in lane 0 only.
  enum class Mode : uint8_t { Full, Lane0 };
  struct Key {
    const ExprNode* node;
    uint64_t unrolled;  // the values of the Unrolled axes that the node depends on, 16 bits each
    Mode mode;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const;
  };
  struct Scope {
    llvm::Instruction* end = nullptr;  // where values are inserted once an inner scope is open
    bool loads_may_leave = true;       // false: the region may not run, and then memory must not be touched
    StateSet writes;
    std::unordered_map<Key, Value, KeyHash> values;
    std::vector<std::pair<Key, StateSet>> stateful = {};  // those of `values` that read a state
  };
  /// The active Vector loop.
  struct Lanes {
    size_t axis;
    llvm::Value* start;            // the axis in lane 0
    llvm::Value* count = nullptr;  // the tail: how many lanes are on (1 to width - 1), and which
    llvm::Value* mask = nullptr;
    llvm::Value* update_mask = nullptr;  // the lanes whose accumulators change; null: all
  };

  Value lower(Expr e, Mode mode = Mode::Full);
  llvm::Value* scalar(Expr e) { return lower(e).re; }
  Value make(Expr e, Mode mode, size_t scope);
  Value select_rare(Expr e);
  Value param(const ExprNode& n);
  llvm::Value* size(Dim d);
  llvm::Value* lane_axis(Mode mode);
  llvm::Constant* lane_numbers();                   ///< 0 to width - 1
  llvm::Value* first_lanes(llvm::Value* count);  ///< which lanes are below a count (i64, up to the width)
  /// A comparison of two indices that differ by a number plus or minus the lane, in 32-bit lanes; null otherwise.
  llvm::Value* compare_indices(Expr e, size_t scope);
  size_t home(const Deps& d) const;
  Key key(Expr e, const Deps& d, Mode mode) const;
  bool lane_dependent(Expr e);
  int64_t evaluate(Expr e) const;
  /// The factor of the vector axis in an index; null when the index is not affine in it.
  Expr lane_factor(Expr index);
  void forget(const StateSet& written);
  template <class F> auto at(size_t scope, F emit) {
    if (scope + 1 == scopes_.size()) return emit();
    llvm::IRBuilderBase::InsertPointGuard guard(b_);
    b_.SetInsertPoint(scopes_[scope].end);
    return emit();
  }

  // ---- memory (lower_memory.cpp)
  struct Address {
    enum Kind { Uniform, Unit, Reverse, Strided, Gather } kind;
    llvm::Value* base;
    llvm::Value* index;             // of lane 0, or of every lane (Gather)
    llvm::Value* stride = nullptr;  // Strided
  };
  /// Which lanes touch memory: all when both are null; `count` when they are the first ones.
  struct Access {
    llvm::Value* mask = nullptr;
    llvm::Value* count = nullptr;
  };
  Address address(int buffer, Expr index);
  Value load(Expr e, size_t scope);
  Value load_uniform(const ExprNode& n, const Address& a, llvm::Value* predicate, Value other);
  Value load_lanes(DType memory, const Address& a, const Access& on);
  Value load_complex(DType memory, const Address& a, const Access& on);
  llvm::Value* load_block(llvm::Type* t, llvm::Value* from, const Access& on);
  llvm::Value* load_prefix(llvm::Type* t, llvm::Value* from, llvm::Value* count);
  void store(const Stmt& s);
  void store_uniform(const Stmt& s, const Address& a, Value v);
  void store_lanes(DType memory, const Address& a, Value v, const Access& on);
  void store_block(llvm::Value* v, llvm::Value* to, const Access& on);
  void store_prefix(llvm::Value* v, llvm::Value* to, llvm::Value* count);
  void add(const Stmt& s);
  Access access(llvm::Value* predicate);
  bool has_masked(llvm::Type* t) const;
  llvm::Value* lane_pointer(DType memory, const Address& a, int lane);
  llvm::Value* lane_pointer(DType memory, const Address& a, int lane, const Access& on);
  llvm::Value* element_pointer(DType memory, llvm::Value* base, llvm::Value* index);
  Value load_element(DType memory, llvm::Value* p);
  void store_element(DType memory, llvm::Value* p, Value v);
  Value to_value(Value stored, DType memory, DType wanted);
  Value to_memory(Value v, DType memory, DType given);
  llvm::Value* buffer(int i);
  DType memory_of(int i) const { return kernel_.buffers[static_cast<size_t>(i)].dtype; }
  llvm::Value* dummy();
  llvm::Value* spare_block();

  // ---- statements (lower_kernel.cpp)
  struct AccState {
    const AccDecl* decl;
    bool folds;               // 16 lanes that the end of the declaring loop folds
    Value init;
    std::vector<Value> cells;  // allocas, one for each element of the tile; im also beside Min and Max, Ops::nan_lanes
  };
  void block(const Block& body);
  void preload(const Block& body, size_t begin, size_t end);
  void statement(const Stmt& s);
  void loop(const Stmt& s);
  void unrolled(const Stmt& s);
  void counted(llvm::Value* begin, llvm::Value* end, int64_t step, const StateSet& writes,
               const std::function<void(llvm::Value*)>& body);
  void region(llvm::Value* condition, const StateSet& writes, const std::function<void()>& body);
  void vector_loop(size_t axis, llvm::Value* begin, llvm::Value* end, const Block& body);

  // ---- loops whose tail runs in the body of the main blocks (lower_tail.cpp)
  /// A place that a loop reads or writes block by block.
  struct Stream {
    int buffer;
    Expr index;
    bool written;
    llvm::Value* tail_index = nullptr;  // where the tail's elements are
    llvm::Value* tail = nullptr;
    llvm::Value* spare = nullptr;  // room for them as a whole block
    llvm::PHINode* base = nullptr;  // the buffer, or what makes the index lead to the spare room
  };
  struct Rounds {
    size_t axis;
    llvm::Value *begin, *whole, *rest, *has_tail;
  };
  std::vector<Stream> streams_of(const Block& body, size_t axis);
  void shared_loop(size_t axis, llvm::Value* begin, llvm::Value* whole, llvm::Value* rest, const Block& body,
                   std::vector<Stream> streams);
  void locate_tails(size_t axis, llvm::Value* whole, std::vector<Stream>& streams);
  void two_rounds(const Rounds& r, const Block& body, std::vector<Stream>& streams);
  void copy_tail(const Stream& s, llvm::Value* count, bool out);

  void declare(const Stmt& s, const AccDecl& a);
  void fold(const AccDecl& a);
  void update(const Stmt& s);
  Value& cell(AccState& a, const std::vector<Expr>& index);
  Value new_cell(Value start);
  Value read_cell(const Value& cell);
  void write_cell(const Value& cell, Value v);
  llvm::AllocaInst* entry_alloca(llvm::Type* t, uint64_t align = 0);
  llvm::Type* block_type() { return llvm::ArrayType::get(b_.getInt8Ty(), 16 * kLanes); }  // the largest: complex128
  static constexpr uint64_t kBlockAlign = 64;

  const Kernel& kernel_;
  const TargetCaps& caps_;
  KernelFacts facts_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  const int width_;  ///< lanes of a vector: kLanes, or 4 (lane_width)
  Ops ops_;
  llvm::Function* function_ = nullptr;
  llvm::StructType* args_type_ = nullptr;
  std::vector<Scope> scopes_;
  size_t innermost_home_ = 0;  // values go no further out: the region of a rare Select
  std::vector<size_t> axis_scope_;  // by axis slot: the scope that defines it
  std::vector<llvm::Value*> axis_value_;  // by axis slot: Serial axes
  std::unordered_map<size_t, int64_t> constant_axis_;  // by axis slot: Unrolled axes now
  std::unordered_map<size_t, unsigned> unrolled_depth_;
  std::optional<Lanes> lanes_;
  StateSet lane_states_;  // accumulators that now have a value per lane
  std::unordered_map<int, AccState> accs_;
  std::vector<llvm::Value*> buffers_;
  llvm::Value* dummy_ = nullptr;
  llvm::Value* spare_block_ = nullptr;
  std::vector<Stream> streams_;  // of the loop that is being lowered, where its tail is shared
  std::vector<llvm::Value*> stream_blocks_;
};

}  // namespace thixo::codegen
