#include "runtime/eager.h"

#include "ir/backend.h"
#include "runtime/strided.h"

namespace thixo::detail {
namespace {

// Not by an initialiser list, which would copy the handle.
Values one(Tensor t) {
  Values v;
  v.push_back(std::move(t));
  return v;
}

bool is_meta(const SmallVec<Spec, 2>& specs) {
  for (const Spec& s : specs) {
    if (s.device.type == DeviceType::Meta) return true;
  }
  return false;
}

Values abstract_values(const SmallVec<Spec, 2>& specs) {
  Values out;
  for (const Spec& s : specs) out.push_back(Tensor(new_abstract(s.shape, s.dtype, s.device)));
  return out;
}

bool all_empty(std::span<const Tensor> tensors) {
  for (const Tensor& t : tensors) {
    if (numel_of(t.shape()).value() != 0) return false;
  }
  return true;
}

Values eager_view(const Call& call) {
  check_index_bounds(call);
  const ViewSpec v = call.op->view(call);
  ViewStep step{call.op, {call.attrs.begin(), call.attrs.end()}};
  return one(make_view(call.in[0], v.shape, v.strides, v.offset.value(), std::move(step)));
}

Error no_kernel(const Call& call) {
  return call.error(ErrorKind::NotImplemented, "this build has no kernel for it on " + call.in[0].device().str());
}

Tensor new_result(const Call& call, const BackendEntry& entry, const Spec& spec, int k) {
  Tensor t(new_record(spec.shape, spec.dtype, spec.device));
  if (entry.strides != nullptr) {
    t.record()->strides = entry.strides(call, spec, k);
  } else if (entry.layout == OutLayout::LikeInput && spec.shape == call.shape(0)) {
    t.record()->strides = result_strides(spec.shape, call.in.subspan(0, 1));
  }
  return t;
}

Values eager_structured(const Call& call, const BackendEntry& entry) {
  check_index_bounds(call);
  const SmallVec<Spec, 2> specs = infer(call);
  if (is_meta(specs)) return abstract_values(specs);
  Values out;
  for (const Spec& s : specs) out.push_back(new_result(call, entry, s, static_cast<int>(out.size())));
  const std::span<const Tensor> results(out.data(), out.size());
  if (!all_empty(results)) entry.run(call, results);
  return out;
}

const BackendEntry* entry_of(const OpDef& op) { return op.kernel.empty() ? nullptr : find_backend_entry(op.kernel); }

}  // namespace

Values eager(const Call& call) {
  const OpDef& op = *call.op;
  switch (op.tier) {
    case Tier::Pointwise: return one(eager_pointwise(call));
    case Tier::View: return eager_view(call);
    case Tier::Nest: return eager_nest(call);
    case Tier::Composite: return op.fused_rows ? eager_rows(call) : compose_checked(call);
    case Tier::Structured: break;
  }
  if (const BackendEntry* entry = entry_of(op)) return eager_structured(call, *entry);
  if (op.nest) return eager_nest(call);
  if (op.compose) return op.compose(call);
  throw no_kernel(call);
}

void check_write(const Call& call, const Tensor& out) {
  if (overlaps_itself(*out.record())) {
    throw call.error(ErrorKind::Value, "several elements of the result share one place in memory")
        .fix("write to result.clone() instead of an expanded tensor");
  }
  for (const Tensor& t : call.in) {
    if (!t.defined() || !t.record()->storage || overlap(t, out) != Overlap::Part) continue;
    throw call.error(ErrorKind::Value, "the result overlaps an operand in memory, but is not the same tensor")
        .fix("clone() the operand first");
  }
}

void check_target(const Call& call, const Spec& spec, const Tensor& out) {
  if (!(spec.shape == out.shape())) {
    throw call.error(ErrorKind::Shape, "the result has shape " + shape_str(spec.shape) + " but is to be written to " +
                                           shape_str(out.shape()));
  }
  if (can_cast(spec.dtype, out.dtype())) return;
  throw call.error(ErrorKind::DType, "the result is " + std::string(dtype_name(spec.dtype)) +
                                         ", which cannot be written to " + std::string(dtype_name(out.dtype())));
}

namespace {

bool fits(const Spec& spec, const Tensor& out) { return spec.dtype == out.dtype() && spec.shape == out.shape(); }

bool runs_in_place(const Call& call, std::span<const Tensor> out) {
  const BackendEntry* entry = entry_of(*call.op);
  if (entry == nullptr) return false;
  check_index_bounds(call);
  const SmallVec<Spec, 2> specs = infer(call);
  for (size_t i = 0; i < out.size(); ++i) {
    check_target(call, specs[i], out[i]);
    if (!fits(specs[i], out[i]) || specs.size() != out.size()) return false;
    check_write(call, out[i]);
  }
  if (!is_meta(specs) && !all_empty(out)) entry->run(call, out);
  return true;
}

}  // namespace

void eager_into(const Call& call, std::span<const Tensor> out) {
  if (call.op->tier == Tier::Pointwise) {
    eager_pointwise_into(call, out[0]);
  } else if (!runs_in_place(call, out)) {
    const Values values = eager(call);
    for (size_t i = 0; i < out.size(); ++i) {
      check_target(call, {values[i].dtype(), values[i].shape(), values[i].device()}, out[i]);
      check_write(Call{call.op, {}, call.attrs, call.at}, out[i]);
      if (out[i].record()->storage) copy_into(values[i], out[i]);
    }
  }
  for (const Tensor& t : out) {
    if (t.record()->storage) ++t.record()->storage->version;
  }
}

}  // namespace thixo::detail
