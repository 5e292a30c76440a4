// The text form of expressions.
#include <charconv>
#include <cmath>
#include <map>
#include <unordered_map>

#include "ir/expr.h"

namespace thixo {
namespace {

constexpr double kLong = 64;  // more nodes than this, shared ones counted each time: name the shared ones

template <class T> std::string shortest(T v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
}

std::string float_text(double v, DType t) {
  return real_type(t) == DType::F64 ? shortest(v) : shortest(static_cast<float>(v));
}

std::string const_text(const ExprNode& n) {
  if (n.dtype == DType::Bool) return n.ivalue ? "true" : "false";
  if (n.dtype == DType::U64) return std::to_string(static_cast<uint64_t>(n.ivalue));
  if (is_int(n.dtype)) return std::to_string(n.ivalue);
  if (is_float(n.dtype)) return float_text(n.f, n.dtype);
  std::string im = float_text(n.f2, n.dtype);
  return "(" + float_text(n.f, n.dtype) + (im[0] == '-' ? "" : "+") + im + "j)";
}

class Printer {
 public:
  std::string print(Expr e) {
    count(e);
    if (tree_[e.get()] <= kLong) return text(e);
    name_shared_ = true;
    std::string body = text(e);
    return bindings_.empty() ? body : "{" + bindings_ + body + "}";
  }

 private:
  double count(Expr e) {
    ++uses_[e.get()];
    if (auto it = tree_.find(e.get()); it != tree_.end()) return it->second;
    double n = 1;
    for (Expr a : e->args) n += count(a);
    return tree_[e.get()] = n;
  }

  std::string text(Expr e) {
    if (!name_shared_ || e->args.empty() || uses_[e.get()] < 2) return node_text(*e.get());
    if (auto it = names_.find(e.get()); it != names_.end()) return it->second;
    std::string body = node_text(*e.get());
    std::string name = "t" + std::to_string(names_.size());
    bindings_ += name + " = " + body + "; ";
    return names_[e.get()] = name;
  }

  std::string node_text(const ExprNode& n) {
    std::string head = expr_op_name(n.op);
    switch (n.op) {
      case ExprOp::Const: return const_text(n);
      case ExprOp::Size: return "size(" + n.dim.str() + ")";
      case ExprOp::Cast:
      case ExprOp::Bitcast: head.append("<").append(dtype_short_name(n.dtype)).append(">"); break;
      case ExprOp::Select: head += n.i ? "_rare" : ""; break;
      case ExprOp::At:
      case ExprOp::Load: head += (n.guarded ? "_if" : "") + std::to_string(n.i); break;
      case ExprOp::Input:
      case ExprOp::Param:
      case ExprOp::Axis:
      case ExprOp::Acc: head += std::to_string(n.i); break;
      default: break;
    }
    bool brackets = !n.args.empty() || n.op == ExprOp::At;
    if (!brackets) return head;
    std::string inside;
    for (size_t i = 0; i < n.args.size(); ++i) inside += (i ? ", " : "") + text(n.args[i]);
    return head + "(" + inside + ")";
  }

  std::unordered_map<const ExprNode*, double> tree_;
  std::unordered_map<const ExprNode*, int> uses_;
  std::unordered_map<const ExprNode*, std::string> names_;
  std::string bindings_;
  bool name_shared_ = false;
};

}  // namespace

std::string expr_str(Expr e) { return e ? Printer().print(e) : "null"; }

}  // namespace thixo
