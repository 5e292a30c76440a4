// The table of interned expressions, their constructors and their types.
#include "ir/expr.h"

#include <bit>
#include <cmath>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "ir/expr_simplify.h"
#include "ir/expr_value.h"

namespace thixo {
namespace {

// --- what each op takes and gives

enum Kind : uint8_t { kF = 1, kI = 2, kB = 4, kC = 8 };  // floats of arithmetic, integers, bool, complex
enum class Result : uint8_t { Same, Bool, Other };

struct OpInfo {
  const char* name;
  int8_t arity;  // -1: any
  uint8_t accepts = 0;
  Result result = Result::Same;
};

constexpr OpInfo kOps[] = {
    {"const", 0},
    {"x", 0},
    {"p", 0},
    {"axis", 0},
    {"size", 0},
    {"acc", -1},
    {"at", -1},
    {"load", -1},
    {"add", 2, kF | kI | kC},
    {"sub", 2, kF | kI | kC},
    {"mul", 2, kF | kI | kC},
    {"div", 2, kF | kI | kC},
    {"floor_div", 2, kF | kI},
    {"mod", 2, kF | kI},
    {"neg", 1, kF | kI | kC},
    {"abs", 1, kF | kI | kC, Result::Other},
    {"min", 2, kF | kI | kB},
    {"max", 2, kF | kI | kB},
    {"fma", 3, kF | kI},
    {"sqrt", 1, kF | kC},
    {"floor", 1, kF},
    {"ceil", 1, kF},
    {"trunc", 1, kF},
    {"round", 1, kF},
    {"copysign", 2, kF},
    {"exp", 1, kF | kC},
    {"expm1", 1, kF},
    {"log", 1, kF | kC},
    {"log1p", 1, kF},
    {"sin", 1, kF | kC},
    {"cos", 1, kF | kC},
    {"tanh", 1, kF | kC},
    {"erf", 1, kF},
    {"sigmoid", 1, kF | kC},
    {"pow", 2, kF | kC},
    {"rsqrt", 1, kF | kC},
    {"and", 2, kI | kB},
    {"or", 2, kI | kB},
    {"xor", 2, kI | kB},
    {"not", 1, kI | kB},
    {"shl", 2, kI},
    {"shr", 2, kI},
    {"mul_hi", 2, kI},
    {"eq", 2, kF | kI | kB | kC, Result::Bool},
    {"ne", 2, kF | kI | kB | kC, Result::Bool},
    {"lt", 2, kF | kI | kB, Result::Bool},
    {"le", 2, kF | kI | kB, Result::Bool},
    {"is_nan", 1, kF | kC, Result::Bool},
    {"select", 3, kF | kI | kB | kC, Result::Other},
    {"cast", 1},
    {"bitcast", 1},
    {"real", 1, kC, Result::Other},
    {"imag", 1, kC, Result::Other},
    {"complex", 2, kF, Result::Other},
    {"conj", 1, kC},
};
static_assert(std::size(kOps) == static_cast<size_t>(ExprOp::Conj) + 1);

const OpInfo& info(ExprOp op) { return kOps[static_cast<size_t>(op)]; }

uint8_t kind_of(DType t) {
  if (t == DType::F32 || t == DType::F64) return kF;
  return is_int(t) ? kI : t == DType::Bool ? kB : is_complex(t) ? kC : 0;
}

[[noreturn]] void type_error(ExprOp op, std::span<const Expr> args, const char* need) {
  std::string got;
  for (Expr a : args)
    got += (got.empty() ? "" : ", ") + (a ? expr_str(a) + ": " + std::string(dtype_name(a.dtype())) : "null");
  throw InternalError("expression: wrong arguments of " + std::string(info(op).name)).got(got).need(need);
}

void check_node(const ExprNode& n) {
  for (Expr a : n.args) {
    if (!a) type_error(n.op, n.args, "arguments that are not null");
  }
  switch (n.op) {
    case ExprOp::Const:
    case ExprOp::Input:
    case ExprOp::Param:
    case ExprOp::Axis:
    case ExprOp::Size:
    case ExprOp::Acc: return;
    case ExprOp::At:
    case ExprOp::Load: {
      size_t guards = n.guarded ? 2 : 0, count = n.args.size();
      if (count < guards || (n.op == ExprOp::Load && count != guards + 1)) type_error(n.op, n.args, "an index");
      for (size_t k = 0; k + guards < count; ++k) {
        if (!is_int(n.args[k].dtype())) type_error(n.op, n.args, "integer indices");
      }
      if (n.guarded && (n.args[count - 2].dtype() != DType::Bool || n.args[count - 1].dtype() != n.dtype)) {
        type_error(n.op, n.args, "a bool predicate and another value of the same type");
      }
      return;
    }
    case ExprOp::Cast:
      if (n.args.size() != 1) type_error(n.op, n.args, "one argument");
      return;
    case ExprOp::Bitcast:
      if (n.args.size() != 1 || item_size(n.args[0].dtype()) != item_size(n.dtype) || is_complex(n.dtype)) {
        type_error(n.op, n.args, "one argument of the same size");
      }
      return;
    default:
      if (result_type(n.op, n.args) != n.dtype)
        type_error(n.op, n.args, "a result type that follows from the arguments");
  }
}

// --- the table

uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
  return h * 0xff51afd7ed558ccdu;
}

struct NodeHash {
  size_t operator()(const ExprNode* n) const {
    uint64_t h = static_cast<uint64_t>(n->op) << 16 | static_cast<uint64_t>(n->dtype) << 8 | n->guarded;
    h = mix(h, static_cast<uint64_t>(static_cast<uint32_t>(n->i)));
    h = mix(h, static_cast<uint64_t>(n->ivalue));
    h = mix(h, std::bit_cast<uint64_t>(n->f));
    h = mix(h, std::bit_cast<uint64_t>(n->f2));
    h = mix(h, static_cast<uint64_t>(n->dim.raw()));
    for (Expr a : n->args) h = mix(h, std::bit_cast<uintptr_t>(a.get()));
    return static_cast<size_t>(h ^ h >> 32);
  }
};

struct NodeEqual {
  bool operator()(const ExprNode* a, const ExprNode* b) const {
    // Bits, not values: -0 and 0 are two constants, and nan is equal to itself.
    return a->op == b->op && a->dtype == b->dtype && a->guarded == b->guarded && a->i == b->i &&
           a->ivalue == b->ivalue && std::bit_cast<uint64_t>(a->f) == std::bit_cast<uint64_t>(b->f) &&
           std::bit_cast<uint64_t>(a->f2) == std::bit_cast<uint64_t>(b->f2) && a->dim.raw() == b->dim.raw() &&
           a->args == b->args;
  }
};

struct Table {
  std::mutex mutex;
  std::deque<ExprNode> nodes;  // addresses stay
  std::unordered_set<const ExprNode*, NodeHash, NodeEqual> index;
};

Table& table() {
  static Table* t = new Table;  // expressions in static objects outlive everything else
  return *t;
}

Expr intern(ExprNode&& node) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  if (auto it = t.index.find(&node); it != t.index.end()) return Expr(*it);
  t.nodes.push_back(std::move(node));
  t.index.insert(&t.nodes.back());
  return Expr(&t.nodes.back());
}

Expr make(ExprOp op, DType t, std::vector<Expr> args) {
  ExprNode n{.op = op, .dtype = t};
  n.args = std::move(args);
  return make_expr(std::move(n));
}

Expr leaf(ExprOp op, DType t, int i) { return intern(ExprNode{.op = op, .dtype = t, .i = i}); }

}  // namespace

const char* expr_op_name(ExprOp op) { return info(op).name; }

DType result_type(ExprOp op, std::span<const Expr> args) {
  const OpInfo& o = info(op);
  if (static_cast<int>(args.size()) != o.arity)
    type_error(op, args, o.arity == 1 ? "one argument" : "another number of arguments");
  for (Expr a : args) {
    if (!a) type_error(op, args, "arguments that are not null");
  }
  DType t = args[op == ExprOp::Select ? 1 : 0].dtype();
  for (size_t k = op == ExprOp::Select ? 1 : 0; k < args.size(); ++k) {
    if (args[k].dtype() != t) type_error(op, args, "arguments of one type");
  }
  // Select only moves its values, so it takes the types that exist in memory only as well.
  if (op == ExprOp::Select) {
    if (args[0].dtype() != DType::Bool) type_error(op, args, "a bool condition");
    return t;
  }
  if (!(kind_of(t) & o.accepts)) {
    bool half = t == DType::F16 || t == DType::BF16;
    type_error(op, args,
               half ? "arithmetic in float32: 16-bit floats exist in memory only" : "a type that the op is made for");
  }
  if (op == ExprOp::MulHi && t != DType::U32) type_error(op, args, "uint32");
  if (op == ExprOp::Complex) return complex_type(t);
  if (o.result == Result::Bool) return DType::Bool;
  return o.result == Result::Other ? real_type(t) : t;  // Abs, Real, Imag
}

Expr make_expr(ExprNode node) {
  check_node(node);
  if (Expr simpler = simplify(node)) return simpler;
  return intern(std::move(node));
}

Expr constant(double v, DType t) {
  ExprNode n{.op = ExprOp::Const, .dtype = t};
  if (is_float(t) || is_complex(t)) {
    n.f = round_to(v, real_type(t));
  } else if (t == DType::Bool) {
    n.ivalue = v != 0;
  } else {
    n.ivalue = cast_value({.f = v}, DType::F64, t).i;
    bool exact = t == DType::U64 ? static_cast<double>(static_cast<uint64_t>(n.ivalue)) == v
                                 : static_cast<double>(n.ivalue) == v;
    if (!exact)
      throw InternalError("expression: the constant is not a number of its type")
          .got(std::to_string(v) + ": " + std::string(dtype_name(t)));
  }
  return intern(std::move(n));
}

Expr constant(std::complex<double> v, DType t) {
  if (!is_complex(t)) {
    if (v.imag() != 0) throw InternalError("expression: a complex constant of type " + std::string(dtype_name(t)));
    return constant(v.real(), t);
  }
  ExprNode n{.op = ExprOp::Const, .dtype = t};
  n.f = round_to(v.real(), real_type(t));
  n.f2 = round_to(v.imag(), real_type(t));
  return intern(std::move(n));
}

Expr constant_int(int64_t v, DType t) {
  if (!is_int(t) && t != DType::Bool) return constant(static_cast<double>(v), t);
  ExprNode n{.op = ExprOp::Const, .dtype = t};
  n.ivalue = wrap_int(v, t);
  return intern(std::move(n));
}

Expr constant_bool(bool v) { return constant_int(v, DType::Bool); }
Expr input(int k, DType t) { return leaf(ExprOp::Input, t, k); }
Expr param(int k, DType t) { return leaf(ExprOp::Param, t, k); }
Expr axis(int id) { return leaf(ExprOp::Axis, DType::I64, id); }
Expr acc(int id, DType t) { return leaf(ExprOp::Acc, t, id); }

Expr size(Dim d) {
  if (!d.is_symbolic()) return constant_int(d.raw());
  ExprNode n{.op = ExprOp::Size, .dtype = DType::I64};
  n.dim = d;
  return intern(std::move(n));
}

namespace {
Expr memory(ExprOp op, int buffer, DType t, std::vector<Expr> args, bool guarded) {
  ExprNode n{.op = op, .dtype = t, .guarded = guarded, .i = buffer};
  n.args = std::move(args);
  return make_expr(std::move(n));
}
}  // namespace

Expr at(int operand, DType t, std::vector<Expr> index) {
  return memory(ExprOp::At, operand, t, std::move(index), false);
}
Expr at_if(Expr predicate, int operand, DType t, std::vector<Expr> index, Expr other) {
  index.push_back(predicate);
  index.push_back(other);
  return memory(ExprOp::At, operand, t, std::move(index), true);
}
Expr load(int buffer, DType t, Expr flat) { return memory(ExprOp::Load, buffer, t, {flat}, false); }
Expr load_if(Expr predicate, int buffer, DType t, Expr flat, Expr other) {
  return memory(ExprOp::Load, buffer, t, {flat, predicate, other}, true);
}

Expr unary(ExprOp op, Expr a) { return make(op, result_type(op, std::span(&a, 1)), {a}); }
Expr binary(ExprOp op, Expr a, Expr b) {
  const Expr args[] = {a, b};
  return make(op, result_type(op, args), {a, b});
}
Expr select(Expr c, Expr a, Expr b) {
  const Expr args[] = {c, a, b};
  return make(ExprOp::Select, result_type(ExprOp::Select, args), {c, a, b});
}
Expr select_rare(Expr c, Expr a, Expr b) {
  const Expr args[] = {c, a, b};
  ExprNode n{.op = ExprOp::Select, .dtype = result_type(ExprOp::Select, args), .i = 1};
  n.args = {c, a, b};
  return make_expr(std::move(n));
}
Expr fma(Expr a, Expr b, Expr c) {
  const Expr args[] = {a, b, c};
  return make(ExprOp::Fma, result_type(ExprOp::Fma, args), {a, b, c});
}
Expr cast(Expr a, DType t) { return a && a.dtype() == t ? a : make(ExprOp::Cast, t, {a}); }
Expr bitcast(Expr a, DType t) { return a && a.dtype() == t ? a : make(ExprOp::Bitcast, t, {a}); }

// --- walks

namespace {

using Memo = std::unordered_map<const ExprNode*, Expr>;

// The node with other arguments; its type follows theirs unless it is the node's own choice.
Expr rebuild(Expr e, std::vector<Expr> args) {
  if (args == e->args) return e;
  ExprNode n = *e.get();
  n.args = std::move(args);
  bool typed = info(n.op).accepts != 0;
  if (typed) n.dtype = result_type(n.op, n.args);
  return make_expr(std::move(n));
}

Expr walk(Expr e, const std::function<Expr(Expr)>& f, bool top_down, Memo& memo) {
  if (auto it = memo.find(e.get()); it != memo.end()) return it->second;
  Expr out = top_down ? f(e) : Expr();
  if (!out) {
    std::vector<Expr> args;
    args.reserve(e->args.size());
    for (Expr a : e->args) args.push_back(walk(a, f, top_down, memo));
    out = rebuild(e, std::move(args));
    if (!top_down) {
      if (Expr r = f(out)) out = r;
    }
  }
  memo.emplace(e.get(), out);
  return out;
}

void visit_from(Expr e, const std::function<void(Expr)>& f, std::unordered_set<const ExprNode*>& seen) {
  if (!seen.insert(e.get()).second) return;
  for (Expr a : e->args) visit_from(a, f, seen);
  f(e);
}

}  // namespace

Expr rewrite(Expr e, const std::function<Expr(Expr)>& f) {
  Memo memo;
  return walk(e, f, false, memo);
}

Expr substitute(Expr e, const std::function<Expr(Expr)>& f) {
  Memo memo;
  return walk(e, f, true, memo);
}

void visit(Expr e, const std::function<void(Expr)>& f) {
  std::unordered_set<const ExprNode*> seen;
  visit_from(e, f, seen);
}

}  // namespace thixo
