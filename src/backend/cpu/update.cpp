#include "backend/cpu/update.h"

#include "backend/cpu/kernels.h"
#include "base/parallel.h"
#include "codegen/pack.h"
#include "codegen/update_kernels.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kTile = 8192;  // elements; a multiple of the kernels' lanes
constexpr size_t kMaxTensors = 9;  // operands and results of one update without its scalars
constexpr size_t kMaxScalars = 16;

KernelFn kernel_of(const UpdateRule& rule, DType t) {
  struct Slot {
    const UpdateRule* rule;
    KernelFn kernel[4];
  };
  static const std::vector<Slot> table = [] {
    std::vector<Slot> slots;
    for (const UpdateRule& r : update_rules()) {
      Slot s{&r, {}};
      for (size_t i = 0; i < 4; ++i) s.kernel[i] = codegen::find_kernel(codegen::update_key(r, static_cast<DType>(i)));
      slots.push_back(s);
    }
    return slots;
  }();
  for (const Slot& s : table) {
    if (s.rule != &rule || static_cast<size_t>(t) >= std::size(s.kernel) || s.kernel[static_cast<size_t>(t)] == nullptr)
      continue;
    return codegen::in_mode(s.kernel[static_cast<size_t>(t)]);
  }
  throw NotImplementedError(std::string(rule.op) + ": this build has no kernel for " + std::string(dtype_name(t)));
}

/// One call: contiguous memory.
struct Update {
  KernelFn kernel;
  void* buffers[kMaxTensors];
  double params[2 * kMaxScalars];
  int64_t first_tile;  // in the loop over all calls
  int64_t elements;
};

/// Whether the elements fill their memory without gaps, in any order of dims: then only the order in memory counts.
bool is_dense(const Shape& shape, const Strides& strides) {
  SmallVec<size_t, kMaxRank> dims;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d].value() != 1) dims.push_back(d);
  }
  std::sort(dims.begin(), dims.end(), [&](size_t a, size_t b) { return strides[a].value() < strides[b].value(); });
  int64_t expected = 1;
  for (size_t d : dims) {
    if (strides[d].value() != expected) return false;
    expected *= shape[d].value();
  }
  return true;
}

}  // namespace

void run_updates(const Call& calls, std::span<const Tensor> out) {
  const UpdateRule& rule = *find_update_rule(calls.op->schema.full_name());
  const auto tensors = static_cast<size_t>(rule.tensors()), results = static_cast<size_t>(rule.states) + 1;
  const size_t count = out.size() / results;
  std::vector<Update> updates;
  updates.reserve(count);
  struct Late {
    Tensor from, to;
  };
  std::vector<Late> late;  // results whose layout differs from the kernels'
  std::vector<Tensor> keep;
  int64_t tiles = 0;
  for (size_t u = 0; u < count; ++u) {
    const Tensor* in = &calls.in[u * (tensors + 1)];
    // A complex number is a pair of real ones, each with moments of its own, as in PyTorch.
    const int64_t n = in[0].numel() * (is_complex(in[0].dtype()) ? 2 : 1);
    if (n == 0) continue;
    Update& k = updates.emplace_back(Update{kernel_of(rule, real_type(in[0].dtype())), {}, {}, tiles, n});
    // Any layout without gaps will do, as long as all share it.
    const Strides& layout = out[u * results].strides();
    const bool dense = is_dense(in[0].shape(), layout);
    auto fits = [&](const Tensor& t) { return dense ? t.strides() == layout : t.is_contiguous(); };
    auto fresh = [&](const Tensor& t) {
      return keep.emplace_back(dense ? empty_strided(t.shape(), layout, {.dtype = t.dtype()})
                                     : empty(t.shape(), {.dtype = t.dtype()}));
    };
    for (size_t i = 0; i < tensors; ++i) {
      Tensor x = in[i];
      if (!fits(x)) copy_elements(in[i], x = fresh(x));
      k.buffers[i] = x.record()->data();
    }
    for (size_t i = 0; i < results; ++i) {
      Tensor y = out[u * results + i];
      if (!fits(y)) late.push_back({y = fresh(y), out[u * results + i]});
      k.buffers[tensors + i] = y.record()->data();
    }
    const auto* scalars = static_cast<const double*>(in[tensors].record()->data());
    const int64_t step = in[tensors].strides()[0].value();
    for (int i = 0; i < rule.scalars; ++i) k.params[2 * i] = scalars[i * step];
    tiles += (n + kTile - 1) / kTile;
  }
  parallel_for(tiles, [&](int64_t begin, int64_t end) {
    auto it = std::upper_bound(updates.begin(), updates.end(), begin,
                               [](int64_t t, const Update& u) { return t < u.first_tile; });
    for (--it; begin < end; ++it) {
      const int64_t tiles_here = (it->elements + kTile - 1) / kTile;
      const int64_t last = std::min(end, it->first_tile + tiles_here);
      const KernelArgs args{it->buffers, nullptr, it->params};
      it->kernel(&args, (begin - it->first_tile) * kTile, std::min((last - it->first_tile) * kTile, it->elements));
      begin = last;
    }
  });
  for (const Late& l : late) copy_elements(l.from, l.to);
}

}  // namespace thixo::cpu
