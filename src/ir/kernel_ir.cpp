// KernelIR: building blocks and readable text.
#include "ir/kernel_ir.h"

#include <limits>

#include "thixo/error.h"

namespace thixo {

Expr acc_at(int id, DType t, std::vector<Expr> index) {
  ExprNode n{};
  n.op = ExprOp::Acc;
  n.dtype = t;
  n.i = id;
  n.args = std::move(index);
  return make_expr(std::move(n));
}

Stmt make_loop(int axis_id, Expr extent, LoopKind kind, std::vector<AccDecl> accs, Block body) {
  Stmt s;
  s.axis = axis_id;
  s.extent = extent;
  s.loop = kind;
  s.accs = std::move(accs);
  s.body = std::move(body);
  return s;
}

static Stmt change_acc(Stmt::Kind kind, int id, Expr value, std::vector<Expr> index) {
  Stmt s;
  s.kind = kind;
  s.acc = id;
  s.acc_index = std::move(index);
  s.value = value;
  return s;
}
Stmt make_update(int id, Expr value, std::vector<Expr> index) {
  return change_acc(Stmt::Update, id, value, std::move(index));
}
Stmt make_assign(int id, Expr value, std::vector<Expr> index) {
  return change_acc(Stmt::Assign, id, value, std::move(index));
}

static Stmt change_memory(Stmt::Kind kind, int buffer, Expr index, Expr value, Expr predicate) {
  Stmt s;
  s.kind = kind;
  s.buffer = buffer;
  s.index = index;
  s.predicate = predicate;
  s.value = value;
  return s;
}
Stmt make_store(int buffer, Expr index, Expr value, Expr predicate) {
  return change_memory(Stmt::Store, buffer, index, value, predicate);
}
Stmt make_add(int buffer, Expr index, Expr value, Expr predicate) {
  return change_memory(Stmt::Add, buffer, index, value, predicate);
}

Stmt make_if(Expr predicate, Block body) {
  Stmt s;
  s.kind = Stmt::If;
  s.predicate = predicate;
  s.body = std::move(body);
  return s;
}

namespace {

template <class T> Expr int_extreme(bool largest) {
  using L = std::numeric_limits<T>;
  return constant_int(static_cast<int64_t>(largest ? L::max() : L::min()), dtype_of<T>);
}

Expr extreme(DType t, bool largest) {
  switch (t) {
    case DType::I64: return int_extreme<int64_t>(largest);
    case DType::I32: return int_extreme<int32_t>(largest);
    case DType::I16: return int_extreme<int16_t>(largest);
    case DType::I8: return int_extreme<int8_t>(largest);
    case DType::U8: return int_extreme<uint8_t>(largest);
    case DType::U16: return int_extreme<uint16_t>(largest);
    case DType::U32: return int_extreme<uint32_t>(largest);
    case DType::U64: return int_extreme<uint64_t>(largest);
    case DType::Bool: return constant_bool(largest);
    default: break;
  }
  if (is_complex(t)) throw InternalError("complex numbers have no order").got(dtype_name(t));
  const double inf = std::numeric_limits<double>::infinity();
  return constant(largest ? inf : -inf, t);
}

Expr number(int v, DType t) {
  if (t == DType::Bool) return constant_bool(v != 0);
  if (is_int(t)) return constant_int(v, t);
  return constant(static_cast<double>(v), t);
}

}  // namespace

Expr neutral(Combine c, DType t) {
  switch (c) {
    case Combine::Sum: return number(0, t);
    case Combine::Prod: return number(1, t);
    case Combine::Min: return extreme(t, true);
    case Combine::Max: return extreme(t, false);
    case Combine::Or: return number(0, t);
    case Combine::And: return t == DType::Bool ? constant_bool(true) : number(-1, t);
  }
  throw InternalError("unknown Combine");
}

namespace {

const char* combine_name(Combine c) {
  constexpr const char* names[] = {"sum", "prod", "min", "max", "or", "and"};
  return names[static_cast<size_t>(c)];
}
const char* loop_name(LoopKind k) {
  constexpr const char* names[] = {"serial", "vector", "unrolled"};
  return names[static_cast<size_t>(k)];
}
const char* buffer_kind_name(BufferKind k) {
  constexpr const char* names[] = {"in", "out", "inout", "scratch"};
  return names[static_cast<size_t>(k)];
}

/// The text of a kernel, in the manner of
///   kernel scale(in x: f32, out y: f32; params 1)
///   par axis0 vector:
///     y[axis0] = mul(load0(axis0), p0)
class Printer {
 public:
  explicit Printer(const Kernel& k) : k_(k) {}

  std::string kernel() {
    out_ = "kernel " + k_.name + "(";
    for (size_t i = 0; i < k_.buffers.size(); ++i) {
      const KernelBuffer& b = k_.buffers[i];
      out_ += std::string(i ? ", " : "") + buffer_kind_name(b.kind) + " " + b.name + ": " +
              std::string(dtype_short_name(b.dtype));
      if (b.kind == BufferKind::Scratch) out_ += "[" + b.scratch_size.str() + "]";
    }
    for (size_t i = 0; i < k_.sizes.size(); ++i) out_ += (i ? ", " : "; ") + k_.sizes[i].str();
    if (k_.params) out_ += "; params " + std::to_string(k_.params);
    out_ += ")\npar axis" + std::to_string(k_.par_axis) + (k_.vector_par ? " vector:\n" : ":\n");
    block(k_.body, 1);
    return std::move(out_);
  }

  std::string statement(const Stmt& s) {
    stmt(s, 0);
    return std::move(out_);
  }

 private:
  void block(const Block& b, int depth) {
    for (const Stmt& s : b) stmt(s, depth);
  }

  void stmt(const Stmt& s, int depth) {
    out_.append(static_cast<size_t>(depth) * 2, ' ');
    switch (s.kind) {
      case Stmt::Loop: loop(s, depth); return;
      case Stmt::Update: out_ += element(s) + " <- " + expr(s.value); break;
      case Stmt::Assign: out_ += element(s) + " := " + expr(s.value); break;
      case Stmt::Store: out_ += target(s) + " = " + expr(s.value) + condition(s); break;
      case Stmt::Add: out_ += target(s) + " += " + expr(s.value) + condition(s); break;
      case Stmt::If:
        out_ += "if " + expr(s.predicate) + ":\n";
        block(s.body, depth + 1);
        return;
    }
    out_ += '\n';
  }

  void loop(const Stmt& s, int depth) {
    out_ += "for axis" + std::to_string(s.axis) + " in " + expr(s.extent) + " " + loop_name(s.loop);
    for (const AccDecl& a : s.accs) {
      out_ += ", acc" + std::to_string(a.id);
      for (size_t i = 0; i < a.tile.size(); ++i) out_ += (i ? ", " : "[") + std::to_string(a.tile[i]);
      out_ += std::string(a.tile.empty() ? "" : "]") + " = " + combine_name(a.combine) + " " +
              std::string(dtype_short_name(a.dtype));
      if (a.init) out_ += "(" + expr(a.init) + ")";
    }
    out_ += ":\n";
    block(s.body, depth + 1);
  }

  std::string expr(Expr e) { return e ? expr_str(e) : "null"; }
  std::string element(const Stmt& s) {
    std::string out = "acc" + std::to_string(s.acc);
    for (size_t i = 0; i < s.acc_index.size(); ++i) out += (i ? ", " : "[") + expr(s.acc_index[i]);
    return out + (s.acc_index.empty() ? "" : "]");
  }
  std::string target(const Stmt& s) {
    const bool known = s.buffer >= 0 && static_cast<size_t>(s.buffer) < k_.buffers.size();
    const std::string name = known ? k_.buffers[static_cast<size_t>(s.buffer)].name : "b" + std::to_string(s.buffer);
    return name + "[" + expr(s.index) + "]";
  }
  std::string condition(const Stmt& s) { return s.predicate ? " where " + expr(s.predicate) : ""; }

  const Kernel& k_;
  std::string out_;
};

}  // namespace

std::string Kernel::str() const { return Printer(*this).kernel(); }

std::string stmt_str(const Kernel& k, const Stmt& s) { return Printer(k).statement(s); }

}  // namespace thixo
