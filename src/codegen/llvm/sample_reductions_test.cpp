// Sample kernels with accumulators: rows, columns, both, and running sums.
#include <algorithm>
#include <cmath>
#include <limits>

#include "codegen/llvm/sample_parts.h"

namespace thixo::codegen::samples {
namespace {

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

}  // namespace

std::vector<SampleKind> reduction_samples() {
  return {
      {"rows_two_passes", rows_two_passes}, {"columns_sum", columns_sum}, {"matrix_sum", matrix_sum}, {"dot", dot},
      {"argmax_columns", argmax_columns},   {"scan_rows", scan_rows},
  };
}

}  // namespace thixo::codegen::samples
