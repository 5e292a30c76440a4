// Sample kernels whose indices are the point: strides, broadcast, gather and scatter, windows, triangles.
#include <algorithm>
#include <limits>

#include "codegen/llvm/sample_parts.h"

namespace thixo::codegen::samples {
namespace {

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

}  // namespace

std::vector<SampleKind> index_samples() {
  return {
      {"strided", strided},
      {"broadcast_flat", broadcast_flat},
      {"gather", gather},
      {"scatter_add", scatter_add},
      {"window_max", window_max},
      {"triangle", triangle},
      {"index_compare", index_compare},
  };
}

}  // namespace thixo::codegen::samples
