// What the nodes of a group compute: each value as an expression at a place of the group's domain.
#pragma once

#include "codegen/schedule_domain.h"

namespace thixo::codegen {

class NodeValues {
 public:
  /// What a value of the group is while the kernel is built.
  struct Value {
    Expr expr;        // in the current pass; full values: at (row, column), row values: at the row
    bool full = false;
    int level = 0;  // the first pass in which it can be computed
  };
  struct Reduction {
    int id;
    Combine combine;
    Expr value;
    int level;
  };

  /// Buffers and params of the kernel are added to `out` as nodes need them.
  NodeValues(const NodeGroup& group, const Domain& domain, KernelIds& ids, Scheduled& out)
      : group_(group), domain_(domain), ids_(ids), out_(out) {}

  void add_node(int index);

  const std::vector<ValueId>& order() const { return order_; }
  const Value& operator[](ValueId v) const { return values_.at(v); }
  const std::vector<Reduction>& reductions() const { return reductions_; }
  /// The kernel's buffer of v, new if there is none yet.
  int buffer(ValueId v, BufferKind kind);

 private:
  void add_pointwise(int index);
  void add_nest(int index);
  Expr lower_at(const GraphNode& n, const NestCtx& c, Expr e, bool reduction, bool row,
                const std::function<Expr(Expr)>& lower, int* level);
  bool identity_access(const NestCtx& c, Expr e, size_t rank, bool reduction) const;
  bool row_access(Expr e, size_t rank) const;

  bool gives_row(const GraphNode& n) const;
  void require_full(ValueId v) const;
  bool keeps_its_type(ValueId v, Expr e) const;
  void define(ValueId v, Expr e, bool full, int level);

  Expr operand(ValueId v, bool row_node, size_t rank, int* level);
  Expr load_value(ValueId v, Expr index);
  Expr number_as(ValueId v, DType t) const;
  Expr own_param(int index, const std::string& attr, DType t);

  const NodeGroup& group_;
  const Domain& domain_;
  KernelIds& ids_;
  Scheduled& out_;
  std::map<ValueId, int> buffers_;
  std::map<ValueId, Value> values_;
  std::vector<ValueId> order_;
  std::vector<Reduction> reductions_;
};

}  // namespace thixo::codegen
