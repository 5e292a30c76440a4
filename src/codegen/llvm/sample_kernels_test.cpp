// The sample kernels. Each is short; what a plain loop makes of it stands beside.
#include "codegen/llvm/sample_kernels.h"

#include <cmath>
#include <limits>

namespace thixo::codegen::samples {

namespace {

constexpr DType kF32 = DType::F32, kF64 = DType::F64, kI32 = DType::I32, kI64 = DType::I64;

KernelBuffer in(const char* name, DType t) { return {name, t, BufferKind::In, {}}; }
KernelBuffer out(const char* name, DType t) { return {name, t, BufferKind::Out, {}}; }
KernelBuffer inout(const char* name, DType t) { return {name, t, BufferKind::InOut, {}}; }
Expr f32(int buffer, Expr index) { return load(buffer, kF32, index); }
Dim rows() { return Dim::named("R"); }
Dim columns() { return Dim::named("C"); }

Sample vectorised(const char* name, std::vector<KernelBuffer> buffers, Block body, int64_t n) {
  Sample s;
  s.kernel.name = name;
  s.kernel.buffers = std::move(buffers);
  s.kernel.vector_par = true;
  s.kernel.body = std::move(body);
  s.end = n;
  return s;
}

/// A kernel whose parallel axis a0 goes over rows and whose sizes are R and C.
Sample by_rows(const char* name, std::vector<KernelBuffer> buffers, Block body, int64_t r, int64_t c) {
  Sample s = vectorised(name, std::move(buffers), std::move(body), r);
  s.kernel.vector_par = false;
  s.kernel.sizes = {rows(), columns()};
  s.ints = {r, c};
  return s;
}

template <class T> Bytes room(int64_t n) { return Bytes(static_cast<size_t>(n) * sizeof(T)); }

/// What 16 lanes make of the values: see kernel_ir.h.
template <class T, class F> T fold_lanes(const std::vector<T>& values, T neutral_value, F combine) {
  std::vector<T> lane(kLanes, neutral_value);
  for (size_t i = 0; i < values.size(); ++i) lane[i % kLanes] = combine(lane[i % kLanes], values[i]);
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) lane[i] = combine(lane[i], lane[i + half]);
  }
  return lane[0];
}
template <class T> T lane_sum(const std::vector<T>& values) {
  return fold_lanes(values, T(0), [](T a, T b) { return a + b; });
}

// ---- pointwise

Sample pointwise_f32(int64_t n, bool fused) {
  Numbers numbers(1);
  const auto x = numbers.reals<float>(n), y = numbers.reals<float>(n);
  std::vector<float> z(x.size());
  for (size_t i = 0; i < z.size(); ++i) {
    const float m = x[i] > 0 ? x[i] : 0;
    z[i] = fused ? std::fma(x[i], y[i], m) : x[i] * y[i] + m;
    z[i] = z[i] / std::sqrt(std::fabs(y[i])) + 0.5f;
  }
  const Expr a = f32(0, axis(0)), b = f32(1, axis(0));
  Sample s = vectorised("pointwise_f32", {in("x", kF32), in("y", kF32), out("z", kF32)},
                        {make_store(2, axis(0), fma(a, b, max(a, 0.0)) / sqrt(abs(b)) + param(0, kF32))}, n);
  s.kernel.params = 1;
  s.params = {0.5, 0};
  s.buffers = {to_bytes(x), to_bytes(y), room<float>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z)};
  return s;
}

Sample pointwise_f64(int64_t n, bool) {
  Numbers numbers(2);
  const auto x = numbers.reals<double>(n);
  std::vector<double> z(x.size());
  for (size_t i = 0; i < z.size(); ++i)
    z[i] = std::floor(x[i]) + std::nearbyint(x[i] * 2) * std::copysign(x[i] / 3, -x[i]);
  const Expr a = load(0, kF64, axis(0));
  const Expr value = unary(ExprOp::Floor, a) + unary(ExprOp::Round, a * 2.0) * binary(ExprOp::CopySign, a / 3.0, -a);
  Sample s = vectorised("pointwise_f64", {in("x", kF64), out("z", kF64)}, {make_store(1, axis(0), value)}, n);
  s.buffers = {to_bytes(x), room<double>(n)};
  s.expected = {s.buffers[0], to_bytes(z)};
  return s;
}

int64_t floor_div(int64_t a, int64_t b) { return b == 0 ? 0 : (a / b) - (a % b != 0 && (a % b < 0) != (b < 0)); }

Sample pointwise_i32(int64_t n, bool) {
  Numbers numbers(3);
  constexpr int32_t kSmallest = std::numeric_limits<int32_t>::min();
  std::vector<int32_t> x(static_cast<size_t>(n)), y(x.size()), z(4 * x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = i % 5 == 3 ? kSmallest : static_cast<int32_t>(numbers.next());
    y[i] = i % 5 == 3 ? -1 : static_cast<int32_t>(numbers.below(9)) - 4;  // 0 among them
    const int64_t a = x[i], b = y[i];
    z[i] = static_cast<int32_t>(b == 0 ? 0 : a / b);
    z[x.size() + i] = static_cast<int32_t>(floor_div(a, b));
    z[2 * x.size() + i] = static_cast<int32_t>(b == 0 ? 0 : a - floor_div(a, b) * b);
    z[3 * x.size() + i] = static_cast<int32_t>(static_cast<uint32_t>(a) << 5) ^ static_cast<int32_t>(a >> 3);
  }
  const Expr i = axis(0), a = load(0, kI32, i), b = load(1, kI32, i), size_n = size(columns());
  const Expr shifts =
      binary(ExprOp::Xor, binary(ExprOp::Shl, a, constant_int(5, kI32)), binary(ExprOp::Shr, a, constant_int(3, kI32)));
  Sample s = vectorised(
      "pointwise_i32", {in("x", kI32), in("y", kI32), out("z", kI32)},
      {make_store(2, i, a / b), make_store(2, i + size_n, floor_div(a, b)),
       make_store(2, i + size_n * constant_int(2), mod(a, b)), make_store(2, i + size_n * constant_int(3), shifts)},
      n);
  s.kernel.sizes = {columns()};
  s.ints = {n};
  s.buffers = {to_bytes(x), to_bytes(y), room<int32_t>(4 * n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z)};
  return s;
}

Sample pointwise_bool(int64_t n, bool) {
  Numbers numbers(4);
  const auto x = numbers.reals<float>(n);
  auto m = numbers.indices<uint8_t>(n, 2);
  std::vector<uint8_t> z(m.size());
  for (size_t i = 0; i < z.size(); ++i) z[i] = (x[i] < 1 && m[i]) || !(x[i] <= -2);
  const Expr a = f32(0, axis(0)), b = load(1, DType::Bool, axis(0));
  Sample s = vectorised("pointwise_bool", {in("x", kF32), in("m", DType::Bool), out("z", DType::Bool)},
                        {make_store(2, axis(0), ((a < 1.0) & b) | ~(a <= -2.0))}, n);
  s.buffers = {to_bytes(x), to_bytes(m), room<uint8_t>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z)};
  return s;
}

Sample small_integers(int64_t n, bool) {
  Numbers numbers(5);
  const auto x = numbers.indices<uint8_t>(n, 256);
  const auto y = numbers.indices<uint8_t>(n, 256);
  std::vector<uint8_t> z(x.size());
  std::vector<int16_t> w(x.size());
  for (size_t i = 0; i < z.size(); ++i) {
    z[i] = static_cast<uint8_t>(x[i] * y[i] + 3);
    w[i] = static_cast<int16_t>(static_cast<int8_t>(x[i]) - static_cast<int>(y[i]));
  }
  const Expr a = load(0, DType::U8, axis(0)), b = load(1, DType::U8, axis(0));
  const Expr wide = cast(bitcast(a, DType::I8), DType::I16) - cast(b, DType::I16);
  Sample s =
      vectorised("small_integers", {in("x", DType::U8), in("y", DType::U8), out("z", DType::U8), out("w", DType::I16)},
                 {make_store(2, axis(0), a * b + 3.0), make_store(3, axis(0), wide)}, n);
  s.buffers = {to_bytes(x), to_bytes(y), room<uint8_t>(n), room<int16_t>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z), to_bytes(w)};
  return s;
}

template <DType kHalf> Sample half(const char* name, int64_t n, float (*widen)(uint16_t), uint16_t (*narrow)(float)) {
  Numbers numbers(6);
  auto x = numbers.indices<uint16_t>(n, 0x7c00);  // positive, no infinity in either format
  auto y = numbers.indices<uint16_t>(n, 0x7c00);
  for (size_t i = 0; i < x.size(); i += 2) x[i] |= 0x8000;
  std::vector<uint16_t> z(x.size()), bits(x.size());
  std::vector<float> w(x.size());
  for (size_t i = 0; i < z.size(); ++i) {
    w[i] = widen(x[i]) + widen(y[i]) * 0.37f;
    z[i] = narrow(w[i]);
    bits[i] = widen(x[i]) < 0 ? x[i] : y[i];
  }
  const Expr a = f32(0, axis(0)), b = f32(1, axis(0)), sum = a + b * constant(0.37f, kF32);
  const Expr moved = select(a < 0.0, load(0, kHalf, axis(0)), load(1, kHalf, axis(0)));
  Sample s = vectorised(name, {in("x", kHalf), in("y", kHalf), out("z", kHalf), out("w", kF32), out("bits", kHalf)},
                        {make_store(2, axis(0), sum), make_store(3, axis(0), sum), make_store(4, axis(0), moved)}, n);
  s.buffers = {to_bytes(x), to_bytes(y), room<uint16_t>(n), room<float>(n), room<uint16_t>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z), to_bytes(w), to_bytes(bits)};
  return s;
}
Sample bf16(int64_t n, bool) { return half<DType::BF16>("bf16", n, bf16_to_f32, f32_to_bf16); }
Sample f16(int64_t n, bool) { return half<DType::F16>("f16", n, f16_to_f32, f32_to_f16); }

Sample complex_numbers(int64_t n, bool) {
  Numbers numbers(7);
  const auto x = numbers.reals<float>(2 * n);
  std::vector<float> z(x.size()), w(x.size());
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const size_t mirror = static_cast<size_t>(n) - 1 - i;
    const float re = x[2 * i], im = x[2 * i + 1];
    z[2 * i] = re + im;
    z[2 * i + 1] = -im;
    w[2 * mirror] = re;
    w[2 * mirror + 1] = im - 2;
  }
  const Expr a = load(0, DType::C64, axis(0)), re = unary(ExprOp::Real, a), im = unary(ExprOp::Imag, a);
  Sample s =
      vectorised("complex_numbers", {in("x", DType::C64), out("z", DType::C64), out("w", DType::C64)},
                 {make_store(1, axis(0), binary(ExprOp::Complex, re + im, -im)),
                  make_store(2, size(columns()) - axis(0) - constant_int(1), binary(ExprOp::Complex, re, im - 2.0))},
                 n);
  s.kernel.sizes = {columns()};
  s.ints = {n};
  s.buffers = {to_bytes(x), room<float>(2 * n), room<float>(2 * n)};
  s.expected = {s.buffers[0], to_bytes(z), to_bytes(w)};
  return s;
}

Sample casts(int64_t n, bool) {
  Numbers numbers(8);
  auto x = numbers.reals<float>(n);
  for (float& v : x) v *= 60;
  std::vector<int64_t> i64(x.size());
  std::vector<uint8_t> u8(x.size()), flag(x.size());
  std::vector<double> f64(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    i64[i] = static_cast<int64_t>(x[i]) * 1000000007;
    u8[i] = static_cast<uint8_t>(static_cast<int>(x[i]));
    flag[i] = x[i] != 0;
    f64[i] = static_cast<double>(static_cast<uint64_t>(i64[i]));
  }
  const Expr a = f32(0, axis(0)), wide = cast(a, kI64) * constant_int(1000000007);
  Sample s = vectorised(
      "casts", {in("x", kF32), out("i", kI64), out("u", DType::U8), out("b", DType::Bool), out("d", kF64)},
      {make_store(1, axis(0), wide), make_store(2, axis(0), cast(a, DType::U8)),
       make_store(3, axis(0), cast(a, DType::Bool)), make_store(4, axis(0), cast(cast(wide, DType::U64), kF64))},
      n);
  s.buffers = {to_bytes(x), room<int64_t>(n), room<uint8_t>(n), room<uint8_t>(n), room<double>(n)};
  s.expected = {s.buffers[0], to_bytes(i64), to_bytes(u8), to_bytes(flag), to_bytes(f64)};
  return s;
}

/// p and m are updated in place: the Ins are the Outs, and both stores use both.
Sample in_place(int64_t n, bool) {
  Numbers numbers(9);
  auto p = numbers.reals<float>(n), m = numbers.reals<float>(n);
  const std::vector<Bytes> before{to_bytes(p), to_bytes(m)};
  for (size_t i = 0; i < p.size(); ++i) {
    const float a = p[i], b = m[i];
    p[i] = a - b;
    m[i] = b * a;
  }
  const Expr a = f32(0, axis(0)), b = f32(1, axis(0));
  Sample s = vectorised("in_place", {in("p", kF32), in("m", kF32), out("p", kF32), out("m", kF32)},
                        {make_store(2, axis(0), a - b), make_store(3, axis(0), b * a)}, n);
  s.buffers = before;
  s.expected = {to_bytes(p), to_bytes(m)};
  return s;
}

// ---- layouts

Sample strided(int64_t n, bool) {
  Numbers numbers(10);
  const auto x = numbers.reals<float>(2 * n + 1);
  std::vector<float> z(static_cast<size_t>(3 * n)), back(static_cast<size_t>(n));
  for (size_t i = 0; i < back.size(); ++i) z[3 * i] = x[2 * i + 1], back[back.size() - 1 - i] = x[i];
  const Expr i = axis(0), stride = size(Dim::named("S")), n_size = size(columns());
  Sample s = vectorised("strided", {in("x", kF32), out("z", kF32), out("back", kF32)},
                        {make_store(1, i * stride, f32(0, i * constant_int(2) + constant_int(1))),
                         make_store(2, n_size - constant_int(1) - i, f32(0, i))},
                        n);
  s.kernel.sizes = {Dim::named("S"), columns()};
  s.ints = {3, n};
  s.buffers = {to_bytes(x), room<float>(3 * n), room<float>(n)};
  s.expected = {s.buffers[0], to_bytes(z), to_bytes(back)};
  return s;
}

/// z[r, c] = a[r] + b[c], the whole of it over one flattened axis, so indices are not affine.
Sample broadcast_flat(int64_t n, bool) {
  Numbers numbers(11);
  constexpr int64_t kColumns = 5;
  const int64_t r = n / kColumns + 1;
  const auto a = numbers.reals<float>(r), b = numbers.reals<float>(kColumns);
  std::vector<float> z(static_cast<size_t>(n));
  for (size_t i = 0; i < z.size(); ++i) z[i] = a[i / kColumns] + b[i % kColumns];
  const Expr i = axis(0), c = size(columns());
  Sample s = vectorised("broadcast_flat", {in("a", kF32), in("b", kF32), out("z", kF32)},
                        {make_store(2, i, f32(0, floor_div(i, c)) + f32(1, mod(i, c)))}, n);
  s.kernel.sizes = {columns()};
  s.ints = {kColumns};
  s.buffers = {to_bytes(a), to_bytes(b), room<float>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z)};
  return s;
}

// ---- reductions

/// A row's maximum, the sum of what is left below it, and the quotient: softmax's three passes.
Sample rows_two_passes(int64_t n, bool) {
  Numbers numbers(12);
  constexpr int64_t kRows = 3;
  const auto x = numbers.reals<float>(kRows * n);
  std::vector<float> z(x.size());
  for (size_t r = 0; r < kRows; ++r) {
    const std::vector<float> row(x.begin() + static_cast<long>(r * z.size() / kRows),
                                 x.begin() + static_cast<long>((r + 1) * z.size() / kRows));
    const float top =
        fold_lanes(row, -std::numeric_limits<float>::infinity(), [](float a, float b) { return a > b ? a : b; });
    std::vector<float> terms;
    for (float v : row) terms.push_back(1.0f / (1.0f + (top - v)));
    const float sum = lane_sum(terms);
    for (size_t c = 0; c < row.size(); ++c) z[r * row.size() + c] = terms[c] / sum;
  }
  const Expr c = size(columns());
  const auto value = [&](int a) { return f32(0, axis(0) * c + axis(a)); };
  const auto term = [&](int a) { return 1.0 / (1.0 + (acc(1, kF32) - value(a))); };
  Sample s =
      by_rows("rows_two_passes", {in("x", kF32), out("z", kF32)},
              {make_loop(1, c, LoopKind::Vector, {{1, kF32, Combine::Max, {}}}, {make_update(1, value(1))}),
               make_loop(2, c, LoopKind::Vector, {{2, kF32, Combine::Sum, {}}}, {make_update(2, term(2))}),
               make_loop(3, c, LoopKind::Vector, {}, {make_store(1, axis(0) * c + axis(3), term(3) / acc(2, kF32))})},
              kRows, n);
  s.buffers = {to_bytes(x), room<float>(kRows * n)};
  s.expected = {s.buffers[0], to_bytes(z)};
  return s;
}

/// Sums over the first of two axes, a vector of columns at a time, onto a value that is there already.
Sample columns_sum(int64_t n, bool) {
  Numbers numbers(13);
  constexpr int64_t kRows = 7;
  const auto x = numbers.reals<float>(kRows * n), base = numbers.reals<float>(n);
  std::vector<float> z = base;
  for (size_t c = 0; c < z.size(); ++c) {
    for (size_t r = 0; r < kRows; ++r) z[c] += x[r * z.size() + c];
  }
  Sample s = vectorised("columns_sum", {in("x", kF32), in("base", kF32), out("z", kF32)},
                        {make_loop(1, size(rows()), LoopKind::Serial, {{1, kF32, Combine::Sum, f32(1, axis(0))}},
                                   {make_update(1, f32(0, axis(1) * size(columns()) + axis(0)))}),
                         make_store(2, axis(0), acc(1, kF32))},
                        n);
  s.kernel.sizes = {rows(), columns()};
  s.ints = {kRows, n};
  s.buffers = {to_bytes(x), to_bytes(base), room<float>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z)};
  return s;
}

/// One sum over two axes: lanes go on through the rows and are folded once. Beside it a minimum and an "any".
Sample matrix_sum(int64_t n, bool) {
  Numbers numbers(14);
  constexpr int64_t kRows = 3;
  const auto x = numbers.reals<float>(kRows * n);
  std::vector<float> lane(kLanes, 0), smallest(kLanes, 1e30f);
  uint8_t any = 0;
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t c = 0; c < static_cast<size_t>(n); ++c) {
      const float v = x[r * static_cast<size_t>(n) + c];
      lane[c % kLanes] += v;
      smallest[0] = std::min(smallest[0], v);
      any |= v > 3.9f;
    }
  }
  for (size_t half_lanes = kLanes / 2; half_lanes > 0; half_lanes /= 2) {
    for (size_t i = 0; i < half_lanes; ++i) lane[i] += lane[i + half_lanes];
  }
  const std::vector<float> z{10 + lane[0], smallest[0]};
  const Expr v = f32(0, axis(1) * size(columns()) + axis(2));
  const std::vector<AccDecl> accs = {{1, kF32, Combine::Sum, constant(10.0, kF32)},
                                     {2, kF32, Combine::Min, constant(1e30f, kF32)},
                                     {3, DType::Bool, Combine::Or, {}}};
  Sample s = by_rows("matrix_sum", {in("x", kF32), out("z", kF32), out("any", DType::Bool)},
                     {make_loop(1, size(rows()), LoopKind::Serial, accs,
                                {make_loop(2, size(columns()), LoopKind::Vector, {},
                                           {make_update(1, v), make_update(2, v), make_update(3, v > double(3.9f))})}),
                      make_store(1, constant_int(0), acc(1, kF32)), make_store(1, constant_int(1), acc(2, kF32)),
                      make_store(2, constant_int(0), acc(3, DType::Bool))},
                     kRows, n);
  s.end = 1;
  s.buffers = {to_bytes(x), room<float>(2), room<uint8_t>(1)};
  s.expected = {s.buffers[0], to_bytes(z), to_bytes(std::vector<uint8_t>{any})};
  return s;
}

/// A dot product by Fma, whose lanes past the end must stay as they are.
Sample dot(int64_t n, bool fused) {
  Numbers numbers(15);
  const auto x = numbers.reals<double>(n), y = numbers.reals<double>(n);
  std::vector<double> lane(kLanes, 0);
  for (size_t i = 0; i < x.size(); ++i) {
    double& l = lane[i % kLanes];
    l = fused ? std::fma(x[i], y[i], l) : x[i] * y[i] + l;
  }
  for (size_t half_lanes = kLanes / 2; half_lanes > 0; half_lanes /= 2) {
    for (size_t i = 0; i < half_lanes; ++i) lane[i] += lane[i + half_lanes];
  }
  const Expr product = fma(load(0, kF64, axis(1)), load(1, kF64, axis(1)), acc(1, kF64));
  Sample s = by_rows(
      "dot", {in("x", kF64), in("y", kF64), out("z", kF64)},
      {make_loop(1, size(columns()), LoopKind::Vector, {{1, kF64, Combine::Sum, {}}}, {make_assign(1, product)}),
       make_store(2, constant_int(0), acc(1, kF64))},
      1, n);
  s.buffers = {to_bytes(x), to_bytes(y), room<double>(1)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(std::vector<double>{lane[0]})};
  return s;
}

/// The position of each column's first maximum: two accumulators that change together.
Sample argmax_columns(int64_t n, bool) {
  Numbers numbers(16);
  constexpr int64_t kRows = 9;
  const auto x = numbers.indices<int32_t>(kRows * n, 5);
  std::vector<int64_t> z(static_cast<size_t>(n));
  for (size_t c = 0; c < z.size(); ++c) {
    for (size_t r = 1; r < kRows; ++r) {
      if (x[r * z.size() + c] > x[static_cast<size_t>(z[c]) * z.size() + c]) z[c] = static_cast<int64_t>(r);
    }
  }
  const Expr v = load(0, kI32, axis(1) * size(columns()) + axis(0)), better = v > acc(1, kI32);
  Sample s = vectorised(
      "argmax_columns", {in("x", kI32), out("z", kI64)},
      {make_loop(1, size(rows()), LoopKind::Serial, {{1, kI32, Combine::Max, {}}, {2, kI64, Combine::Sum, {}}},
                 {make_assign(2, select(better, axis(1), acc(2, kI64))), make_update(1, v)}),
       make_store(1, axis(0), acc(2, kI64))},
      n);
  s.kernel.sizes = {rows(), columns()};
  s.ints = {kRows, n};
  s.buffers = {to_bytes(x), room<int64_t>(n)};
  s.expected = {s.buffers[0], to_bytes(z)};
  return s;
}

// ---- sequences, indices, windows

Sample scan_rows(int64_t n, bool) {
  Numbers numbers(17);
  constexpr int64_t kRows = 2;
  const auto x = numbers.reals<float>(kRows * n);
  std::vector<float> z(x.size());
  for (size_t r = 0; r < kRows; ++r) {
    float sum = 0;
    for (size_t c = 0; c < static_cast<size_t>(n); ++c)
      z[r * static_cast<size_t>(n) + c] = sum += x[r * static_cast<size_t>(n) + c];
  }
  const Expr at_c = axis(0) * size(columns()) + axis(1);
  Sample s = by_rows("scan_rows", {in("x", kF32), out("z", kF32)},
                     {make_loop(1, size(columns()), LoopKind::Serial, {{1, kF32, Combine::Sum, {}}},
                                {make_assign(1, acc(1, kF32) + f32(0, at_c)), make_store(1, at_c, acc(1, kF32))})},
                     kRows, n);
  s.buffers = {to_bytes(x), room<float>(kRows * n)};
  s.expected = {s.buffers[0], to_bytes(z)};
  return s;
}

/// Whole rows by index, and single elements by index, where a condition allows it.
Sample gather(int64_t n, bool) {
  Numbers numbers(18);
  constexpr int64_t kTable = 6;
  const auto table = numbers.reals<float>(kTable * n);
  const auto row = numbers.indices<int64_t>(4, kTable);
  auto element = numbers.indices<int32_t>(n, kTable * n + n);  // the last ones lie outside
  std::vector<float> z(static_cast<size_t>(4 * n)), picked(static_cast<size_t>(n));
  for (size_t r = 0; r < 4; ++r) {
    for (size_t c = 0; c < picked.size(); ++c)
      z[r * picked.size() + c] = table[static_cast<size_t>(row[r]) * picked.size() + c];
  }
  for (size_t c = 0; c < picked.size(); ++c) {
    const size_t e = static_cast<size_t>(element[c]);
    picked[c] = e < table.size() ? table[e] : -7;
  }
  const Expr c = size(columns()), e = cast(load(2, kI32, axis(1)), kI64);
  const Expr guarded = load_if(e < c * constant_int(kTable), 0, kF32, e, constant(-7.0, kF32));
  Sample s =
      by_rows("gather", {in("table", kF32), in("row", kI64), in("element", kI32), out("z", kF32), out("picked", kF32)},
              {make_loop(1, c, LoopKind::Vector, {},
                         {make_store(3, axis(0) * c + axis(1), f32(0, load(1, kI64, axis(0)) * c + axis(1))),
                          make_store(4, axis(1), guarded)})},
              4, n);
  s.buffers = {to_bytes(table), to_bytes(row), to_bytes(element), room<float>(4 * n), room<float>(n)};
  s.expected = {s.buffers[0], s.buffers[1], s.buffers[2], to_bytes(z), to_bytes(picked)};
  return s;
}

/// Adds with many duplicates: the order decides the bits. Odd elements are left out of the second.
Sample scatter_add(int64_t n, bool) {
  Numbers numbers(19);
  const auto x = numbers.reals<float>(n);
  const auto where = numbers.indices<int64_t>(n, 3);
  auto sums = numbers.reals<float>(3);
  std::vector<int64_t> counts(3);
  std::vector<uint16_t> halves(3);
  const std::vector<Bytes> before{to_bytes(sums), to_bytes(counts), to_bytes(halves)};
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t w = static_cast<size_t>(where[i]);
    sums[w] += x[i];
    if (i % 2 == 0) counts[w] += static_cast<int64_t>(i);
    halves[w] = f32_to_bf16(bf16_to_f32(halves[w]) + x[i]);
  }
  const Expr i = axis(1), to = load(1, kI64, i), even = eq(mod(i, constant_int(2)), constant_int(0));
  Sample s = by_rows(
      "scatter_add",
      {in("x", kF32), in("where", kI64), inout("sums", kF32), inout("counts", kI64), inout("halves", DType::BF16)},
      {make_loop(1, size(columns()), LoopKind::Vector, {},
                 {make_add(2, to, f32(0, i)), make_add(3, to, i, even), make_add(4, to, f32(0, i))})},
      1, n);
  s.buffers = {to_bytes(x), to_bytes(where), before[0], before[1], before[2]};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(sums), to_bytes(counts), to_bytes(halves)};
  return s;
}

/// The maximum of three neighbours, the edge left out by a predicate on each load.
Sample window_max(int64_t n, bool) {
  Numbers numbers(20);
  const auto x = numbers.reals<float>(n);
  std::vector<float> z(x.size());
  const int64_t last = n - 1;
  for (int64_t i = 0; i < n; ++i) {
    z[static_cast<size_t>(i)] = -std::numeric_limits<float>::infinity();
    for (int64_t j = std::max<int64_t>(i - 1, 0); j <= std::min(i + 1, last); ++j) {
      z[static_cast<size_t>(i)] = std::max(z[static_cast<size_t>(i)], x[static_cast<size_t>(j)]);
    }
  }
  const Expr at_j = axis(0) + axis(1) - constant_int(1);
  const Expr inside = (constant_int(0) <= at_j) & (at_j < size(columns()));
  Sample s = vectorised("window_max", {in("x", kF32), out("z", kF32)},
                        {make_loop(1, constant_int(3), LoopKind::Serial, {{1, kF32, Combine::Max, {}}},
                                   {make_update(1, load_if(inside, 0, kF32, at_j, neutral(Combine::Max, kF32)))}),
                         make_store(1, axis(0), acc(1, kF32))},
                        n);
  s.kernel.sizes = {columns()};
  s.ints = {n};
  s.buffers = {to_bytes(x), room<float>(n)};
  s.expected = {s.buffers[0], to_bytes(z)};
  return s;
}

/// Rows up to the parallel index: a triangular extent, an If, and a store where a predicate holds.
Sample triangle(int64_t n, bool) {
  Numbers numbers(21);
  const auto x = numbers.reals<float>(n * n);
  std::vector<float> z(x.size()), firsts(static_cast<size_t>(n));
  for (size_t r = 0; r < firsts.size(); ++r) {
    for (size_t c = 0; c < r; ++c)
      z[r * firsts.size() + c] = x[r * firsts.size() + c] > 0 ? x[r * firsts.size() + c] : 0;
    if (r % 3 == 1) firsts[r] = x[r * firsts.size()];
  }
  const Expr at_c = axis(0) * size(columns()) + axis(1), v = f32(0, at_c);
  Sample s = by_rows("triangle", {in("x", kF32), out("z", kF32), out("firsts", kF32)},
                     {make_loop(1, axis(0), LoopKind::Vector, {}, {make_store(1, at_c, v, v > 0.0)}),
                      make_if(eq(mod(axis(0), constant_int(3)), constant_int(1)),
                              {make_store(2, axis(0), f32(0, axis(0) * size(columns())))})},
                     n, n);
  s.buffers = {to_bytes(x), room<float>(n * n), room<float>(n)};
  s.expected = {s.buffers[0], to_bytes(z), to_bytes(firsts)};
  return s;
}

/// Comparisons of indices, near and far: bits of one integer.
Sample index_compare(int64_t n, bool) {
  constexpr int64_t kRows = 40;
  std::vector<int32_t> z(static_cast<size_t>(kRows * n));
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      const int64_t back = n - c;
      z[static_cast<size_t>(r * n + c)] = (c < r) + 2 * (c <= r) + 4 * (c == r) + 8 * (r < c) + 16 * (back <= r) +
                                          32 * (back != r) + 64 * (c < r * 10000000000 - 70000000000) +
                                          128 * (r < back);
    }
  }
  const Expr r = axis(0), c = axis(1), back = size(columns()) - c;
  const Expr far = r * constant_int(10000000000) - constant_int(70000000000);
  Expr value = constant_int(0, kI32);
  int32_t bit = 1;
  for (Expr e : {c < r, c <= r, eq(c, r), r < c, back <= r, ne(back, r), c < far, r < back}) {
    value = value + cast(e, kI32) * constant_int(bit, kI32);
    bit *= 2;
  }
  Sample s = by_rows(
      "index_compare", {out("z", kI32)},
      {make_loop(1, size(columns()), LoopKind::Vector, {}, {make_store(0, r * size(columns()) + c, value)})}, kRows, n);
  s.buffers = {room<int32_t>(kRows * n)};
  s.expected = {to_bytes(z)};
  return s;
}

/// A body so large that its tail goes through it as a whole block: a polynomial into row scratch, a sum of it, copies
/// as bf16 and complex; then a quotient. The first column is skipped, so that no stream begins where its buffer does.
Sample large_body(int64_t n, bool fused) {
  Numbers numbers(23);
  constexpr int64_t kRows = 3;
  constexpr int kDegree = 20;
  const auto x = numbers.reals<float>(kRows * (n + 1));
  auto shift = numbers.indices<uint16_t>(n, 0x4100);  // of bf16, up to 8
  const size_t width = static_cast<size_t>(n);
  std::vector<float> z(kRows * width), pairs(2 * kRows * width);
  std::vector<uint16_t> rounded(kRows * width);
  for (size_t r = 0; r < kRows; ++r) {
    std::vector<float> terms(width);
    for (size_t c = 0; c < width; ++c) {
      const float v = x[r * (width + 1) + c + 1] * 0.2f + bf16_to_f32(shift[c]);
      for (int k = 0; k < kDegree; ++k) {
        terms[c] =
            fused ? std::fma(terms[c], v * 0.1f, static_cast<float>(k)) : terms[c] * (v * 0.1f) + static_cast<float>(k);
      }
      rounded[r * width + c] = f32_to_bf16(terms[c]);
      pairs[2 * (r * width + c)] = terms[c];
      pairs[2 * (r * width + c) + 1] = v;
    }
    const float sum = lane_sum(terms);
    for (size_t c = 0; c < width; ++c) z[r * width + c] = terms[c] / sum;
  }
  const Expr c = size(columns()), one = constant_int(1), flat = axis(0) * c + axis(1);
  const Expr v = f32(0, axis(0) * (c + one) + axis(1) + one) * constant(0.2f, kF32) + f32(1, axis(1));
  Expr term = constant(0.0, kF32);
  for (int k = 0; k < kDegree; ++k) term = fma(term, v * constant(0.1f, kF32), constant(k, kF32));
  Sample s = by_rows(
      "large_body",
      {in("x", kF32),
       in("shift", DType::BF16),
       out("z", kF32),
       out("rounded", DType::BF16),
       out("pairs", DType::C64),
       {"row", kF32, BufferKind::Scratch, columns()}},
      {make_loop(1, c, LoopKind::Vector, {{1, kF32, Combine::Sum, {}}},
                 {make_store(5, axis(1), term), make_update(1, term), make_store(3, flat, term),
                  make_store(4, flat, binary(ExprOp::Complex, term, v))}),
       make_loop(2, c, LoopKind::Vector, {}, {make_store(2, axis(0) * c + axis(2), f32(5, axis(2)) / acc(1, kF32))})},
      kRows, n);
  s.buffers = {
      to_bytes(x),   to_bytes(shift), room<float>(kRows * n), room<uint16_t>(kRows * n), room<float>(2 * kRows * n),
      room<float>(n)};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(z), to_bytes(rounded), to_bytes(pairs), {}};
  return s;
}

/// C[6, n] = A[k, 6] B[k, n] in register tiles of 6 rows by 2 vectors, the panel of B copied to scratch first.
Sample contraction(int64_t n, bool fused) {
  Numbers numbers(22);
  constexpr int64_t kRows = 6, kInner = 11;
  const auto a = numbers.reals<float>(kInner * kRows), b = numbers.reals<float>(kInner * n);
  std::vector<float> c(static_cast<size_t>(kRows * n));
  const size_t width = static_cast<size_t>(n);
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t j = 0; j < width; ++j) {
      for (size_t k = 0; k < kInner; ++k) {
        const float x = a[k * kRows + i], y = b[k * width + j];
        c[i * width + j] = fused ? std::fma(x, y, c[i * width + j]) : x * y + c[i * width + j];
      }
    }
  }
  // par: a pair of vectors. a1: lane; a2: k; a3, a5: row of the tile; a4, a6: vector of the tile.
  const Expr wide = size(columns()), lane = axis(1), inner = size(rows());
  const auto column = [&](int j) { return axis(0) * constant_int(32) + axis(j) * constant_int(16) + lane; };
  const auto packed = [&](int j) { return axis(2) * constant_int(32) + axis(j) * constant_int(16) + lane; };
  const Expr zero = constant(0.0, kF32);
  const auto nest = [](int i, int j, Stmt s) {
    return make_loop(i, constant_int(6), LoopKind::Unrolled, {},
                     {make_loop(j, constant_int(2), LoopKind::Unrolled, {}, {std::move(s)})});
  };
  const Stmt pack =
      make_loop(4, constant_int(2), LoopKind::Unrolled, {},
                {make_store(3, packed(4), load_if(column(4) < wide, 1, kF32, axis(2) * wide + column(4), zero))});
  const Expr product =
      fma(f32(0, axis(2) * constant_int(6) + axis(3)), f32(3, packed(4)), acc_at(1, kF32, {axis(3), axis(4)}));
  const Stmt tile = make_loop(2, inner, LoopKind::Serial, {{1, kF32, Combine::Sum, {}, {6, 2}}},
                              {nest(3, 4, make_assign(1, product, {axis(3), axis(4)}))});
  const Stmt write =
      nest(5, 6, make_store(2, axis(5) * wide + column(6), acc_at(1, kF32, {axis(5), axis(6)}), column(6) < wide));
  Sample s = by_rows("contraction",
                     {in("a", kF32), in("b", kF32), out("c", kF32), {"panel", kF32, BufferKind::Scratch, rows() * 32}},
                     {make_loop(1, constant_int(16), LoopKind::Vector, {},
                                {make_loop(2, inner, LoopKind::Serial, {}, {pack}), tile, write})},
                     kInner, n);
  s.end = (n + 31) / 32;
  Bytes panel = room<float>(kInner * 32);
  s.buffers = {to_bytes(a), to_bytes(b), room<float>(kRows * n), panel};
  s.expected = {s.buffers[0], s.buffers[1], to_bytes(c), {}};  // scratch is nobody's result
  return s;
}

}  // namespace

const std::vector<SampleKind>& sample_kinds() {
  static const std::vector<SampleKind> kinds = {
      {"pointwise_f32", pointwise_f32},
      {"pointwise_f64", pointwise_f64},
      {"pointwise_i32", pointwise_i32},
      {"pointwise_bool", pointwise_bool},
      {"small_integers", small_integers},
      {"bf16", bf16},
      {"f16", f16},
      {"complex_numbers", complex_numbers},
      {"casts", casts},
      {"in_place", in_place},
      {"strided", strided},
      {"broadcast_flat", broadcast_flat},
      {"rows_two_passes", rows_two_passes},
      {"columns_sum", columns_sum},
      {"matrix_sum", matrix_sum},
      {"dot", dot},
      {"argmax_columns", argmax_columns},
      {"scan_rows", scan_rows},
      {"gather", gather},
      {"scatter_add", scatter_add},
      {"window_max", window_max},
      {"triangle", triangle},
      {"index_compare", index_compare},
      {"large_body", large_body},
      {"contraction", contraction},
  };
  return kinds;
}

}  // namespace thixo::codegen::samples
