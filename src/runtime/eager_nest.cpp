// Ops that are one loop nest: reads at computed places, and new tensors.
#include "runtime/eager_nest.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "base/deterministic.h"
#include "base/parallel.h"
#include "codegen/compiler_plugin.h"
#include "codegen/kernel_cache.h"
#include "runtime/eager.h"
#include "runtime/eager_tiles.h"
#include "runtime/strided.h"

namespace thixo::detail {
namespace {

// What a form depends on: see codegen/nest_form.h.
std::string plan_key(const Call& call, const Spec& result) {
  std::string key;
  auto put = [&](int64_t v) { key.append(reinterpret_cast<const char*>(&v), sizeof v); };
  auto put_small = [&](size_t v) { key.push_back(static_cast<char>(v)); };
  put(call.op->id);
  put_small(deterministic() ? 1 : 0);  // a kernel that had to be compiled is one for the mode
  put_small(static_cast<size_t>(result.dtype));
  put_small(result.shape.size());
  for (const Tensor& t : call.in) {
    put_small(t.defined() ? t.shape().size() : 100);
    put_small(t.defined() ? static_cast<size_t>(t.dtype()) : 0);
    size_t ones = 0;  // a definition may ask which sizes are broadcast
    for (size_t d = 0; t.defined() && d < t.shape().size(); ++d) ones |= (t.shape()[d] == 1 ? size_t{1} : 0) << d;
    put_small(ones);
  }
  const std::vector<AttrDecl>& decls = call.op->schema.attrs;
  for (size_t i = 0; i < decls.size(); ++i) {
    const Attr& a = call.attrs[i];
    put_small(a.index());
    if (const bool* b = std::get_if<bool>(&a)) put_small(*b ? 1 : 0);
    if (const std::string* s = std::get_if<std::string>(&a)) key += *s;
    if (decls[i].kind == AttrKind::Dim && std::holds_alternative<Dim>(a)) put(std::get<Dim>(a).value());
    if (const Shape* s = std::get_if<Shape>(&a)) {
      put_small(s->size());
      for (size_t j = 0; decls[i].kind == AttrKind::Dims && j < s->size(); ++j) put((*s)[j].value());
    }
  }
  return key;
}

std::unique_ptr<ReducePlan> make_reduce_plan(const codegen::NestForm& nest, DType out) {
  const std::optional<codegen::ReduceForm> form = codegen::reduce_form(nest);
  if (!form) return nullptr;
  auto plan = std::make_unique<ReducePlan>();
  plan->form = *form;
  auto fill = [](ReducePlan::Kernels& k, const codegen::ReduceForm& f) {
    for (bool contiguous : {false, true}) {
      k.rows[contiguous] = find_content(codegen::reduce_rows_kernel(f, contiguous));
      k.columns[contiguous] = find_content(codegen::reduce_columns_kernel(f, contiguous));
      if (k.rows[contiguous] == nullptr || k.columns[contiguous] == nullptr) return false;
    }
    return true;
  };
  if (!fill(plan->map, *form) || !fill(plan->combine, codegen::combine_form(form->combine, form->acc())))
    return nullptr;
  if (nest.finish || form->acc() != out) {
    const codegen::FinishKernel finish = codegen::finish_kernel(nest, form->acc(), out);
    plan->finish = find_content(finish.kernel);
    plan->finish_sizes = finish.sizes;
    if (plan->finish == nullptr) return nullptr;
  }
  return plan;
}

std::unique_ptr<NestPlan> make_plan(const Call& call, const Spec& result) {
  std::optional<codegen::NestForm> form;
  try {
    form = codegen::nest_form(call, std::span(&result, 1));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Shape) throw;
    return nullptr;  // operands that broadcast against each other have no form for all sizes
  }
  if (!form) return nullptr;
  auto plan = std::make_unique<NestPlan>();
  plan->form = std::move(*form);
  if (codegen::reduce_form(plan->form)) {
    plan->reduce = make_reduce_plan(plan->form, result.dtype);
  } else {
    plan->shape = codegen::nest_kernel(plan->form, plan->form.mergeable, true);
    plan->kernel = call.op->compose ? find_content(plan->shape.kernel) : find_or_compile(plan->shape.kernel);
  }
  return plan;
}

// ---- a call of the kernel with every mergeable axis merged ----

bool is_direct(const codegen::NestForm& f, Expr index) { return index->op == ExprOp::Axis && index->i < f.rank; }

// One stride for the dims of t up to `last` that this read indexes by axes merged into one; nullopt when no single
// stride walks them.
std::optional<int64_t> merged_stride(const codegen::NestForm& f, Expr at, size_t last, const Tensor& t,
                                     const Shape& out) {
  if (t.shape().empty()) return 0;
  const int64_t own = t.strides()[last].value();
  if (!is_direct(f, at->args[last])) return own;
  int64_t stride = own, extent = 1;
  for (size_t d = last + 1; d-- > 0;) {
    const int axis = at->args[d]->i;
    const int64_t n = out.empty() ? 1 : out[static_cast<size_t>(axis)].value();
    if (n > 1 && extent == 1) {
      stride = t.strides()[d].value();
    } else if (n > 1 && t.strides()[d].value() != stride * extent) {
      return std::nullopt;
    }
    extent *= n;
    const bool joined = axis > 0 && (f.mergeable >> (axis - 1) & 1) != 0;
    if (!joined) break;
  }
  return extent == 1 ? 1 : stride;  // a single step has no length
}

// Whether the kernel can walk operand k as it lies: merged axes by one stride, the innermost by 1.
bool fits(const NestPlan& plan, const Tensor& t, int operand, const Shape& out) {
  const codegen::NestForm& f = plan.form;
  for (const codegen::NestRead& r : f.reads) {
    if (r.operand != operand) continue;
    const size_t rank = r.at->args.size() - (r.at->guarded ? 2 : 0);
    for (size_t d = 0; d < rank; ++d) {
      const Expr i = r.at->args[d];
      if (!is_direct(f, i)) continue;
      const bool inside = (f.mergeable >> i->i & 1) != 0;  // the dim behind this one speaks for both
      if (inside) continue;
      const std::optional<int64_t> stride = merged_stride(f, r.at, d, t, out);
      if (!stride || (i->i == f.rank - 1 && *stride != 1 && numel_of(t.shape()).value() > 1)) return false;
    }
  }
  return true;
}

int64_t stride_argument(const NestPlan& plan, const codegen::NestSize& s, const Tensor& t, const Shape& out) {
  for (const codegen::NestRead& r : plan.form.reads) {
    if (r.operand == s.operand) return *merged_stride(plan.form, r.at, static_cast<size_t>(s.dim), t, out);
  }
  return 0;
}

struct MergedAxes {
  SmallVec<int64_t, kMaxRank> extents;
};

MergedAxes merged_extents(const codegen::NestForm& f, const Shape& out) {
  MergedAxes m;
  for (int d = 0; d < f.rank; ++d) {
    const int64_t n = out.empty() ? 1 : out[static_cast<size_t>(d)].value();
    if (d > 0 && (f.mergeable >> (d - 1) & 1) != 0) {
      m.extents.back() *= n;
    } else {
      m.extents.push_back(n);
    }
  }
  return m;
}

// Whether operand k is read at computed places that lie far apart in memory, so often that a copy in order pays.
bool reads_far(const NestPlan& plan, const Tensor& t, int operand, int64_t elements) {
  constexpr int64_t kFits = 1 << 13;  // elements that stay in the first cache
  const int64_t n = numel_of(t.shape()).value();
  if (n < kFits || elements < n || t.is_contiguous()) return false;
  for (const codegen::NestRead& r : plan.form.reads) {
    if (r.operand != operand) continue;
    for (size_t d = 0; d < t.shape().size(); ++d) {
      if (!is_direct(plan.form, r.at->args[d]) && t.strides()[d] > 1) return true;
    }
  }
  return false;
}

// Whether axis a is one of those merged into the innermost.
bool is_innermost(const codegen::NestForm& f, int64_t a) {
  while (a < f.rank - 1 && (f.mergeable >> a & 1) != 0) ++a;
  return a == f.rank - 1;
}

// t with the dims last in memory, in their order, that this read indexes by the innermost axes.
Tensor innermost_last(const codegen::NestForm& f, const codegen::NestRead& r, const Tensor& t) {
  Shape order, last, back(t.shape().size());
  for (size_t d = 0; d < t.shape().size(); ++d) {
    const Expr i = r.at->args[d];
    (is_direct(f, i) && is_innermost(f, i->i) ? last : order).push_back(d);
  }
  order.append(last.begin(), last.end());
  for (size_t i = 0; i < order.size(); ++i) back[static_cast<size_t>(order[i].value())] = i;
  return t.permute(order).contiguous().permute(back);
}

// The part of operand k that is read: an index may be smaller than what it is looked up in, and then dims that merged
// axes index do not stand one behind the other in the whole of it.
Tensor part_read(const codegen::NestForm& f, const Tensor& t, int k, const Shape& out) {
  Tensor part = t;
  for (size_t d = 0; d < t.shape().size(); ++d) {
    int64_t most = 0;
    for (const codegen::NestRead& r : f.reads) {
      if (r.operand != k) continue;
      const Expr i = r.at->args[d];
      const bool whole = !is_direct(f, i) || out.empty();
      most = std::max<int64_t>(most, whole ? t.shape()[d].value() : out[static_cast<size_t>(i->i)].value());
    }
    if (most < t.shape()[d].value()) part = part.narrow(static_cast<int64_t>(d), 0, most);
  }
  return part;
}

// A copy of operand k that the kernel can walk.
Tensor fitting_copy(const Call& call, const NestPlan& plan, const Tensor& whole, int k, const Shape& out) {
  const Tensor t = part_read(plan.form, whole, k, out);
  for (const codegen::NestRead& r : plan.form.reads) {
    if (r.operand != k) continue;
    Tensor copy = innermost_last(plan.form, r, t);
    if (fits(plan, copy, k, out)) return copy;
  }
  throw call.error(ErrorKind::Internal, "no copy of operand " + std::to_string(k) + " fits the kernel");
}

Tensor run_nest(const Call& call, const NestPlan& plan, const Spec& spec) {
  Tensor out(new_record(spec.shape, spec.dtype, spec.device));
  if (plan.form.uniform && !call.in.empty() && call.in[0].defined() && call.shape(0) == spec.shape) {
    out.record()->strides = result_strides(spec.shape, call.in.subspan(0, 1));
  }
  const int64_t elements = numel_of(spec.shape).value();
  if (elements == 0) return out;
  SmallVec<Tensor, 4> in;
  for (size_t k = 0; k < call.in.size(); ++k) {
    const Tensor& t = call.in[k];
    const auto operand = static_cast<int>(k);
    const bool as_it_lies = !t.defined() || fits(plan, t, operand, spec.shape);
    in.push_back(!as_it_lies ? fitting_copy(call, plan, t, operand, spec.shape)
                 : t.defined() && reads_far(plan, t, operand, elements) ? t.contiguous()
                                                                        : t);
  }
  const MergedAxes axes = merged_extents(plan.form, spec.shape);
  SmallVec<void*, 6> buffers;
  for (int k : plan.shape.operands) buffers.push_back(in[static_cast<size_t>(k)].record()->data());
  buffers.push_back(out.record()->data());
  SmallVec<int64_t, 12> ints;
  for (const codegen::NestSize& s : plan.shape.sizes) {
    switch (s.kind) {
      case codegen::NestSize::Extent: ints.push_back(axes.extents[static_cast<size_t>(s.dim)]); break;
      case codegen::NestSize::Stride:
        ints.push_back(stride_argument(plan, s, in[static_cast<size_t>(s.operand)], spec.shape));
        break;
      default: ints.push_back(codegen::nest_size_value(s.value, call, std::span(&spec, 1))); break;
    }
  }
  const SmallVec<double, 8> params = codegen::nest_params(plan.form, call);
  const int64_t inner = axes.extents.size() == 1 ? 1 : axes.extents.back(), rows = elements / inner;
  const int64_t grain = std::max<int64_t>(1, kGrain / inner), units = (rows + grain - 1) / grain;
  run_units(units, elements, [&](int64_t begin, int64_t end) {
    run_kernel(plan.kernel, buffers.data(), ints.data(), params.data(), begin * grain, std::min(end * grain, rows));
  });
  return out;
}

Error no_form(const Call& call) {
  return call.error(ErrorKind::NotImplemented, "this build has no kernel for such a call")
      .fix("the pack holds what the samples of the op show: add one like this call to its definition");
}

}  // namespace

KernelFn find_content(const Kernel& kernel) { return codegen::find_kernel(codegen::content_key(kernel)); }

namespace {
std::atomic<size_t> g_compiled{0};
}

size_t kernels_compiled_by_eager() { return g_compiled; }

KernelFn find_or_compile(const Kernel& kernel) {
  if (KernelFn k = find_content(kernel)) return k;
  if (!codegen::compiler_available()) return nullptr;
  Kernel named = kernel;
  named.name = "nest";
  codegen::CompiledKernels made = codegen::compile_kernels(std::span(&named, 1));
  static std::mutex mutex;
  static std::vector<codegen::CompiledKernels> kept;
  std::lock_guard lock(mutex);
  kept.push_back(std::move(made));
  ++g_compiled;
  return kept.back().functions[0];
}

const NestPlan* nest_plan(const Call& call, const Spec& result) {
  static std::mutex mutex;
  static std::unordered_map<std::string, std::unique_ptr<NestPlan>> plans;
  std::string key = plan_key(call, result);
  {
    std::lock_guard lock(mutex);
    auto found = plans.find(key);
    if (found != plans.end()) return found->second.get();
  }
  std::unique_ptr<NestPlan> made = make_plan(call, result);  // it copies tensors, which may wait for Python's lock
  std::lock_guard lock(mutex);
  return plans.emplace(std::move(key), std::move(made)).first->second.get();
}

namespace {

// The same call with its result in int64, which wraps as narrower integers do.
Call in_int64(const Call& call, std::vector<Attr>& attrs) {
  attrs.assign(call.attrs.begin(), call.attrs.end());
  const std::vector<AttrDecl>& decls = call.op->schema.attrs;
  for (size_t i = 0; i < decls.size(); ++i) {
    if (decls[i].kind == AttrKind::DType) attrs[i] = DType::I64;
  }
  return {call.op, call.in, attrs, call.at};
}

// A reduction in a dtype that the pack does not read: converted first; or does not give: converted after.
Values reduce_converted(const Call& call, const NestPlan& plan, DType result) {
  const DType from = call.dtype(0), to = plan.form.value.dtype();
  if (from == to) {
    std::vector<Attr> attrs;
    const Call wide = in_int64(call, attrs);
    if (!is_int(result) || infer(wide)[0].dtype == result) throw no_form(call);
    return {eager_nest(wide)[0].to(result)};
  }
  SmallVec<Tensor, 4> in(call.in);
  in[0] = in[0].to(to);
  return eager_nest(Call{call.op, {in.data(), in.size()}, call.attrs, call.at});
}

// Kernels read indices of one dtype.
bool has_narrow_index(const Call& call) {
  const std::vector<OperandDecl>& decls = call.op->schema.operands;
  for (size_t k = 0; k < call.in.size(); ++k) {
    const bool index = decls[std::min(k, decls.size() - 1)].kind == TensorKind::Index;
    if (index && call.in[k].defined() && call.in[k].dtype() == DType::I32) return true;
  }
  return false;
}

Values nest_with_wide_indices(const Call& call) {
  SmallVec<Tensor, 4> in;
  const std::vector<OperandDecl>& decls = call.op->schema.operands;
  for (size_t k = 0; k < call.in.size(); ++k) {
    const bool index = decls[std::min(k, decls.size() - 1)].kind == TensorKind::Index;
    in.push_back(index && call.in[k].defined() ? call.in[k].to(DType::I64) : call.in[k]);
  }
  return eager_nest(Call{call.op, {in.data(), in.size()}, call.attrs, call.at});
}

}  // namespace

Values without_views(const Call& call, Values values) {
  for (Tensor& t : values) {
    const TensorRecord& r = *t.record();
    const bool given = std::any_of(call.in.begin(), call.in.end(), [&](const Tensor& x) {
      return x.defined() && x.record()->storage.get() == r.storage.get();
    });
    if (r.view && !given) t = Tensor(new_record_on(r.storage, r.shape, r.strides, r.offset, r.dtype));
  }
  return values;
}

Values eager_nest(const Call& call) {
  if (has_narrow_index(call)) return nest_with_wide_indices(call);
  check_index_bounds(call);
  const SmallVec<Spec, 2> specs = infer(call);
  const Spec& spec = specs[0];
  if (spec.device.type == DeviceType::Meta) return {Tensor(new_abstract(spec.shape, spec.dtype, spec.device))};
  const NestPlan* plan = specs.size() == 1 ? nest_plan(call, spec) : nullptr;
  if (plan != nullptr && plan->reduce) return {eager_reduce(call, *plan, spec)};
  if (plan != nullptr && plan->kernel != nullptr) return {run_nest(call, *plan, spec)};
  if (call.op->compose) return without_views(call, call.op->compose(call));
  if (plan != nullptr && plan->form.combine && !call.in.empty()) return reduce_converted(call, *plan, spec.dtype);
  throw no_form(call);
}

}  // namespace thixo::detail
