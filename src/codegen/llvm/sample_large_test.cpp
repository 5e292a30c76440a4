// Sample kernels with large bodies: one whose tail goes through it as a whole block, and register tiles.
#include <cmath>

#include "codegen/llvm/sample_parts.h"

namespace thixo::codegen::samples {
namespace {

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

std::vector<SampleKind> large_samples() {
  return {
      {"large_body", large_body},
      {"contraction", contraction},
  };
}

}  // namespace thixo::codegen::samples
