#include "codegen/cast_kernels.h"

#include "codegen/pack.h"

namespace thixo::codegen {

Expr convert(Expr v, DType to) {
  const DType from = v.dtype();
  if (from == to) return v;
  if (to == DType::Bool) {
    if (!is_complex(from)) return binary(ExprOp::Ne, v, is_float(from) ? constant(0.0, from) : constant_int(0, from));
    Expr zero = constant(0.0, real_type(from));
    return ne(unary(ExprOp::Real, v), zero) | ne(unary(ExprOp::Imag, v), zero);
  }
  if (is_complex(to)) {
    const DType part = real_type(to);
    if (!is_complex(from)) return binary(ExprOp::Complex, cast(v, part), constant(0.0, part));
    return binary(ExprOp::Complex, cast(unary(ExprOp::Real, v), part), cast(unary(ExprOp::Imag, v), part));
  }
  return cast(is_complex(from) ? unary(ExprOp::Real, v) : v, to);
}

DType moved_type(DType t) {
  switch (item_size(t)) {
    case 1: return DType::U8;
    case 2: return DType::U16;
    case 4: return DType::U32;
    case 8: return DType::U64;
    default: return DType::C128;
  }
}

namespace {

Kernel cast_kernel(DType from, DType to, bool strided) {
  Kernel k;
  k.buffers = {{"x", from, BufferKind::In, {}}, {"out", to, BufferKind::Out, {}}};
  k.vector_par = true;
  Expr i = axis(0), read = i, write = i;
  if (strided) {
    k.sizes = {Dim::named("sx"), Dim::named("so")};
    read = i * size(k.sizes[0]);
    write = i * size(k.sizes[1]);
  }
  k.body = {make_store(1, write, convert(load(0, loaded_type(from), read), loaded_type(to)))};
  return k;
}

}  // namespace

void add_cast_kernels(PackSink& sink) {
  for (int f = 0; f < kDTypeCount; ++f) {
    const DType from = static_cast<DType>(f);
    sink.group("cast." + std::string(dtype_short_name(from)));
    for (int t = 0; t < kDTypeCount; ++t) {
      const DType to = static_cast<DType>(t);
      if (from == to) continue;
      const std::string key = "cast." + std::string(dtype_short_name(from)) + "." + std::string(dtype_short_name(to));
      sink.add(key + ".c", cast_kernel(from, to, false));
      sink.add(key + ".s", cast_kernel(from, to, true));
    }
  }
  sink.group("copy");
  for (DType t : {DType::U8, DType::U16, DType::U32, DType::U64, DType::C128}) {
    sink.add("copy." + std::to_string(item_size(t)) + ".s", cast_kernel(t, t, true));
  }
}

}  // namespace thixo::codegen
