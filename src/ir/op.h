// An op, defined once. A definition is a function in src/ops/<family>/ that fills an Op:
//
//   void def_silu(Op& op) {
//     op.schema("silu(x: Float) -> Float @nn @inplace")
//         .doc("x * sigmoid(x), elementwise.")
//         .source("Elfwing et al. 2018, https://arxiv.org/abs/1702.03118")
//         .expr([](ExprCtx& c) { return c.x(0) * sigmoid(c.x(0)); });
//   }
//
// tools/opgen.py finds the functions by their text; signatures, methods, bindings, docs, kernels, gradients,
// batching rules and tests derive from what stands here. The body is one of
//   expr     pointwise: one scalar expression of the operands (broadcast and promoted)
//   nest     every element of the result by loads at computed places, perhaps reduced over extra axes
//   view     another shape and strides over the same storage
//   compose  other ops
//   kernel   a function of the Backend table, for what no loop nest expresses well (contractions, scan, scatter)
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <random>

#include "core/record.h"
#include "ir/kernel_ir.h"
#include "thixo/schema.h"

namespace thixo {

using Values = SmallVec<Tensor, 2>;

/// What a result looks like before it is computed.
struct Spec {
  DType dtype = DType::F32;
  Shape shape;
  Device device{};
};

/// One call: operands flat in schema order (an absent optional is an undefined Tensor), attributes likewise.
struct Call {
  const OpDef* op;
  std::span<const Tensor> in;
  std::span<const Attr> attrs;
  SourceLoc at;

  bool has(int k) const { return in[static_cast<size_t>(k)].defined(); }
  const Shape& shape(int k) const { return in[static_cast<size_t>(k)].shape(); }
  DType dtype(int k) const { return in[static_cast<size_t>(k)].dtype(); }
  int rank(int k) const { return static_cast<int>(shape(k).size()); }
  // Attributes by name; the type must be what the schema says (InternalError otherwise).
  const Attr& attr(std::string_view name) const;
  bool none(std::string_view name) const { return attr(name).index() == 0; }
  bool flag(std::string_view name) const { return std::get<bool>(attr(name)); }
  Dim integer(std::string_view name) const { return std::get<Dim>(attr(name)); }
  double number(std::string_view name) const { return std::get<double>(attr(name)); }
  Scalar scalar(std::string_view name) const { return std::get<Scalar>(attr(name)); }
  const Shape& list(std::string_view name) const { return std::get<Shape>(attr(name)); }
  const std::string& text(std::string_view name) const { return std::get<std::string>(attr(name)); }
  DType type(std::string_view name) const { return std::get<DType>(attr(name)); }
  /// `dim` attribute wrapped into [0, rank); IndexError naming the op otherwise. rank 0 counts as 1.
  int dim(std::string_view name, int rank) const;
  /// `dims` attribute, wrapped, sorted, unique; None or empty means all.
  SmallVec<int, kMaxRank> dims(std::string_view name, int rank) const;

  // Errors that name the op and what it got; complete with .need() and .fix().
  Error error(ErrorKind kind, std::string_view what) const;
};

/// Shape and dtype rule of a structured op: fills `out`, throws on bad calls.
struct Infer : Call {
  SmallVec<Spec, 2> out;
  void result(DType t, Shape s) { out.push_back({t, std::move(s), in.empty() ? Device() : in[0].device()}); }
  void require(bool ok, ErrorKind kind, std::string_view what, std::string_view need = {},
               std::string_view fix = {}) const;
  /// ValueError when an integer type t cannot hold v.
  void require_fits(const Scalar& v, DType t) const;
};

/// What a pointwise expression is built from. Numeric attributes that vary from call to call enter as
/// Params, so one kernel serves all values; enums and flags are read and choose the expression.
struct ExprCtx {
  std::vector<Expr> operands;  // Input nodes in the compute type
  DType dtype;                 // the compute type
  std::function<Expr(std::string_view)> param;  // a scalar/float/int attribute, as an Expr of the compute type
  std::function<const Attr&(std::string_view)> attr;
  Expr x(int k) const { return operands[static_cast<size_t>(k)]; }
  Expr c(double v) const { return constant(v, dtype); }
  bool none(std::string_view name) const { return attr(name).index() == 0; }
  const std::string& text(std::string_view name) const { return std::get<std::string>(attr(name)); }
};

/// What a nest is built from: it gives the value of the result at axes 0..rank-1. Values are of compute types
/// throughout: a load converts to the operand's compute type, a store to the result's dtype.
struct NestCtx : Call {
  std::span<const Spec> out;
  int next_axis = 0;
  struct Reduce {
    int axis;
    Dim extent;
  };
  std::vector<Reduce> reduce;           // extra axes, outermost first
  std::optional<Combine> combine;       // set when `reduce` is not empty
  std::vector<Expr> values;             // one per result: before the reduction
  std::function<Expr(Expr)> finish;     // after the reduction (mean divides); may be empty
  std::vector<std::string> params;      // the attributes that became Params, in the order of their numbers
  NestCtx(const Call& c, std::span<const Spec> o)
      : Call(c), out(o), next_axis(o.empty() ? 0 : static_cast<int>(o[0].shape.size())) {}
  Expr out_axis(int d) const { return axis(d); }
  Expr dim_size(int k, int d) const { return size(shape(k)[static_cast<size_t>(d)]); }
  Expr load(int k, std::vector<Expr> index) const { return thixo::at(k, compute_type(dtype(k)), std::move(index)); }
  Expr load_if(Expr p, int k, std::vector<Expr> index, Expr other) const {
    return at_if(p, k, compute_type(dtype(k)), std::move(index), other);
  }
  /// A numeric attribute as a runtime scalar of type t, so that one kernel serves all its values. Of an rng
  /// attribute "name.key" and "name.counter" (U64).
  Expr param(const std::string& name, DType t) {
    auto found = std::find(params.begin(), params.end(), name);
    auto k = static_cast<int>(found - params.begin());
    if (found == params.end()) params.push_back(name);
    return thixo::param(k, t);
  }
  Expr reduce_axis(Dim extent) {
    reduce.push_back({next_axis, extent});
    return axis(next_axis++);
  }
};

/// Result of a view op.
struct ViewSpec {
  Shape shape;
  Strides strides;
  Dim offset;  // in elements, absolute
};

/// What a gradient sees. Ask only for what is needed: asking is what makes the tape save it.
struct GradCtx {
  virtual ~GradCtx() = default;
  virtual const Call& call() const = 0;             // attributes; shapes of operands
  virtual Tensor in(int k) = 0;                     // an operand's value
  virtual Tensor out(int k = 0) = 0;                // a result's value, hidden ones too
  virtual Tensor g(int k = 0) = 0;                  // cotangent of result k (zeros when nothing arrived)
  virtual bool needs(int k) const = 0;              // whether operand k wants a gradient
};

struct BatchArgs {
  const Call& call;
  std::span<const int> batch_dim;  // per operand; -1 when not batched
  Dim batch_size;
};
struct BatchResult {
  Values values;
  SmallVec<int, 2> batch_dim;
};

/// The values of an integer operand must lie in [0, size), or in [-size, size) when `negative` are counted from
/// the end. Checked by eager before it computes: IndexError "<op>: index 7 is out of range for dim 1 of size 5".
struct IndexBound {
  int operand;
  int dim;  // the dim that the text names
  Dim size;
  bool negative = false;
  std::optional<int64_t> except{};  // one value that is allowed besides (ignore_index)
};

enum class Tier : uint8_t { Pointwise, Nest, View, Composite, Structured };

/// One call to test an op with: shapes, ranges of values and attributes (by name).
struct SampleTensor {
  Shape shape{};
  double low = -3, high = 3;
  std::optional<DType> dtype{};      // fixed (indices); else the dtype under test
  std::vector<double> values{};      // exact values instead of random ones (filled cyclically)
  bool absent = false;               // an optional operand left out
  bool wide = false;                 // of the compute type of the dtype under test (what a forward saves)
  bool distinct = false;             // a random permutation of distinct values (sort, max: no ties)
};
struct Sample {
  std::vector<SampleTensor> in{};
  std::vector<std::pair<std::string, Attr>> attrs{};  // those left out have the schema's default
  std::string bad{};                 // not empty: the call must fail and its first line contain this
};

struct OpDef {
  Schema schema;
  std::string doc, source, example;
  Tier tier = Tier::Composite;
  int id = -1;
  std::function<Expr(ExprCtx&)> expr;
  std::function<void(Infer&)> infer;
  std::function<void(NestCtx&)> nest;
  std::function<ViewSpec(const Call&)> view;
  std::function<Values(const Call&)> compose;
  std::string kernel;  // name in the Backend table
  std::function<std::vector<IndexBound>(const Call&)> index_bounds;
  std::function<Values(GradCtx&)> grad;
  std::function<BatchResult(const BatchArgs&)> batch;
  std::function<std::vector<Sample>()> samples;
  /// A composite without a rule of its own: dispatch holds its operands to their kinds before it is composed.
  bool checks_kinds = false;
  bool promotes = false;  ///< see Op::promotes
  bool bool_result = false, commutative = false, random = false, fused_rows = false, differentiable = true,
       same_dtype = false, numbers_promote = false;
  double ulps_f32 = 4, ulps_f64 = 4;
  double ulps_c128 = 0;   // 0: as f64
  double ulps_floor = 0;  // errors count in ulps of results at least this large (cancellation near zero)
  const std::string& name() const { return schema.name; }
};

/// Fills an OpDef; returned by every setter for chaining.
class Op {
 public:
  explicit Op(OpDef& d) : d_(d) {}
  Op& schema(std::string_view text);
  Op& doc(std::string_view text);      ///< one sentence, the formula included
  Op& source(std::string_view text);   ///< paper or standard
  Op& example(std::string_view text);  ///< two lines of Python, run by the tests
  /// For a function of numbers: the formula once more, in Python over the names of the schema and mpmath's functions
  /// ("input * sigmoid(input)"). The golden values of the op are computed from it (tools/golden.py reads it from the
  /// source), so it should be written independently of the expression: as the paper has it, not as it is stable.
  Op& reference(std::string_view) { return *this; }
  Op& expr(std::function<Expr(ExprCtx&)> f);
  Op& infer(std::function<void(Infer&)> f);
  Op& nest(std::function<void(NestCtx&)> f);
  Op& view(std::function<ViewSpec(const Call&)> f);
  Op& compose(std::function<Values(const Call&)> f);
  /// Beside a nest: the nest is the meaning, the kernel is what runs where the backend has it.
  Op& kernel(std::string_view backend_entry);
  Op& index_bounds(std::function<std::vector<IndexBound>(const Call&)> f);
  /// The gradient written in other ops: one value per operand, undefined where there is none.
  Op& grad(std::function<Values(GradCtx&)> f);
  Op& no_grad();
  /// Without a rule: pointwise and composite ops derive theirs; others loop over the batch.
  Op& batch(std::function<BatchResult(const BatchArgs&)> f);
  Op& samples(std::function<std::vector<Sample>()> f);
  Op& bool_result();   ///< compares in the promoted type, gives Bool
  Op& commutative();
  Op& promotes();  ///< a composite that takes integers and bool for numbers of the default dtype, as pointwise ops do
  Op& numbers_promote();  ///< pointwise: scalar attributes take part in promotion, as numbers among operands do
  Op& fused_rows();  ///< a composite over rows of the last dim(s): its decomposition is scheduled into one kernel for
                     ///< eager
  Op& ulps(double f32, double f64, double floor = 0);
  Op& ulps_complex(double c128);  ///< where complex128 is less exact than f64

 private:
  OpDef& d_;
};

/// All ops, in the order of the generated list. Built on first use.
const std::vector<OpDef>& all_ops();
/// By full name ("max.dim"); null when there is none.
const OpDef* find_op(std::string_view full_name);
const OpDef& op_by_id(int id);

/// Result shapes and dtypes of a call: the eager check, graph inference and error text in one.
SmallVec<Spec, 2> infer(const Call& call);
/// What promotion compares: bool 0, integers 1, floats 2, complex numbers 3.
constexpr int category(DType t) { return t == DType::Bool ? 0 : is_int(t) ? 1 : is_float(t) ? 2 : 3; }
/// DTypeError unless the operands, alone or promoted as those of a pointwise op, are of the schema's kinds.
void check_kinds(const Call& call);
/// Pointwise: the compute type of the call (promotion incl. scalars and Float kinds).
DType pointwise_type(const Call& call);
/// The expression of a pointwise op for compute type t; `params` receives the attributes that became Params.
Expr pointwise_expr(const OpDef& op, DType t, std::span<const Attr> attrs, std::vector<std::string>* params);

}  // namespace thixo
