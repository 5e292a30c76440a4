#include "codegen/gemm_kernels.h"

#include "codegen/cast_kernels.h"

namespace thixo::codegen {
namespace {

Kernel tile_kernel(DType t, TileShape shape, bool add, bool fused) {
  Kernel k;
  k.buffers = {{"a", t, BufferKind::In, {}},
               {"b", t, BufferKind::In, {}},
               {"c", t, add ? BufferKind::InOut : BufferKind::Out, {}}};
  k.sizes = {Dim::named("k"), Dim::named("ldc")};
  KernelIds ids;
  const int lane = ids.fresh(), once = ids.fresh(), tile = ids.fresh();
  const int vectors = shape.nr / kLanes;
  Expr depth = size(k.sizes[0]), ldc = size(k.sizes[1]), panel = axis(k.par_axis);

  auto over_tile = [&](const std::function<Stmt(Expr i, Expr j)>& body) {
    const int i = ids.fresh(), j = ids.fresh();
    Stmt inner = make_loop(j, constant_int(vectors), LoopKind::Unrolled, {}, {body(axis(i), axis(j))});
    return make_loop(i, constant_int(shape.mr), LoopKind::Unrolled, {}, {std::move(inner)});
  };
  auto products = [&](Expr step) {
    return over_tile([&](Expr i, Expr j) {
      Expr a = load(0, t, (panel * depth + step) * constant_int(shape.mr) + i);
      Expr b = load(1, t, step * constant_int(shape.nr) + j * constant_int(kLanes) + axis(lane));
      Expr c = acc_at(tile, t, {i, j});
      return make_assign(tile, fused ? fma(a, b, c) : c + a * b, {i, j});
    });
  };
  Stmt results = over_tile([&](Expr i, Expr j) {
    Expr at = (panel * constant_int(shape.mr) + i) * ldc + j * constant_int(kLanes) + axis(lane);
    Expr sum = acc_at(tile, t, {i, j});
    return make_store(2, at, add ? load(2, t, at) + sum : sum);
  });
  AccDecl acc{tile, t, Combine::Sum, {}, {shape.mr, vectors}};
  // Four steps a turn: the loop's own instructions would cost a tenth.
  const int turn = ids.fresh(), step = ids.fresh(), rest = ids.fresh();
  const Expr four = constant_int(4), turns = floor_div(depth, four);
  Stmt each = make_loop(step, four, LoopKind::Unrolled, {}, {products(axis(turn) * four + axis(step))});
  Stmt most = make_loop(turn, turns, LoopKind::Serial, {}, {std::move(each)});
  Stmt last = make_loop(rest, depth - turns * four, LoopKind::Serial, {}, {products(turns * four + axis(rest))});
  Stmt sums = make_loop(once, constant_int(1), LoopKind::Serial, {acc}, {std::move(most), std::move(last)});
  k.body = {make_loop(lane, constant_int(kLanes), LoopKind::Vector, {}, {std::move(sums), std::move(results)})};
  return k;
}

struct Gemv {
  Kernel k;
  DType type;
  bool fused;
  static constexpr int kStep = 1, kSum = 2, kLane = 3, kVector = 4;

  Gemv(DType memory, bool fuse) : type(loaded_type(memory)), fused(fuse && is_float(memory)) {
    k.buffers = {{"a", memory, BufferKind::In, {}}, {"x", type, BufferKind::In, {}}, {"y", type, BufferKind::Out, {}}};
    k.sizes = {Dim::named("K"), Dim::named("lda")};
  }
  Expr next(Expr a, Expr sum) const {
    Expr x = load(1, type, axis(kStep));
    return fused ? fma(a, x, sum) : sum + a * x;
  }
  Expr depth() const { return size(k.sizes[0]); }
  Expr lda() const { return size(k.sizes[1]); }
};

Kernel gemv_rows_kernel(DType memory, bool fuse) {
  Gemv g(memory, fuse);
  Expr a = load(0, g.type, axis(g.k.par_axis) * g.lda() + axis(Gemv::kStep));
  g.k.body = {make_loop(Gemv::kStep, g.depth(), LoopKind::Vector, {{Gemv::kSum, g.type, Combine::Sum, {}}},
                        {make_assign(Gemv::kSum, g.next(a, acc(Gemv::kSum, g.type)))}),
              make_store(2, axis(g.k.par_axis), acc(Gemv::kSum, g.type))};
  return std::move(g.k);
}

Kernel gemv_columns_kernel(DType memory, bool fuse) {
  Gemv g(memory, fuse);
  constexpr int kVectors = kGemvColumns / kLanes;
  auto over_vectors = [&](const std::function<Stmt(Expr column, Expr sum, Expr v)>& body) {
    Expr v = axis(Gemv::kVector),
         column = axis(g.k.par_axis) * constant_int(kGemvColumns) + v * constant_int(kLanes) + axis(Gemv::kLane);
    return make_loop(Gemv::kVector, constant_int(kVectors), LoopKind::Unrolled, {},
                     {body(column, acc_at(Gemv::kSum, g.type, {v}), v)});
  };
  Stmt products = over_vectors([&](Expr column, Expr sum, Expr v) {
    return make_assign(Gemv::kSum, g.next(load(0, g.type, axis(Gemv::kStep) * g.lda() + column), sum), {v});
  });
  Stmt results = over_vectors([&](Expr column, Expr sum, Expr) { return make_store(2, column, sum); });
  AccDecl acc{Gemv::kSum, g.type, Combine::Sum, {}, {kVectors}};
  Stmt sums = make_loop(Gemv::kStep, g.depth(), LoopKind::Serial, {acc}, {std::move(products)});
  g.k.body = {
      make_loop(Gemv::kLane, constant_int(kLanes), LoopKind::Vector, {}, {std::move(sums), std::move(results)})};
  return std::move(g.k);
}

Kernel gemv_last_kernel(DType memory, bool fuse) {
  Gemv g(memory, fuse);
  g.k.vector_par = true;
  Expr a = load(0, g.type, axis(Gemv::kStep) * g.lda() + axis(g.k.par_axis));
  g.k.body = {make_loop(Gemv::kStep, g.depth(), LoopKind::Serial, {{Gemv::kSum, g.type, Combine::Sum, {}}},
                        {make_assign(Gemv::kSum, g.next(a, acc(Gemv::kSum, g.type)))}),
              make_store(2, axis(g.k.par_axis), acc(Gemv::kSum, g.type))};
  return std::move(g.k);
}

}  // namespace

void add_gemv_kernels(PackSink& sink) {
  sink.group("gemv");
  for (DType t : {DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32, DType::I64}) {
    for (bool fuse : {true, false}) {
      if (!fuse && !is_float(t)) continue;
      const std::string key = "gemv." + std::string(dtype_short_name(t)) + (fuse ? "" : ".det");
      sink.add(key + ".rows", gemv_rows_kernel(t, fuse));
      sink.add(key + ".columns", gemv_columns_kernel(t, fuse));
      sink.add(key + ".last", gemv_last_kernel(t, fuse));
    }
  }
}

void add_gemm_kernels(PackSink& sink) {
  for (DType t : {DType::F32, DType::F64, DType::I32, DType::I64}) {
    const std::string type(dtype_short_name(t));
    sink.group("gemm." + type);
    for (TileShape s : kTileShapes) {
      const std::string key = "gemm." + type + "." + std::to_string(s.mr) + "x" + std::to_string(s.nr);
      sink.add(key + ".set", tile_kernel(t, s, false, is_float(t)));
      sink.add(key + ".add", tile_kernel(t, s, true, is_float(t)));
      if (!is_float(t)) continue;
      sink.add(key + ".det.set", tile_kernel(t, s, false, false));
      sink.add(key + ".det.add", tile_kernel(t, s, true, false));
    }
  }
}

}  // namespace thixo::codegen
