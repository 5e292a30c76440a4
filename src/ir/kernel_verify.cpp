// The grammar of KernelIR: every rule that a kernel must keep, checked before it is lowered.
#include <map>
#include <set>
#include <unordered_set>

#include "ir/kernel_ir.h"
#include "thixo/error.h"

namespace thixo {

namespace {
bool updates_in_vector(const Block& body, int id, bool in_vector) {
  for (const Stmt& s : body) {
    if ((s.kind == Stmt::Update || s.kind == Stmt::Assign) && s.acc == id && in_vector) return true;
    const bool vector = in_vector || (s.kind == Stmt::Loop && s.loop == LoopKind::Vector);
    if (updates_in_vector(s.body, id, vector)) return true;
  }
  return false;
}
}  // namespace

bool folds_lanes(const Stmt& loop, int id) {
  return loop.loop == LoopKind::Vector || updates_in_vector(loop.body, id, false);
}

namespace {

constexpr int kMaxUnrolledDepth = 4;
constexpr int64_t kMaxUnrolledExtent = 65535;
constexpr int kMaxTile = 1024;

bool identifier(const std::string& name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string::npos;
}

class Verifier {
 public:
  explicit Verifier(const Kernel& k) : k_(k) {}

  void run() {
    if (!identifier(k_.name)) throw InternalError("kernel name '" + k_.name + "' is not a C identifier");
    for (const KernelBuffer& b : k_.buffers) {
      if (b.kind == BufferKind::Scratch) dim(b.scratch_size);
    }
    axes_[k_.par_axis] = k_.vector_par ? AxisKind::Lane : AxisKind::Scalar;
    vector_ = k_.vector_par;
    block(k_.body);
  }

 private:
  enum class AxisKind { Scalar, Lane, Unrolled };
  struct Acc {
    const AccDecl* decl;
    bool folds;         // 16 lanes until the declaring loop ends
    bool open;          // that loop has not ended
    bool per_lane;      // declared inside a Vector loop
  };

  [[noreturn]] void fail(const std::string& what) const {
    Error e = InternalError("kernel " + k_.name + ": " + what);
    if (stmt_) e.got(stmt_str(k_, *stmt_));
    throw e;
  }
  void need(bool ok, const char* rule) const {
    if (!ok) fail(rule);
  }

  void block(const Block& body) {
    std::vector<int> declared;
    for (const Stmt& s : body) {
      stmt_ = &s;
      if (s.kind == Stmt::Loop) {
        loop(s);
        for (const AccDecl& a : s.accs) declared.push_back(a.id);
      } else {
        simple(s);
      }
    }
    for (int id : declared) accs_.erase(id);
  }

  void loop(const Stmt& s) {
    need(s.extent && s.extent.dtype() == DType::I64, "a loop's extent is an i64 expression");
    expr(s.extent);
    need(!lane_dependent(s.extent), "a loop's extent is the same for all lanes");
    need(!axes_.count(s.axis), "a loop's axis is its own");
    for (const AccDecl& a : s.accs) declare(s, a);
    const bool vector = s.loop == LoopKind::Vector, unrolled = s.loop == LoopKind::Unrolled;
    if (vector) need(!vector_, "only one Vector loop may be active");
    if (unrolled) {
      need(s.extent->op == ExprOp::Const && s.extent->ivalue <= kMaxUnrolledExtent,
           "an Unrolled loop has a constant extent below 65536");
      need(unrolled_ < kMaxUnrolledDepth, "at most four Unrolled loops stand around a statement");
    }
    axes_[s.axis] = vector ? AxisKind::Lane : unrolled ? AxisKind::Unrolled : AxisKind::Scalar;
    vector_ |= vector;
    unrolled_ += unrolled;
    block(s.body);
    unrolled_ -= unrolled;
    if (vector) vector_ = false;
    axes_.erase(s.axis);
    for (const AccDecl& a : s.accs) accs_.at(a.id).open = false;
  }

  void declare(const Stmt& s, const AccDecl& a) {
    need(!accs_.count(a.id), "an accumulator is declared once");
    need(a.dtype != DType::F16 && a.dtype != DType::BF16, "an accumulator is not f16 or bf16");
    const bool logic = a.combine == Combine::Or || a.combine == Combine::And;
    if (a.dtype == DType::Bool) need(logic, "a bool accumulator combines with or, and");
    if (logic) need(a.dtype == DType::Bool || is_int(a.dtype), "or, and combine bool and integers");
    if (is_complex(a.dtype)) {
      need(a.combine == Combine::Sum || a.combine == Combine::Prod, "complex numbers combine with sum, prod");
    }
    if (a.init) {
      need(a.init.dtype() == a.dtype, "an accumulator's init has its type");
      expr(a.init);
      need(vector_ || !lane_dependent(a.init), "an init outside a Vector loop is a scalar");
    }
    int64_t elements = 1;
    for (int n : a.tile) {
      need(n > 0 && n <= kMaxTile, "a tile's extents are positive and small");
      elements *= n;
      need(elements <= kMaxTile, "a tile has at most 1024 elements");
    }
    accs_[a.id] = {&a, !vector_ && folds_lanes(s, a.id), true, vector_};
  }

  void simple(const Stmt& s) {
    switch (s.kind) {
      case Stmt::Update:
      case Stmt::Assign: {
        const Acc& a = use(s.acc, s.acc_index);
        need(s.value && s.value.dtype() == a.decl->dtype, "a value has its accumulator's type");
        expr(s.value);
        if (!a.per_lane && !a.folds) need(!lane_dependent(s.value), "a scalar accumulator takes a scalar");
        break;
      }
      case Stmt::Store:
      case Stmt::Add: {
        const KernelBuffer& b = buffer(s.buffer);
        need(b.kind != BufferKind::In, "an In buffer is not written");
        need(s.value && element_of(b, s.value.dtype()), "a stored value has its buffer's type");
        need(s.kind == Stmt::Store || b.dtype != DType::Bool, "bool is not added to");
        need(s.index && s.index.dtype() == DType::I64, "an index is i64");
        expr(s.index);
        expr(s.value);
        if (s.predicate) {
          need(s.predicate.dtype() == DType::Bool, "a predicate is bool");
          expr(s.predicate);
        }
        break;
      }
      case Stmt::If:
        need(s.predicate && s.predicate.dtype() == DType::Bool, "a predicate is bool");
        expr(s.predicate);
        need(!lane_dependent(s.predicate), "an If's predicate is the same for all lanes");
        block(s.body);
        break;
      case Stmt::Loop: break;
    }
  }

  const KernelBuffer& buffer(int i) const {
    need(i >= 0 && static_cast<size_t>(i) < k_.buffers.size(), "the buffer exists");
    return k_.buffers[static_cast<size_t>(i)];
  }
  /// Whether a Load or a stored value of type t fits the buffer.
  static bool element_of(const KernelBuffer& b, DType t) {
    return t == b.dtype || (t == DType::F32 && (b.dtype == DType::F16 || b.dtype == DType::BF16));
  }

  const Acc& use(int id, const std::vector<Expr>& index) {
    const auto it = accs_.find(id);
    if (it == accs_.end()) fail("acc" + std::to_string(id) + " is not declared here");
    const Acc& a = it->second;
    if (a.folds && a.open) need(vector_, "an accumulator of lanes is used inside the Vector loop or after its own");
    need(index.size() == a.decl->tile.size(), "a tiled accumulator is named with one index per extent");
    for (Expr e : index) {
      need(e.dtype() == DType::I64, "an index is i64");
      visit(e, [&](Expr n) {
        if (n->op != ExprOp::Axis) return;
        const auto found = axes_.find(n->i);
        need(found != axes_.end() && found->second == AxisKind::Unrolled,
             "a tile's index is made of constants and Unrolled axes");
      });
    }
    return a;
  }

  void expr(Expr root) {
    visit(root, [&](Expr e) { node(e); });
  }

  void node(Expr e) {
    switch (e->op) {
      case ExprOp::Input:
      case ExprOp::At: fail("an Input or At belongs to definitions, not to kernels: " + expr_str(e));
      case ExprOp::Param: need(e->i >= 0 && e->i < k_.params, "the Param exists"); break;
      case ExprOp::Axis:
        if (!axes_.count(e->i)) fail("axis" + std::to_string(e->i) + " is not a loop around it");
        break;
      case ExprOp::Size: dim(e->dim); break;
      case ExprOp::Acc: {
        const Acc& a = use(e->i, e->args);
        need(a.decl->dtype == e->dtype, "an accumulator is read in its own type");
        break;
      }
      case ExprOp::Load: {
        const KernelBuffer& b = buffer(e->i);
        need(element_of(b, e->dtype), "a Load has its buffer's type");
        need(e->args.size() == (e->guarded ? 3u : 1u), "a Load has one index");
        need(e->args[0].dtype() == DType::I64, "an index is i64");
        if (e->guarded) {
          need(e->args[1].dtype() == DType::Bool, "a predicate is bool");
          need(e->args[2].dtype() == e->dtype, "a Load's other value has its type");
        }
        break;
      }
      case ExprOp::MulHi: need(e->dtype == DType::U32, "MulHi is of u32"); break;
      case ExprOp::Bitcast:
        need(item_size(e->dtype) == item_size(e->args[0].dtype()) && !is_complex(e->dtype) &&
                 !is_complex(e->args[0].dtype()) && e->dtype != DType::Bool && e->args[0].dtype() != DType::Bool,
             "a Bitcast is between numbers of one size");
        break;
      case ExprOp::Const:
      case ExprOp::Select:
      case ExprOp::Cast: break;
      default: need(e->dtype != DType::F16 && e->dtype != DType::BF16, "f16 and bf16 have no arithmetic"); break;
    }
  }

  void dim(Dim d) const {
    if (!d.is_symbolic()) return;
    for (Dim s : k_.sizes) {
      if (s.raw() == d.raw()) return;
    }
    const DimNode& n = dim_node(d);
    if (n.op == 'n') fail("size " + n.name + " is not among the kernel's sizes");
    dim(n.a);
    dim(n.b);
  }

  bool lane_dependent(Expr root) const {
    bool found = false;
    visit(root, [&](Expr e) {
      if (e->op == ExprOp::Axis) {
        const auto it = axes_.find(e->i);
        found |= it != axes_.end() && it->second == AxisKind::Lane;
      } else if (e->op == ExprOp::Acc) {
        const auto it = accs_.find(e->i);
        found |= it != accs_.end() && (it->second.per_lane || (it->second.folds && it->second.open));
      }
    });
    return found;
  }

  const Kernel& k_;
  const Stmt* stmt_ = nullptr;
  std::map<int, AxisKind> axes_;
  std::map<int, Acc> accs_;
  bool vector_ = false;
  int unrolled_ = 0;
};

}  // namespace

void verify(const Kernel& k) { Verifier(k).run(); }

}  // namespace thixo
