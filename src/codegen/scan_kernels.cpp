#include "codegen/scan_kernels.h"

#include "codegen/cast_kernels.h"

namespace thixo::codegen {
namespace {

constexpr int kGroup = 8;  // chains of additions that run side by side hide each other's latency

std::vector<Dim> scan_sizes(bool columns) {
  std::vector<Dim> s{Dim::named("n")};
  if (!columns) s.push_back(Dim::named("x_row"));
  s.push_back(Dim::named("x_step"));
  if (!columns) s.push_back(Dim::named("y_row"));
  s.push_back(Dim::named("y_step"));
  return s;
}

Kernel scan_kernel(DType t, int rows) {
  Kernel k;
  k.buffers = {{"x", t, BufferKind::In, {}}, {"y", t, BufferKind::Out, {}}};
  k.sizes = scan_sizes(false);
  const DType a = loaded_type(t);
  KernelIds ids;
  const int step = ids.fresh(), lane = ids.fresh(), sum = ids.fresh();
  Expr i = axis(step), row = axis(k.par_axis);
  if (rows > 1) row = row * constant_int(rows) + axis(lane);
  auto at = [&](size_t row_size) { return row * size(k.sizes[row_size]) + i * size(k.sizes[row_size + 1]); };
  const std::vector<Expr> element = rows > 1 ? std::vector<Expr>{axis(lane)} : std::vector<Expr>{};
  Expr value = rows > 1 ? acc_at(sum, a, element) : acc(sum, a);
  Block body{make_assign(sum, value + load(0, a, at(1)), element), make_store(1, at(3), value)};
  if (rows > 1) body = {make_loop(lane, constant_int(rows), LoopKind::Unrolled, {}, std::move(body))};
  AccDecl decl{sum, a, Combine::Sum, {}, rows > 1 ? std::vector<int>{rows} : std::vector<int>{}};
  k.body = {make_loop(step, size(k.sizes[0]), LoopKind::Serial, {decl}, std::move(body))};
  return k;
}

Kernel scan_columns_kernel(DType t) {
  Kernel k;
  k.vector_par = true;
  k.buffers = {{"x", t, BufferKind::In, {}}, {"y", t, BufferKind::Out, {}}};
  k.sizes = scan_sizes(true);
  const DType a = loaded_type(t);
  constexpr int kStep = 1, kSum = 2;
  auto at = [&](size_t step) { return axis(k.par_axis) + axis(kStep) * size(k.sizes[step]); };
  k.body = {make_loop(kStep, size(k.sizes[0]), LoopKind::Serial, {{kSum, a, Combine::Sum, {}}},
                      {make_assign(kSum, acc(kSum, a) + load(0, a, at(1))), make_store(1, at(2), acc(kSum, a))})};
  return k;
}

/// a and b, or a - mean, as the sums take them.
struct Terms {
  Expr sum, dot;
  Terms(Expr a, Expr b, Expr mean, bool centred) : sum(centred ? a - mean : a), dot(sum * (b - mean)) {}
};

std::vector<KernelBuffer> channel_buffers(DType t, BufferKind sums) {
  const DType a = loaded_type(t);
  return {{"a", t, BufferKind::In, {}},
          {"b", t, BufferKind::In, {}},
          {"mean", a, BufferKind::In, {}},
          {"sum", a, sums, {}},
          {"dot", a, sums, {}}};
}

Kernel channel_rows_kernel(DType t, bool centred) {
  Kernel k;
  k.buffers = channel_buffers(t, BufferKind::Out);
  for (const char* name : {"C", "R", "a_image", "a_channel", "b_image", "b_channel"})
    k.sizes.push_back(Dim::named(name));
  const DType type = loaded_type(t);
  constexpr int kElement = 1, kSum = 2, kDot = 3;
  Expr p = axis(k.par_axis), image = floor_div(p, size(k.sizes[0])), channel = mod(p, size(k.sizes[0]));
  auto at = [&](size_t image_size) {
    return image * size(k.sizes[image_size]) + channel * size(k.sizes[image_size + 1]) + axis(kElement);
  };
  const Terms v(load(0, type, at(2)), load(1, type, at(4)), load(2, type, channel), centred);
  k.body = {make_loop(kElement, size(k.sizes[1]), LoopKind::Vector,
                      {{kSum, type, Combine::Sum, {}}, {kDot, type, Combine::Sum, {}}},
                      {make_update(kSum, v.sum), make_update(kDot, v.dot)}),
            make_store(3, p, acc(kSum, type)), make_store(4, p, acc(kDot, type))};
  return k;
}

Kernel channel_columns_kernel(DType t, bool centred) {
  Kernel k;
  k.buffers = channel_buffers(t, BufferKind::InOut);
  for (const char* name : {"C", "a_row", "b_row"}) k.sizes.push_back(Dim::named(name));
  const DType type = loaded_type(t);
  constexpr int kChannel = 1;
  Expr c = axis(kChannel), row = axis(k.par_axis);
  const Terms v(load(0, type, row * size(k.sizes[1]) + c), load(1, type, row * size(k.sizes[2]) + c), load(2, type, c),
                centred);
  k.body = {make_loop(kChannel, size(k.sizes[0]), LoopKind::Vector, {},
                      {make_store(3, c, load(3, type, c) + v.sum), make_store(4, c, load(4, type, c) + v.dot)})};
  return k;
}

}  // namespace

void add_scan_kernels(PackSink& sink) {
  sink.group("cumsum");
  for (DType t : {DType::F32, DType::F64, DType::F16, DType::BF16, DType::I64, DType::C64, DType::C128}) {
    const std::string key = "cumsum." + std::string(dtype_short_name(t));
    sink.add(key + ".one", scan_kernel(t, 1));
    sink.add(key + ".eight", scan_kernel(t, kGroup));
    sink.add(key + ".columns", scan_columns_kernel(t));
  }
}

void add_channel_kernels(PackSink& sink) {
  sink.group("channel_sums");
  for (DType t : {DType::F32, DType::F64, DType::F16, DType::BF16}) {
    for (bool centred : {false, true}) {
      const std::string key = "channel_sums." + std::string(dtype_short_name(t)) + (centred ? ".centred" : "");
      sink.add(key + ".rows", channel_rows_kernel(t, centred));
      sink.add(key + ".columns", channel_columns_kernel(t, centred));
    }
  }
}

}  // namespace thixo::codegen
