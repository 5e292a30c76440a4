#include "backend/cpu/index.h"

#include <algorithm>
#include <numeric>

#include "backend/cpu/gemm.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"
#include "ir/backend.h"
#include "thixo/generator.h"

namespace thixo::cpu {

void copy(const Tensor& src, const Tensor& dst) {
  static const OpDef* op = find_op("assign");
  const Tensor in[] = {dst, src};
  find_backend_entry(op->kernel)->run(Call{op, in, {}, {}}, std::span<const Tensor>(&dst, 1));
}

namespace {

// ---- nonzero

constexpr int64_t kNonzeroBlock = 1 << 15;  // elements

/// Writes the places of the first `count` set bytes of mask[begin...], one row of indices each.
void write_places(const uint8_t* mask, int64_t begin, int64_t count, const Shape& shape, int64_t* to) {
  const size_t last = shape.size() - 1;
  SmallVec<int64_t, kMaxRank> at(shape.size(), 0);
  for (size_t d = shape.size(), rest = static_cast<size_t>(begin); d-- > 0;) {
    const auto n = static_cast<size_t>(shape[d].value());
    at[d] = static_cast<int64_t>(rest % n);
    rest /= n;
  }
  const int64_t* end = to + count * static_cast<int64_t>(shape.size());
  for (const uint8_t* m = mask + begin; to < end;) {
    // Without a branch: a place that is none is written over by the next.
    for (const int64_t n = shape[last].value(); at[last] < n && to < end; ++at[last], ++m) {
      for (size_t d = 0; d <= last; ++d) to[d] = at[d];
      to += *m != 0 ? shape.size() : 0;
    }
    for (size_t d = last; d > 0 && at[d] == shape[d].value(); --d) {
      at[d] = 0;
      ++at[d - 1];
    }
  }
}

void nonzero_kernel(const Call& call, std::span<const Tensor> out) {
  const Tensor mask = call.in[0].to(DType::Bool).contiguous();
  const auto* m = static_cast<const uint8_t*>(mask.record()->data());
  auto* to = static_cast<int64_t*>(out[0].record()->data());
  const int64_t n = mask.numel().value(), rank = mask.dim(), blocks = ceil_div(n, kNonzeroBlock);
  if (rank == 0) return;
  Array<int64_t> count(blocks);
  parallel_for(blocks, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const uint8_t *from = m + b * kNonzeroBlock, *until = m + std::min(n, (b + 1) * kNonzeroBlock);
      count[b] = until - from - std::count(from, until, 0);
    }
  });
  Array<int64_t> before(blocks);
  std::exclusive_scan(count.get(), count.get() + blocks, before.get(), int64_t{0});
  parallel_for(blocks, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      write_places(m, b * kNonzeroBlock, count[b], mask.shape(), to + before[b] * rank);
    }
  });
}

// ---- randperm, cat

void randperm_kernel(const Call& call, std::span<const Tensor> out) {
  const RngKey rng = std::get<RngKey>(call.attr("generator"));
  const int64_t n = call.integer("n").value();
  const bool direct = out[0].dtype() == DType::I64 && out[0].is_contiguous();
  const Tensor order = direct ? out[0] : empty({n}, {.dtype = DType::I64});
  auto* p = static_cast<int64_t*>(order.record()->data());
  std::iota(p, p + n, 0);
  // Partners are known ahead (random numbers are counted): a block of them is on its way from memory meanwhile.
  constexpr int64_t kBlock = 64;
  int64_t partner[kBlock];
  for (int64_t top = n - 1; top > 0; top -= kBlock) {
    const int64_t some = std::min(kBlock, top);
    for (int64_t k = 0; k < some; ++k) {
      const int64_t i = top - k;
      const auto words = philox4x32(rng.key, rng.counter + static_cast<uint64_t>(i));
      const uint64_t r = static_cast<uint64_t>(words[0]) << 32 | words[1];
      partner[k] = static_cast<int64_t>(r % static_cast<uint64_t>(i + 1));
      __builtin_prefetch(p + partner[k], 1);
    }
    for (int64_t k = 0; k < some; ++k) std::swap(p[top - k], p[partner[k]]);
  }
  if (!direct) copy(order, out[0]);
}

void cat_kernel(const Call& call, std::span<const Tensor> out) {
  const Tensor& y = out[0];
  const auto d = static_cast<size_t>(call.dim("dim", static_cast<int>(y.dim())));
  int64_t offset = y.storage_offset();
  for (const Tensor& x : call.in) {
    if (x.numel().value() == 0) continue;
    copy(x, Tensor(new_record_on(y.record()->storage, x.shape(), y.strides(), offset, y.dtype())));
    offset += x.shape()[d].value() * y.strides()[d].value();
  }
}

}  // namespace

void add_index_entries() {
  static constexpr BackendEntry kEntries[] = {
      {"scatter_rows", scatter_rows_kernel}, {"scatter_along", scatter_along_kernel}, {"take_along", take_along_kernel},
      {"nonzero", nonzero_kernel},           {"randperm", randperm_kernel},           {"cat", cat_kernel}};
  add_backend_entries(kEntries);
}

}  // namespace thixo::cpu
