// The domain of a group (schedule.h says what that is): its rows and columns, where in it an outside value lies, and
// what a value of some shape is in it.
#pragma once

#include "codegen/schedule_group.h"

namespace thixo::codegen {

class Domain {
 public:
  Domain(const NodeGroup& group, KernelIds& ids);

  const Shape& shape() const { return shape_; }
  size_t split() const { return split_; }  ///< dims before it are rows
  Dim rows() const { return rows_; }
  Dim columns() const { return columns_; }
  /// Whether the group is one loop over all elements: par() goes over them, and there is no column().
  bool flat() const { return flat_; }
  int par_axis() const { return par_axis_; }
  int column_axis() const { return column_axis_; }

  // ---- indices ----

  Expr par() const { return axis(par_axis_); }
  Expr column() const { return axis(column_axis_); }
  /// The index along dim d of the domain at (row, column).
  Expr component(size_t d) const;
  /// Strides of an outside value in the domain's dims; 0 where it is broadcast.
  Strides aligned_strides(ValueId v) const;
  /// The same of an operand of a row node of that rank: it may lack the reduced dims, and then broadcasts without them.
  Strides row_strides(ValueId v, size_t rank) const;
  /// Flat index of an outside value with these aligned strides.
  Expr flat_index(const Strides& s, bool row_only) const;

  // ---- what a value is ----

  /// Without the reduced dims: [rows] where the group is [rows, columns].
  bool is_short(const Shape& s) const { return s.size() == split_ && s.size() != shape_.size(); }
  bool is_row(const Shape& s) const;
  bool is_full(const Shape& s) const;
  /// A value that every row shares: the shape of a row alone. It is computed like a full one.
  bool is_shared(const Shape& s) const;

  static bool one(Dim d) { return !d.is_symbolic() && d.raw() == 1; }
  static Expr times(Expr e, Dim d) { return one(d) ? e : e * size(d); }

 private:
  void find();
  int64_t uniform_suffix() const;
  bool all_alike() const;
  Expr part_index(const Strides& s, size_t from, size_t to, Expr whole) const;

  const NodeGroup& group_;
  int par_axis_ = 0, column_axis_ = 0;
  Shape shape_;
  size_t split_ = 0;
  Dim rows_ = 1, columns_ = 1;
  bool flat_ = false, has_reduction_ = false;
};

}  // namespace thixo::codegen
