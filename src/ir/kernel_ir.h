// KernelIR: one kernel as loops over scalar expressions. A kernel is a leaf with one C signature,
//     int k(const Args* args, int64_t begin, int64_t end)
// over the index `par` of its outermost, parallel axis; the caller cuts [begin, end) by the problem's
// size alone and owns the threads.
//
// Semantics that fix the bits, for every target:
//   - a Vector loop runs in 16 virtual lanes; its tail runs the same code with the lanes past the end masked
//     out: they neither load nor store, and an Update or Assign leaves their accumulators alone;
//   - what an accumulator is follows from where it is declared:
//       inside an active Vector loop (or a vector_par body)   one value per lane, never folded
//       on a Vector loop, or on a loop around one that        16 lanes that start neutral, folded when the
//       updates it                                            declaring loop ends: lane i takes lane i+8, then
//                                                             +4, +2, +1, and `init` (if any) takes the result;
//                                                             until then it lives inside that Vector loop only
//       elsewhere                                             one value
//   - every expression is evaluated as written: no reassociation, no contraction; Fma is explicit (one rounding
//     where the target has it; a multiply and an add on x86-64-v2, wasm32, and in deterministic mode everywhere);
//   - lanes that store to one address, or Add to it, do so in lane order.
// The payload and sign of a nan are the only bits that may differ between targets.
//
// Memory: Out, InOut and Scratch buffers are read and written in the order of the statements. In buffers hold
// still: their loads may move ahead. An In buffer may be the same pointer as an Out for work in place, when each
// element is stored by the block that loads it for the last time; in a block's run of statements without a Loop
// or If, all loads of In buffers come before the first store. A predicate of a Store or Add guards that access
// alone: loads in its value or index happen regardless (guard them, or use If), as do those of both arms of a Select.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/expr.h"

namespace thixo {

/// The C side of a call. Sizes, strides and other integers stand in `ints`, runtime scalars in `params`.
struct KernelArgs {
  void* const* buffers;
  const int64_t* ints;
  const double* params;  // two per Param (value; imaginary part). Integers: bit pattern of int64 in the first
};
using KernelFn = int (*)(const KernelArgs*, int64_t begin, int64_t end);
inline constexpr int kLanes = 16;

enum class BufferKind : uint8_t { In, Out, InOut, Scratch };

struct KernelBuffer {
  std::string name;
  DType dtype;  // in memory. A Load has this type, or f32 for f16/bf16 (widened); so has a stored value (rounded)
  BufferKind kind = BufferKind::In;
  Dim scratch_size;  // Scratch: elements the caller provides per thread; may be symbolic
};

enum class Combine : uint8_t { Sum, Prod, Min, Max, Or, And };
/// Min and Max propagate nan. The neutral element of the type: 0, 1, +inf or the largest, ...
Expr neutral(Combine c, DType t);

enum class LoopKind : uint8_t {
  Serial,
  Vector,    // 16 lanes; only one Vector loop may be active at a time
  Unrolled,  // constant extent below 65536, at most four of them around a statement; the axis is a constant in its body
};

struct Stmt;
using Block = std::vector<Stmt>;

/// Declares accumulator `id`, alive until the end of the block that holds the loop which declares it.
/// With `tile` extents it is an array held in registers: every use names an element by one index per extent,
/// made of constants and Unrolled axes. A 6x32 matmul micro-kernel is
///     for v in 16 vector:
///       for k in K serial, acc c[6, 2] = sum f32:
///         for i in 6 unrolled: for j in 2 unrolled:
///           c[i, j] := fma(a[k*6 + i], b[k*32 + j*16 + v], c[i, j])
///       for i in 6 unrolled: for j in 2 unrolled: out[i*N + j*16 + v] = c[i, j]
struct AccDecl {
  int id;
  DType dtype;
  Combine combine;
  Expr init;  // null: the neutral element
  std::vector<int> tile = {};
};
/// Reads the element of a tiled accumulator (acc() reads a plain one).
Expr acc_at(int id, DType t, std::vector<Expr> index);

/// One statement. Kind says which members count.
struct Stmt {
  enum Kind : uint8_t {
    Loop,  // for axis in [0, extent): body; accs are declared before it and readable (acc(id)) inside, as
           // running values, and after it, as results
    Update,  // acc id := combine(acc id, value)
    Assign,  // acc id := value (sequential recurrences: scan)
    Store,  // buffer[index] = value, where predicate (if any) holds
    Add,  // buffer[index] += value, in loop order: scatter with a fixed order of duplicates
    If,  // body when predicate holds; the predicate must be uniform over the vector lanes
  } kind = Loop;
  // Loop
  int axis = 0;
  Expr extent;  // I64
  LoopKind loop = LoopKind::Serial;  // an extent of zero or less is no iteration
  std::vector<AccDecl> accs;
  Block body;
  // Update, Assign
  int acc = 0;
  std::vector<Expr> acc_index;  // the element of a tiled accumulator
  // Store, Add
  int buffer = 0;
  Expr index;
  Expr predicate;  // may be null
  Expr value;
};

// Statements.
Stmt make_loop(int axis, Expr extent, LoopKind kind, std::vector<AccDecl> accs, Block body);
Stmt make_update(int acc, Expr value, std::vector<Expr> acc_index = {});
Stmt make_assign(int acc, Expr value, std::vector<Expr> acc_index = {});
Stmt make_store(int buffer, Expr index, Expr value, Expr predicate = {});
Stmt make_add(int buffer, Expr index, Expr value, Expr predicate = {});
Stmt make_if(Expr predicate, Block body);

struct Kernel {
  std::string name;  // a C identifier
  std::vector<KernelBuffer> buffers;
  std::vector<Dim> sizes;  // the symbolic sizes, in the order of KernelArgs::ints
  int params = 0;
  int par_axis = 0;  // the axis over [begin, end)
  /// When true `body` is executed with par_axis itself vectorised (16 lanes of consecutive par indices).
  bool vector_par = false;
  Block body;  // executed for every par index

  std::string str() const;  ///< readable text
};

std::string stmt_str(const Kernel& k, const Stmt& s);  ///< one statement of k, for errors

/// Whether accumulator `id` has 16 lanes to fold when `loop`, outside any Vector loop, declares it: the loop is
/// a Vector loop, or holds one that updates it.
bool folds_lanes(const Stmt& loop, int id);

/// Throws InternalError naming the statement that breaks a rule: types, undeclared axes, nested Vector loops,
/// stores to In buffers, non-uniform If, accumulators used outside their life.
void verify(const Kernel& k);

/// A compact byte string and back (the compiler plugin's input, the cache's key). Throws ValueError on bad bytes;
/// what they say is still to be verified.
std::string serialize(const Kernel& k);
Kernel deserialize(std::string_view bytes);

/// Source of fresh ids for axes and accumulators while a kernel is built.
struct KernelIds {
  int next = 1;
  int fresh() { return next++; }
};

}  // namespace thixo
