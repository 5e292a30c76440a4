// Scalar expressions: what an op does to single elements. Immutable, hash-consed (equal expressions
// are the same node), so sharing is found by comparing pointers. The same expression is
//   - lowered to vector code by codegen/llvm,
//   - evaluated in long double by backend/reference (the tests' oracle),
//   - differentiated by derivative().
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "thixo/dim.h"
#include "thixo/dtype.h"
#include "thixo/scalar.h"

namespace thixo {

enum class ExprOp : uint8_t {
  // leaves
  Const,  // value: f (floats, real part), i (integers, bool), f2 (imaginary part)
  Input,  // i = which operand of a pointwise definition; dtype is the operand's compute type
  Param,  // i = which runtime scalar of the kernel; dtype F64, I64, ...
  Axis,   // i = id of a loop; an I64 index
  Size,   // a symbolic or known size (dim); I64
  Acc,    // i = id of an accumulator of an enclosing or finished loop
  // memory. At: args are one index per dim of operand i (definitions). Load: args[0] is the flat element
  // index into buffer i (KernelIR). Both may have a last two args (predicate, other) when `guarded`.
  At,
  Load,
  // arithmetic on equal types; f64, f32, integers (wrapping), complex where it means something
  Add,
  Sub,
  Mul,
  Div,  // Div of integers truncates; integer x/0 is 0
  FloorDiv,
  Mod,       // Python's, on integers and floats; integer x%0 is 0
  Neg,
  Abs,            // Abs of complex is real
  Min,
  Max,            // nan when either is nan; Min is a where a < b or a is nan, else b (so for -0 and +0: b)
  Fma,                 // a*b+c in one rounding where the target has it
  Sqrt,
  Floor,
  Ceil,
  Trunc,
  Round,  // Round: half to even
  CopySign,
  // transcendental, floats and (exp, log, sqrt, sin, cos, tanh, sigmoid) complex; lowered to polynomials
  Exp,
  Expm1,
  Log,
  Log1p,
  Sin,
  Cos,
  Tanh,
  Erf,
  Sigmoid,
  Pow,
  Rsqrt,
  // integers and bool
  And,
  Or,
  Xor,
  Not,
  Shl,
  Shr,  // Shr keeps the sign of signed types; a shift by the width or more is unspecified
  MulHi,     // upper half of an unsigned product (u32)
  // comparisons give Bool
  Eq,
  Ne,
  Lt,
  Le,
  IsNan,
  Select,   // (Bool, a, b); i = 1: seldom true, so code may branch around a where no lane takes it
  Cast,     // to dtype; float to integer truncates (out of range: unspecified as in C, nan: 0)
  Bitcast,  // same size, other type
  // complex
  Real,
  Imag,
  Complex,
  Conj,
};

struct ExprNode;

/// A handle to an interned node; nodes live as long as the process (definitions are few and shared).
class Expr {
 public:
  Expr() = default;
  explicit Expr(const ExprNode* n) : n_(n) {}
  const ExprNode* operator->() const { return n_; }
  const ExprNode* get() const { return n_; }
  explicit operator bool() const { return n_ != nullptr; }
  DType dtype() const;
  friend bool operator==(Expr a, Expr b) { return a.n_ == b.n_; }

 private:
  const ExprNode* n_ = nullptr;
};

struct ExprNode {
  ExprOp op = ExprOp::Const;
  DType dtype = DType::F32;
  bool guarded = false;  // At, Load: the last two args are (predicate, other)
  int32_t i = 0;         // see ExprOp
  int64_t ivalue = 0;    // Const of integers and bool
  double f = 0, f2 = 0;  // Const
  Dim dim = {};          // Size
  std::vector<Expr> args = {};
};
inline DType Expr::dtype() const { return n_->dtype; }

// Construction. Types must agree (InternalError otherwise). Constants fold where generated code would give the
// same bits, and what never changes bits simplifies: x*1, x+0 of integers, select(true, a, b), --x, x/4 = x*0.25.
Expr make_expr(ExprNode node);
Expr constant(double v, DType t);
Expr constant(std::complex<double> v, DType t);
Expr constant_int(int64_t v, DType t = DType::I64);
Expr constant_bool(bool v);
Expr input(int k, DType t);
Expr param(int k, DType t);
Expr axis(int id);
Expr size(Dim d);
Expr acc(int id, DType t);
Expr at(int operand, DType t, std::vector<Expr> index);
Expr at_if(Expr predicate, int operand, DType t, std::vector<Expr> index, Expr other);
Expr load(int buffer, DType t, Expr flat);
Expr load_if(Expr predicate, int buffer, DType t, Expr flat, Expr other);
Expr unary(ExprOp op, Expr a);
Expr binary(ExprOp op, Expr a, Expr b);
Expr select(Expr c, Expr a, Expr b);
/// select of which c is seldom true and a dear to compute: generated code skips a while no lane takes it.
Expr select_rare(Expr c, Expr a, Expr b);
Expr cast(Expr a, DType t);
Expr bitcast(Expr a, DType t);
Expr fma(Expr a, Expr b, Expr c);

// Operators and functions for definitions. A number beside an Expr takes the Expr's type.
#define THIXO_EXPR_BINARY(NAME, OP)                                                            \
  inline Expr NAME(Expr a, Expr b) { return binary(ExprOp::OP, a, b); }                        \
  inline Expr NAME(Expr a, double b) { return binary(ExprOp::OP, a, constant(b, a.dtype())); } \
  inline Expr NAME(double a, Expr b) { return binary(ExprOp::OP, constant(a, b.dtype()), b); }
THIXO_EXPR_BINARY(operator+, Add)
THIXO_EXPR_BINARY(operator-, Sub)
THIXO_EXPR_BINARY(operator*, Mul)
THIXO_EXPR_BINARY(operator/, Div)
THIXO_EXPR_BINARY(operator<, Lt)
THIXO_EXPR_BINARY(operator<=, Le)
THIXO_EXPR_BINARY(min, Min)
THIXO_EXPR_BINARY(max, Max)
THIXO_EXPR_BINARY(eq, Eq)
THIXO_EXPR_BINARY(ne, Ne)
THIXO_EXPR_BINARY(floor_div, FloorDiv)
THIXO_EXPR_BINARY(mod, Mod)
THIXO_EXPR_BINARY(pow, Pow)
#undef THIXO_EXPR_BINARY
inline Expr operator>(Expr a, Expr b) { return b < a; }
inline Expr operator>=(Expr a, Expr b) { return b <= a; }
inline Expr operator>(Expr a, double b) { return constant(b, a.dtype()) < a; }
inline Expr operator>=(Expr a, double b) { return constant(b, a.dtype()) <= a; }
inline Expr operator-(Expr a) { return unary(ExprOp::Neg, a); }
// Of bool too. Not &&, || and !, which ask whether an Expr is null.
inline Expr operator&(Expr a, Expr b) { return binary(ExprOp::And, a, b); }
inline Expr operator|(Expr a, Expr b) { return binary(ExprOp::Or, a, b); }
inline Expr operator^(Expr a, Expr b) { return binary(ExprOp::Xor, a, b); }
inline Expr operator~(Expr a) { return unary(ExprOp::Not, a); }
inline Expr exp(Expr a) { return unary(ExprOp::Exp, a); }
inline Expr log(Expr a) { return unary(ExprOp::Log, a); }
inline Expr sqrt(Expr a) { return unary(ExprOp::Sqrt, a); }
inline Expr rsqrt(Expr a) { return unary(ExprOp::Rsqrt, a); }
inline Expr sin(Expr a) { return unary(ExprOp::Sin, a); }
inline Expr cos(Expr a) { return unary(ExprOp::Cos, a); }
inline Expr tanh(Expr a) { return unary(ExprOp::Tanh, a); }
inline Expr erf(Expr a) { return unary(ExprOp::Erf, a); }
inline Expr sigmoid(Expr a) { return unary(ExprOp::Sigmoid, a); }
inline Expr abs(Expr a) { return unary(ExprOp::Abs, a); }
inline Expr conj(Expr a) { return unary(ExprOp::Conj, a); }

/// Rebuilds e from its leaves up: each node, its arguments already rebuilt, is given to f once, which returns
/// what replaces it or null to keep it. Types of arguments may change where the op allows it.
Expr rewrite(Expr e, const std::function<Expr(Expr)>& f);
/// Rebuilds e from its top down: a node for which f is set is replaced by it, and not looked into.
Expr substitute(Expr e, const std::function<Expr(Expr)>& f);
/// Every node of e once, arguments before users.
void visit(Expr e, const std::function<void(Expr)>& f);

/// d(out)/d(x) as an expression; x is an Input (or any node) of float or complex type. Piecewise
/// functions follow PyTorch: d relu(0) = 0, d abs(0) = 0, ties of min/max share the gradient by half.
/// For complex holomorphic functions this is f'(z); throws NotImplementedError for what has no derivative.
Expr derivative(Expr out, Expr x);

/// "add(mul(x0, 2), axis0)": for IR text, errors and tests. In long expressions nodes that are used more than
/// once get a name: "{t0 = exp(x0); add(t0, mul(t0, t0))}".
std::string expr_str(Expr e);
const char* expr_op_name(ExprOp op);  ///< "floor_div"

/// The type of `op` on these arguments; InternalError when they do not fit. Not for leaves, memory, Cast, Bitcast.
DType result_type(ExprOp op, std::span<const Expr> args);

}  // namespace thixo
