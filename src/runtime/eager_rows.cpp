// Composites over rows: softmax, norms, losses. One kernel of the pack computes the whole decomposition row by row.
#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "codegen/nest_form.h"
#include "codegen/row_form.h"
#include "core/values.h"
#include "runtime/eager.h"
#include "runtime/eager_nest.h"
#include "runtime/eager_tiles.h"

namespace thixo::detail {
namespace {

constexpr size_t kRowScratch = 8;  // first slot of thread_scratch for rows

struct RowPlan {
  codegen::RowForm form;
  KernelFn kernel = nullptr;
};

class KeyWriter {
 public:
  template <class T> void put(const T& v) { key_.append(reinterpret_cast<const char*>(&v), sizeof v); }
  void size(const SmallVec<int64_t, 8>& sizes, Dim d) {
    const auto at = std::find(sizes.begin(), sizes.end(), d.value());
    put(at != sizes.end());
    put(at == sizes.end() ? d.value() : static_cast<int64_t>(at - sizes.begin()));
  }
  /// Which of the sizes each number is; with none, as for a list of dims, the numbers themselves.
  void shape(const SmallVec<int64_t, 8>& sizes, const Shape& s) {
    put(s.size());
    for (Dim d : s) size(sizes, d);
  }
  void scalar(const Scalar& s) {
    put(s.kind());
    put(s.to_int());
    put(s.to_complex());
  }
  void text(const std::string& s) {
    put(s.size());
    key_ += s;
  }
  std::string take() { return std::move(key_); }

 private:
  std::string key_;
};

// What a form depends on: see codegen/row_form.h.
std::string row_key(const Call& call, const SmallVec<int64_t, 8>& sizes) {
  KeyWriter w;
  w.put(call.op->id);
  for (const Tensor& t : call.in) {
    w.put(t.defined() ? static_cast<int>(t.dtype()) : -1);
    if (t.defined()) w.shape(sizes, t.shape());
  }
  for (size_t i = 0; i < call.attrs.size(); ++i) {
    const Attr& a = call.attrs[i];
    const bool of_sizes = call.op->schema.attrs[i].kind == AttrKind::Size;
    w.put(a.index());
    if (const bool* v = std::get_if<bool>(&a)) w.put(*v);
    if (const Dim* v = std::get_if<Dim>(&a)) w.put(v->value());
    if (const double* v = std::get_if<double>(&a)) w.put(*v);
    if (const Scalar* v = std::get_if<Scalar>(&a)) w.scalar(*v);
    if (const Shape* v = std::get_if<Shape>(&a)) w.shape(of_sizes ? sizes : SmallVec<int64_t, 8>(), *v);
    if (const DType* v = std::get_if<DType>(&a)) w.put(*v);
    if (const std::string* v = std::get_if<std::string>(&a)) w.text(*v);
  }
  return w.take();
}

std::unique_ptr<RowPlan> make_plan(const Call& call) {
  auto plan = std::make_unique<RowPlan>();
  try {
    if (std::optional<codegen::RowForm> form = codegen::row_form(call)) {
      plan->kernel = find_content(form->kernel);
      plan->form = std::move(*form);
    }
  } catch (const Error&) {
    // A bad call: the decomposition itself says so, with the true sizes.
  }
  return plan;
}

const RowPlan* row_plan(const Call& call, const SmallVec<int64_t, 8>& sizes) {
  static std::mutex mutex;
  static std::unordered_map<std::string, std::unique_ptr<RowPlan>> plans;
  std::string key = row_key(call, sizes);
  const auto usable = [](const RowPlan& p) { return p.kernel == nullptr ? nullptr : &p; };
  {
    std::lock_guard lock(mutex);
    auto found = plans.find(key);
    if (found != plans.end()) return usable(*found->second);
  }
  std::unique_ptr<RowPlan> made = make_plan(call);  // it copies tensors, which may wait for Python's lock
  std::lock_guard lock(mutex);
  return usable(*plans.emplace(std::move(key), std::move(made)).first->second);
}

int64_t value_in(Dim d, const codegen::RowForm& form, const SmallVec<int64_t, 8>& sizes) {
  return codegen::size_value(d, [&](const std::string& name) {
    const auto at = std::find_if(form.size_names.begin(), form.size_names.end(),
                                 [&](const codegen::RowForm::SizeName& n) { return n.name == name; });
    return sizes[at->size];
  });
}

/// A few long rows leave threads idle and add up many numbers one after the other: the pieces do better.
bool in_long_rows(const RowPlan& plan, const SmallVec<int64_t, 8>& sizes) {
  constexpr int64_t kFewRows = 8, kLongRow = 1 << 16;
  const codegen::RowForm& f = plan.form;
  return !f.kernel.vector_par && value_in(f.extent, f, sizes) < kFewRows && value_in(f.row, f, sizes) >= kLongRow;
}

Values run_rows(const Call& call, const RowPlan& plan, const SmallVec<int64_t, 8>& sizes) {
  const codegen::RowForm& f = plan.form;
  Values out;
  for (const Spec& s : f.results) {
    Shape shape;
    for (Dim d : s.shape) shape.push_back(value_in(d, f, sizes));
    out.push_back(Tensor(new_record(shape, s.dtype)));
  }
  SmallVec<Tensor, 4> in;
  for (const Tensor& t : call.in) in.push_back(t.defined() ? t.contiguous() : t);
  SmallVec<void*, 12> buffers;
  SmallVec<size_t, 4> scratch;  // bytes
  for (size_t i = 0; i < f.buffers.size(); ++i) {
    const auto k = static_cast<size_t>(f.buffers[i].index);
    switch (f.buffers[i].kind) {
      case codegen::RowForm::Buffer::Operand: buffers.push_back(in[k].record()->data()); break;
      case codegen::RowForm::Buffer::Number: buffers.push_back(f.numbers[k].record()->data()); break;
      case codegen::RowForm::Buffer::Result: buffers.push_back(out[k].record()->data()); break;
      default:
        scratch.push_back(static_cast<size_t>(value_in(f.scratch[scratch.size()], f, sizes)) *
                          item_size(f.kernel.buffers[i].dtype));
        buffers.push_back(nullptr);
        break;
    }
  }
  SmallVec<int64_t, 8> ints;
  for (Dim d : f.sizes) ints.push_back(value_in(d, f, sizes));
  const int64_t rows = value_in(f.extent, f, sizes), row = f.kernel.vector_par ? 1 : value_in(f.row, f, sizes);
  const int64_t grain = std::max<int64_t>(1, kGrain / row);
  run_units((rows + grain - 1) / grain, rows * row, [&](int64_t begin, int64_t end) {
    SmallVec<void*, 12> mine = buffers;
    size_t slot = 0;
    for (void*& b : mine) {
      if (b != nullptr) continue;
      b = thread_scratch(kRowScratch + slot, scratch[slot]);
      ++slot;
    }
    run_kernel(plan.kernel, mine.data(), ints.data(), f.params.data(), begin * grain, std::min(end * grain, rows));
  });
  return out;
}

// ---- rows along another dim than the last ----

Tensor with_dim_last(const Tensor& t, size_t dim) {
  Shape shape = t.shape();
  Strides strides = t.strides();
  shape.push_back(shape[dim]);
  strides.push_back(strides[dim]);
  shape.erase(dim);
  strides.erase(dim);
  return Tensor(new_record_on(t.record()->storage, shape, strides, t.storage_offset(), t.dtype()));
}

Tensor with_dim_back(const Tensor& t, size_t dim) {
  Shape shape = t.shape();
  Strides strides = t.strides();
  shape.insert(dim, shape.back());
  strides.insert(dim, strides.back());
  shape.pop_back();
  strides.pop_back();
  return Tensor(new_record_on(t.record()->storage, shape, strides, 0, t.dtype()));
}

/// The place of the one attribute that says along which dim the rows lie, or -1.
int dim_attribute(const OpDef& op) {
  int at = -1;
  for (size_t i = 0; i < op.schema.attrs.size(); ++i) {
    if (op.schema.attrs[i].kind != AttrKind::Dim) continue;
    if (at >= 0) return -1;
    at = static_cast<int>(i);
  }
  return at;
}

std::optional<Values> run_transposed(const Call& call) {
  const int at = dim_attribute(*call.op);
  const auto rank = static_cast<size_t>(call.rank(0));
  if (at < 0 || rank < 2 || call.attrs[static_cast<size_t>(at)].index() == 0) return std::nullopt;
  const auto dim = static_cast<size_t>(call.dim(call.op->schema.attrs[static_cast<size_t>(at)].name, call.rank(0)));
  if (dim + 1 == rank) return std::nullopt;
  SmallVec<Tensor, 4> in;
  for (const Tensor& t : call.in) in.push_back(t.defined() && t.shape().size() == rank ? with_dim_last(t, dim) : t);
  std::vector<Attr> attrs(call.attrs.begin(), call.attrs.end());
  attrs[static_cast<size_t>(at)] = Dim(-1);
  Values out = eager_rows(Call{call.op, {in.data(), in.size()}, attrs, call.at});
  for (Tensor& t : out) {
    if (t.shape().size() == rank) t = with_dim_back(t, dim);
  }
  return out;
}

bool is_plain(const Call& call) {  // data on the processor, and some of it
  for (const Tensor& t : call.in) {
    if (t.defined() && (!t.record()->storage || numel_of(t.shape()).value() == 0)) return false;
  }
  return true;
}

}  // namespace

Values eager_rows(const Call& call) {
  if (!is_plain(call)) return call.op->compose(call);
  check_index_bounds(call);
  const SmallVec<int64_t, 8> sizes = codegen::row_sizes(call);
  const RowPlan* plan = row_plan(call, sizes);
  if (plan != nullptr && !in_long_rows(*plan, sizes)) return run_rows(call, *plan, sizes);
  if (std::optional<Values> out = run_transposed(call)) return std::move(*out);
  return without_views(call, call.op->compose(call));
}

}  // namespace thixo::detail
