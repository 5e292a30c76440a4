#include "runtime/eager_kernels.h"

#include <array>
#include <cstring>
#include <mutex>

#include "core/tensor_lock.h"

namespace thixo::detail {
namespace {

constexpr size_t kMaxOps = 4096;  // of the registry and derived ones

// The plans of one op: by variant and promoted dtype. Written once each under the lock, read without it.
struct OpPlans {
  explicit OpPlans(int variants) : slots(static_cast<size_t>(variants * kDTypeCount)) {}
  std::vector<std::atomic<const PointwisePlan*>> slots;
};
std::array<std::atomic<OpPlans*>, kMaxOps> op_plans;
std::mutex plan_mutex;

size_t slot_of(int variant, DType t) { return static_cast<size_t>(variant * kDTypeCount + static_cast<int>(t)); }

DType result_type(const OpDef& op, DType promoted, DType kernel_out) {
  if (op.bool_result || kernel_out == DType::Bool) return DType::Bool;
  if (is_complex(promoted) && !is_complex(kernel_out)) return real_type(promoted);
  return promoted;
}

PointwisePlan* make_plan(const Call& call, int variant, DType promoted) {
  const OpDef& op = *call.op;
  const codegen::PointwiseForm form = codegen::pointwise_form(op, promoted, variant_attrs(op, variant, 2.5));
  auto plan = std::make_unique<PointwisePlan>();
  plan->in = form.in;
  plan->out = form.out;
  plan->type = form.type;
  plan->result = result_type(op, promoted, form.out);
  plan->param_attrs = form.param_attrs;
  plan->direct = plan->out == plan->result;
  for (DType t : plan->in) plan->direct &= t == promoted;
  auto kernel = [&](std::string_view pattern) {
    return codegen::find_kernel(codegen::pointwise_key(op, variant, form.type, pattern));
  };
  const std::string all(form.in.size(), 'c');
  plan->contiguous = kernel(all);
  plan->strided = kernel("s");
  if (plan->contiguous == nullptr || plan->strided == nullptr) {
    throw call.error(ErrorKind::NotImplemented, "this build has no kernel for " + std::string(dtype_name(promoted)));
  }
  for (size_t k = 0; k < form.in.size(); ++k) {
    std::string pattern = all;
    pattern[k] = 'k';
    plan->constant.push_back(form.in.size() > 1 ? kernel(pattern) : nullptr);
  }
  return plan.release();
}

}  // namespace

const PointwisePlan* known_plan(const OpDef& op, int variant, DType promoted) {
  const OpPlans* plans = op_plans[static_cast<size_t>(op.id)].load(std::memory_order_acquire);
  return plans == nullptr ? nullptr : plans->slots[slot_of(variant, promoted)].load(std::memory_order_acquire);
}

const PointwisePlan& pointwise_plan(const Call& call, int variant, DType promoted) {
  if (const PointwisePlan* known = known_plan(*call.op, variant, promoted)) return *known;
  const auto lock = lock_for_tensors(plan_mutex);
  std::atomic<OpPlans*>& plans = op_plans.at(static_cast<size_t>(call.op->id));
  if (plans.load() == nullptr) plans.store(new OpPlans(variant_count(*call.op)));
  std::atomic<const PointwisePlan*>& slot = plans.load()->slots[slot_of(variant, promoted)];
  if (slot.load() == nullptr) slot.store(make_plan(call, variant, promoted));
  return *slot.load();
}

ParamBlock params_of(const Call& call, const PointwisePlan& plan) {
  ParamBlock out;
  for (int i : plan.param_attrs) {
    const Attr& a = call.attrs[static_cast<size_t>(i)];
    Scalar s = std::holds_alternative<Dim>(a)      ? Scalar(std::get<Dim>(a).value())
               : std::holds_alternative<double>(a) ? Scalar(std::get<double>(a))
               : std::holds_alternative<bool>(a)   ? Scalar(std::get<bool>(a))
                                                   : std::get<Scalar>(a);
    const std::complex<double> c = s.to_complex();
    double re = c.real();
    if (!is_differentiable(plan.type)) {
      const int64_t bits = s.to_int();
      std::memcpy(&re, &bits, sizeof re);
    }
    out.push_back(re);
    out.push_back(c.imag());
  }
  return out;
}

namespace {

std::string copy_key(DType from, DType to, std::string_view pattern) {
  if (from == to) return "copy." + std::to_string(item_size(from)) + "." + std::string(pattern);
  return "cast." + std::string(dtype_short_name(from)) + "." + std::string(dtype_short_name(to)) + "." +
         std::string(pattern);
}

KernelFn copy_kernel(DType from, DType to, bool strided) {
  static std::array<std::atomic<KernelFn>, size_t{2} * kDTypeCount * kDTypeCount> found;
  std::atomic<KernelFn>& f =
      found[((strided ? 1 : 0) * kDTypeCount + static_cast<size_t>(from)) * kDTypeCount + static_cast<size_t>(to)];
  KernelFn k = f.load(std::memory_order_relaxed);
  if (k == nullptr) f.store(k = required_kernel(copy_key(from, to, strided ? "s" : "c")), std::memory_order_relaxed);
  return k;
}

}  // namespace

void convert_run(DType from, const char* src, DType to, char* dst, int64_t n) {
  if (from == to) {
    std::memcpy(dst, src, static_cast<size_t>(n) * item_size(from));
    return;
  }
  void* buffers[] = {const_cast<char*>(src), dst};
  run_kernel(copy_kernel(from, to, false), buffers, nullptr, nullptr, 0, n);
}

void convert_strided(DType from, const char* src, int64_t src_stride, DType to, char* dst, int64_t dst_stride,
                     int64_t n) {
  if (src_stride == 1 && dst_stride == 1) {
    convert_run(from, src, to, dst, n);
    return;
  }
  void* buffers[] = {const_cast<char*>(src), dst};
  const int64_t ints[] = {src_stride, dst_stride};
  run_kernel(copy_kernel(from, to, true), buffers, ints, nullptr, 0, n);
}

KernelFn required_kernel(std::string_view key) {
  if (KernelFn k = codegen::find_kernel(key)) return k;
  if (codegen::active_pack() == nullptr) {
    throw NotImplementedError("this build has no kernel pack for this processor")
        .fix("build with THIXO_ISAS naming one that it runs (x86-64-v2, avx2, avx512, aarch64)");
  }
  throw InternalError("the kernel pack lacks '" + std::string(key) + "'");
}

char* thread_scratch(size_t slot, size_t bytes) {
  struct Block {
    std::unique_ptr<char[]> memory;
    size_t bytes = 0;
  };
  thread_local std::array<Block, 16> blocks;
  Block& b = blocks.at(slot);
  if (b.bytes < bytes) {
    b.memory = std::make_unique_for_overwrite<char[]>(bytes + 64);
    b.bytes = bytes;
  }
  const auto p = reinterpret_cast<uintptr_t>(b.memory.get());
  return b.memory.get() + (64 - p % 64) % 64;
}

}  // namespace thixo::detail
