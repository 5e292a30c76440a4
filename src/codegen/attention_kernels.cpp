#include "codegen/attention_kernels.h"

#include <limits>

namespace thixo::codegen {
namespace {

struct RowKernel {
  Kernel k;
  DType t;
  int mask, lse;  // buffers

  RowKernel(DType type, bool masked, BufferKind lse_kind) : t(type), mask(1), lse(masked ? 2 : 1) {
    k.buffers = {{"s", t, BufferKind::InOut, {}}};
    if (masked) k.buffers.push_back({"mask", t, BufferKind::In, {}});
    k.buffers.push_back({"lse", t, lse_kind, {}});
    k.params = 1;
    for (const char* name : {"columns", "ld", "first"}) k.sizes.push_back(Dim::named(name));
    if (masked) k.sizes.push_back(Dim::named("mask_ld"));
  }
  bool masked() const { return lse == 2; }
  Expr row() const { return axis(k.par_axis); }
  Expr seen() const {
    Expr last = size(k.sizes[2]) + row() + constant_int(1), columns = size(k.sizes[0]);
    return select(last < columns, last, columns);
  }
  Expr at(int column) const { return row() * size(k.sizes[1]) + axis(column); }
  Expr score(int column) const {
    Expr v = load(0, t, at(column)) * param(0, t);
    return masked() ? v + load(mask, t, row() * size(k.sizes[3]) + axis(column)) : v;
  }
  /// Zeros in the columns that are not seen.
  Stmt clear_rest(int column) const {
    Expr at = row() * size(k.sizes[1]) + seen() + axis(column);
    return make_loop(column, size(k.sizes[0]) - seen(), LoopKind::Vector, {}, {make_store(0, at, constant(0.0, t))});
  }
};

Kernel softmax_kernel(DType t, bool masked) {
  RowKernel r(t, masked, BufferKind::Out);
  constexpr int kFirst = 1, kSecond = 2, kThird = 3, kRest = 4, kMost = 5, kSum = 6;
  const Expr infinity = constant(-std::numeric_limits<double>::infinity(), t), zero = constant(0.0, t);
  Expr most = acc(kMost, t), sum = acc(kSum, t);
  most = select(eq(most, infinity), zero, most);
  Expr divisor = select(eq(sum, zero), constant(1.0, t), sum);
  Stmt largest = make_loop(kFirst, r.seen(), LoopKind::Vector, {{kMost, t, Combine::Max, {}}},
                           {make_update(kMost, r.score(kFirst)), make_store(0, r.at(kFirst), r.score(kFirst))});
  Expr e = exp(load(0, t, r.at(kSecond)) - most);
  Stmt sums = make_loop(kSecond, r.seen(), LoopKind::Vector, {{kSum, t, Combine::Sum, {}}},
                        {make_update(kSum, e), make_store(0, r.at(kSecond), e)});
  Stmt divide = make_loop(kThird, r.seen(), LoopKind::Vector, {},
                          {make_store(0, r.at(kThird), load(0, t, r.at(kThird)) * (constant(1.0, t) / divisor))});
  r.k.body = {std::move(largest), std::move(sums), std::move(divide), r.clear_rest(kRest),
              make_store(r.lse, r.row(), log(divisor) + most)};
  return std::move(r.k);
}

Kernel again_kernel(DType t, bool masked) {
  RowKernel r(t, masked, BufferKind::In);
  constexpr int kColumn = 1, kRest = 2;
  Expr p = exp(r.score(kColumn) - load(r.lse, t, r.row()));
  r.k.body = {make_loop(kColumn, r.seen(), LoopKind::Vector, {}, {make_store(0, r.at(kColumn), p)}),
              r.clear_rest(kRest)};
  return std::move(r.k);
}

Kernel scores_kernel(DType t) {
  Kernel k;
  k.buffers = {{"p", t, BufferKind::In, {}}, {"d", t, BufferKind::InOut, {}}, {"share", t, BufferKind::In, {}}};
  k.params = 1;
  k.sizes = {Dim::named("columns"), Dim::named("ld")};
  constexpr int kColumn = 1;
  Expr row = axis(k.par_axis), at = row * size(k.sizes[1]) + axis(kColumn);
  Expr d = load(0, t, at) * (load(1, t, at) - load(2, t, row)) * param(0, t);
  k.body = {make_loop(kColumn, size(k.sizes[0]), LoopKind::Vector, {}, {make_store(1, at, d)})};
  return k;
}

Kernel share_kernel(DType t) {
  Kernel k;
  k.buffers = {{"a", t, BufferKind::In, {}}, {"b", t, BufferKind::In, {}}, {"share", t, BufferKind::Out, {}}};
  k.sizes = {Dim::named("columns"), Dim::named("a_ld"), Dim::named("b_ld")};
  constexpr int kColumn = 1, kSum = 2;
  Expr row = axis(k.par_axis);
  Expr product =
      load(0, t, row * size(k.sizes[1]) + axis(kColumn)) * load(1, t, row * size(k.sizes[2]) + axis(kColumn));
  k.body = {make_loop(kColumn, size(k.sizes[0]), LoopKind::Vector, {{kSum, t, Combine::Sum, {}}},
                      {make_update(kSum, product)}),
            make_store(2, row, acc(kSum, t))};
  return k;
}

}  // namespace

void add_attention_kernels(PackSink& sink) {
  sink.group("attention");
  for (DType t : {DType::F32, DType::F64}) {
    const std::string type(dtype_short_name(t));
    for (bool masked : {false, true}) {
      const std::string key = type + (masked ? ".mask" : "");
      sink.add("attention.softmax." + key, softmax_kernel(t, masked));
      sink.add("attention.again." + key, again_kernel(t, masked));
    }
    sink.add("attention.scores." + type, scores_kernel(t));
    sink.add("attention.share." + type, share_kernel(t));
  }
}

}  // namespace thixo::codegen
