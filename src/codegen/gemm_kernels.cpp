#include "codegen/gemm_kernels.h"

namespace thixo::codegen {
namespace {

Kernel tile_kernel(DType t, TileShape shape, bool add, bool fused) {
  Kernel k;
  k.buffers = {{"a", t, BufferKind::In, {}},
               {"b", t, BufferKind::In, {}},
               {"c", t, add ? BufferKind::InOut : BufferKind::Out, {}}};
  k.sizes = {Dim::named("k"), Dim::named("ldc")};
  KernelIds ids;
  const int lane = ids.fresh(), step = ids.fresh(), tile = ids.fresh();
  const int vectors = shape.nr / kLanes;
  Expr depth = size(k.sizes[0]), ldc = size(k.sizes[1]), panel = axis(k.par_axis);

  auto over_tile = [&](const std::function<Stmt(Expr i, Expr j)>& body) {
    const int i = ids.fresh(), j = ids.fresh();
    Stmt inner = make_loop(j, constant_int(vectors), LoopKind::Unrolled, {}, {body(axis(i), axis(j))});
    return make_loop(i, constant_int(shape.mr), LoopKind::Unrolled, {}, {std::move(inner)});
  };
  Stmt products = over_tile([&](Expr i, Expr j) {
    Expr a = load(0, t, (panel * depth + axis(step)) * constant_int(shape.mr) + i);
    Expr b = load(1, t, axis(step) * constant_int(shape.nr) + j * constant_int(kLanes) + axis(lane));
    Expr c = acc_at(tile, t, {i, j});
    return make_assign(tile, fused ? fma(a, b, c) : c + a * b, {i, j});
  });
  Stmt results = over_tile([&](Expr i, Expr j) {
    Expr at = (panel * constant_int(shape.mr) + i) * ldc + j * constant_int(kLanes) + axis(lane);
    Expr sum = acc_at(tile, t, {i, j});
    return make_store(2, at, add ? load(2, t, at) + sum : sum);
  });
  AccDecl acc{tile, t, Combine::Sum, {}, {shape.mr, vectors}};
  Stmt sums = make_loop(step, depth, LoopKind::Serial, {acc}, {std::move(products)});
  k.body = {make_loop(lane, constant_int(kLanes), LoopKind::Vector, {}, {std::move(sums), std::move(results)})};
  return k;
}

}  // namespace

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
