// KernelIR: one kernel as loops over scalar expressions. A kernel is a leaf with one C signature,
//     int k(const Args* args, int64_t begin, int64_t end)
// over the index `par` of its outermost, parallel axis; the caller cuts [begin, end) by the problem's
// size alone and owns the threads.
//
// Semantics that fix the bits, for every target:
//   - a Vector loop runs in 16 virtual lanes; its tail runs the same code on a masked block;
//   - an accumulator of a Vector loop has 16 lanes, folded at the loop's end as
//     lane i += lane i+8, then +4, +2, +1; lanes masked out hold the neutral element;
//   - every expression is evaluated as written: no reassociation, no contraction; Fma is explicit.
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
  DType dtype;  // in memory; loads of f16/bf16 widen to f32, of small integers to their own type as it is
  BufferKind kind = BufferKind::In;
  Dim scratch_size;  // Scratch: elements the caller provides per thread; may be symbolic
};

enum class Combine : uint8_t { Sum, Prod, Min, Max, Or, And };
/// Min and Max propagate nan. The neutral element of the type: 0, 1, +inf or the largest, ...
Expr neutral(Combine c, DType t);

enum class LoopKind : uint8_t {
  Serial,
  Vector,    // 16 lanes; only one Vector loop may be active at a time
  Unrolled,  // constant extent
};

struct Stmt;
using Block = std::vector<Stmt>;

/// Declares accumulator `id`, alive until the end of the block that holds the loop which declares it.
struct AccDecl {
  int id;
  DType dtype;
  Combine combine;
  Expr init;  // null: the neutral element
};

/// One statement. Kind says which members count.
struct Stmt {
  enum Kind : uint8_t {
    Loop,    // for axis in [0, extent): body; accs are declared before it and readable (acc(id)) inside, as
             // running values, and after it, as results
    Update,  // acc id := combine(acc id, value)
    Assign,  // acc id := value (sequential recurrences: scan)
    Store,   // buffer[index] = value, where predicate (if any) holds
    Add,     // buffer[index] += value, in loop order: scatter with a fixed order of duplicates
    If,      // body when predicate holds; the predicate must be uniform over the vector lanes
  } kind;
  // Loop
  int axis = 0;
  Expr extent;  // I64
  LoopKind loop = LoopKind::Serial;
  std::vector<AccDecl> accs;
  Block body;
  // Update, Assign
  int acc = 0;
  // Store, Add
  int buffer = 0;
  Expr index;
  Expr predicate;  // may be null
  Expr value;
};

struct Kernel {
  std::string name;
  std::vector<KernelBuffer> buffers;
  std::vector<Dim> sizes;  // the symbolic sizes, in the order of KernelArgs::ints
  int params = 0;
  int par_axis = 0;        // the axis over [begin, end)
  /// When true `body` is executed with par_axis itself vectorised (16 lanes of consecutive par indices).
  bool vector_par = false;
  Block body;  // executed for every par index

  std::string str() const;  ///< readable text
};

/// Throws InternalError naming the statement that breaks a rule: types, undeclared axes, nested Vector loops,
/// stores to In buffers, non-uniform If.
void verify(const Kernel& k);

/// A compact byte string and back (the compiler plugin's input, the cache's key). Throws ValueError on bad bytes.
std::string serialize(const Kernel& k);
Kernel deserialize(std::string_view bytes);

/// Source of fresh ids for axes and accumulators while a kernel is built.
struct KernelIds {
  int next = 1;
  int fresh() { return next++; }
};

}  // namespace thixo
