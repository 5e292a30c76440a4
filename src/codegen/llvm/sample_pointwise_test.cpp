// Sample kernels of one value for each element: every kind of dtype, casts, updates in place.
#include <cmath>
#include <limits>

#include "codegen/llvm/sample_parts.h"

namespace thixo::codegen::samples {
namespace {

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

}  // namespace

std::vector<SampleKind> pointwise_samples() {
  return {
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
  };
}

}  // namespace thixo::codegen::samples
