#include "codegen/reduce_kernels.h"

#include <algorithm>

#include "codegen/cast_kernels.h"

namespace thixo::codegen {
namespace {

Expr combined(Combine c, Expr a, Expr b) {
  switch (c) {
    case Combine::Sum: return a + b;
    case Combine::Prod: return a * b;
    case Combine::Min: return min(a, b);
    case Combine::Max: return max(a, b);
    case Combine::Or: return binary(ExprOp::Or, a, b);
    default: return binary(ExprOp::And, a, b);
  }
}

Expr mapped(const ReduceForm& f, Expr element) {
  return rewrite(f.map, [&](Expr n) { return n->op == ExprOp::Input ? element : Expr(); });
}

Expr smaller(Expr a, Expr b) { return select(a < b, a, b); }

std::vector<KernelBuffer> buffers_of(const ReduceForm& f) {
  return {{"x", f.in, BufferKind::In, {}}, {"acc", f.acc(), BufferKind::InOut, {}}};
}

}  // namespace

std::optional<ReduceForm> reduce_form(const NestForm& nest) {
  if (!nest.combine || nest.reads.size() != 1 || !nest.params.empty()) return std::nullopt;
  const Expr at = nest.reads[0].at;
  const auto is_axis = [](Expr e) { return e->op == ExprOp::Axis; };
  if (at->guarded || !std::all_of(at->args.begin(), at->args.end(), is_axis)) return std::nullopt;
  ReduceForm f;
  f.in = nest.in[static_cast<size_t>(at->i)];
  f.combine = *nest.combine;
  const Expr element = convert(input(0, loaded_type(f.in)), at->dtype);
  f.map = substitute(nest.value, [&](Expr n) { return n == at ? element : Expr(); });
  bool plain = true;
  visit(f.map, [&](Expr n) { plain &= n->op != ExprOp::Axis && n->op != ExprOp::Size; });
  return plain ? std::optional(f) : std::nullopt;
}

ReduceForm combine_form(Combine combine, DType acc) {
  ReduceForm f;
  f.map = input(0, acc);
  f.in = acc;
  f.combine = combine;
  return f;
}

Kernel reduce_rows_kernel(const ReduceForm& f, bool contiguous) {
  Kernel k;
  k.buffers = buffers_of(f);
  k.sizes = {Dim::named("R"), Dim::named("kept")};
  if (!contiguous) k.sizes.push_back(Dim::named("reduced"));
  constexpr int kBlocks = 1, kInBlock = 2, kTotal = 3, kPart = 4;
  const Expr length = size(k.sizes[0]), row = axis(0) * size(k.sizes[1]);
  const Expr r = axis(kBlocks) * constant_int(kReduceBlock) + axis(kInBlock);
  const Expr element = load(0, loaded_type(f.in), row + (contiguous ? r : r * size(k.sizes[2])));
  const Expr rest = length - axis(kBlocks) * constant_int(kReduceBlock);
  Stmt block = make_loop(kInBlock, smaller(rest, constant_int(kReduceBlock)), LoopKind::Vector,
                         {{kPart, f.acc(), f.combine, {}}}, {make_update(kPart, mapped(f, element))});
  const Expr blocks = floor_div(length + constant_int(kReduceBlock - 1), constant_int(kReduceBlock));
  Stmt rows = make_loop(kBlocks, blocks, LoopKind::Serial, {{kTotal, f.acc(), f.combine, {}}},
                        {block, make_update(kTotal, acc(kPart, f.acc()))});
  const Expr before = load(1, f.acc(), axis(0));
  k.body = {rows, make_store(1, axis(0), combined(f.combine, before, acc(kTotal, f.acc())))};
  return k;
}

Kernel reduce_columns_kernel(const ReduceForm& f, bool contiguous) {
  Kernel k;
  k.buffers = buffers_of(f);
  k.sizes = {Dim::named("C"), Dim::named("reduced")};
  if (!contiguous) k.sizes.push_back(Dim::named("kept"));
  const Expr c = axis(1);
  const Expr element = load(0, loaded_type(f.in), axis(0) * size(k.sizes[1]) + (contiguous ? c : c * size(k.sizes[2])));
  const Expr sum = combined(f.combine, load(1, f.acc(), c), mapped(f, element));
  k.body = {make_loop(1, size(k.sizes[0]), LoopKind::Vector, {}, {make_store(1, c, sum)})};
  return k;
}

FinishKernel finish_kernel(const NestForm& nest, DType acc_type, DType out) {
  FinishKernel f;
  Kernel& k = f.kernel;
  k.vector_par = true;
  k.buffers = {{"acc", acc_type, BufferKind::In, {}}, {"out", out, BufferKind::Out, {}}};
  Expr value = load(0, acc_type, axis(0));
  if (nest.finish) {
    value = substitute(nest.finish(value), [&](Expr n) -> Expr {
      if (n->op != ExprOp::Size || !n->dim.is_symbolic()) return {};
      auto known = std::find_if(f.sizes.begin(), f.sizes.end(), [&](Dim d) { return d.raw() == n->dim.raw(); });
      if (known == f.sizes.end()) {
        f.sizes.push_back(n->dim);
        k.sizes.push_back(Dim::named("z" + std::to_string(k.sizes.size())));
        return size(k.sizes.back());
      }
      return size(k.sizes[static_cast<size_t>(known - f.sizes.begin())]);
    });
  }
  k.body = {make_store(1, axis(0), convert(value, loaded_type(out)))};
  return f;
}

}  // namespace thixo::codegen
