#include "runtime/fused_kernel.h"

#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "runtime/eager_kernels.h"

namespace thixo {
namespace {

constexpr int64_t kTileElements = 16384;  // enough to pay for a thread's start, few enough to balance

}  // namespace

void store_param(double* to, const Scalar& value, DType t) {
  to[1] = 0;
  if (is_complex(t)) {
    to[0] = value.to_complex().real();
    to[1] = value.to_complex().imag();
  } else if (is_float(t)) {
    to[0] = value.to_double();
  } else {
    int64_t v = value.to_int();
    std::memcpy(to, &v, sizeof v);
  }
}

const RngKey* random_param(const OpDef& op, std::span<const Attr> attrs, const std::string& name) {
  return std::get_if<RngKey>(&Call{&op, {}, attrs, {}}.attr(name.substr(0, name.find('.'))));
}

Scalar param_value(const OpDef& op, std::span<const Attr> attrs, const std::string& name) {
  const Attr& a = Call{&op, {}, attrs, {}}.attr(name);
  if (const auto* s = std::get_if<Scalar>(&a)) return *s;
  if (const auto* d = std::get_if<double>(&a)) return *d;
  if (const auto* d = std::get_if<Dim>(&a)) return d->value();
  if (const auto* b = std::get_if<bool>(&a)) return *b;
  throw InternalError(op.name() + ": attribute '" + name + "' is no number that a kernel can take");
}

void run_rows(const Kernel& kernel, KernelFn fn, std::span<void* const> pointers, const int64_t* ints,
              const double* params, int64_t extent, int64_t row) {
  if (extent == 0) return;
  size_t scratch = 0;
  for (const KernelBuffer& b : kernel.buffers) {
    if (b.kind == BufferKind::Scratch) scratch += (static_cast<size_t>(row) * item_size(b.dtype) + 63) / 64 * 64;
  }
  int64_t grain = kernel.vector_par ? kTileElements : std::max<int64_t>(1, kTileElements / std::max<int64_t>(row, 1));
  int64_t tiles = (extent + grain - 1) / grain;
  parallel_for(tiles, [&](int64_t first, int64_t last) {
    SmallVec<void*, 16> mine;
    char* room = scratch > 0 ? detail::thread_scratch(0, scratch) : nullptr;
    for (size_t i = 0; i < kernel.buffers.size(); ++i) {
      const KernelBuffer& b = kernel.buffers[i];
      if (b.kind != BufferKind::Scratch) {
        mine.push_back(pointers[i]);
        continue;
      }
      mine.push_back(room);
      room += (static_cast<size_t>(row) * item_size(b.dtype) + 63) / 64 * 64;
    }
    const KernelArgs args{mine.data(), ints, params};
    fn(&args, first * grain, std::min(last * grain, extent));
  });
}

}  // namespace thixo
