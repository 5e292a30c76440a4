// Members of Tensor that are ops in disguise: copies, conversions and indexing.
#include <algorithm>

#include "core/record_of.h"
#include "ir/dispatch.h"
#include "thixo/tensor.h"

namespace thixo {
namespace {

const char* format_name(MemoryFormat f) {
  return f == MemoryFormat::Preserve ? "preserve" : f == MemoryFormat::Contiguous ? "contiguous" : "channels_last";
}

void assign_inplace(const Tensor& self, const Tensor& source, const SourceLoc& at) {
  static const OpDef* op = find_op("assign");
  const Tensor in[] = {self, source};
  dispatch_inplace(Call{op, in, {}, at}, self);
}

Error index_error(const Tensor& t, const std::string& what, const SourceLoc& at) {
  Error e = IndexError("index: " + what).got("x: " + std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()));
  if (at.line() != 0) e.at(at);
  return e;
}

SourceLoc place_of(std::span<const TensorIndex> at) { return at.empty() ? SourceLoc() : at[0].at(); }

/// How many dims of the tensor an index entry takes.
int64_t consumed(const TensorIndex& i) {
  const auto& v = i.value();
  if (std::holds_alternative<Ellipsis_>(v) || std::holds_alternative<NewAxis_>(v)) return 0;
  if (const Tensor* t = std::get_if<Tensor>(&v)) return t->dtype() == DType::Bool ? std::max<int64_t>(t->dim(), 0) : 1;
  return 1;
}

/// A single integer whose value is at hand: it selects, as a number does. While a program is recorded, or for a
/// transform's value, it is an index like others.
std::optional<int64_t> known_number(const Tensor& t) {
  const TensorRecord& r = *t.record();
  const bool whole = r.dtype == DType::I64 || r.dtype == DType::I32;
  if (t.dim() != 0 || !whole || r.wrapper || !r.storage) return std::nullopt;
  const std::vector<Interpreter*>& bottom = dispatch_state().bottom;
  if (!std::all_of(bottom.begin(), bottom.end(), [](const Interpreter* i) { return i->watches(); }))
    return std::nullopt;
  return t.item_scalar().to_int();
}

/// A value without its leading dims of size 1: they broadcast anyway, and the rest may fit a target of lower rank.
Tensor without_leading_ones(Tensor v) {
  while (v.dim() > 0 && !v.size(0).is_symbolic() && v.size(0) == 1) v = v.select(0, 0);
  return v;
}

/// Applies the views of an index; index tensors are left in `tensors` at the dim that they take.
Tensor apply_basic(const Tensor& x, std::span<const TensorIndex> at, TensorList* tensors) {
  int64_t used = 0, ellipses = 0;
  for (const TensorIndex& i : at) {
    used += consumed(i);
    ellipses += std::holds_alternative<Ellipsis_>(i.value()) ? 1 : 0;
  }
  if (ellipses > 1) throw index_error(x, "an index can have only one ellipsis", place_of(at));
  if (used > x.dim()) {
    const std::string rank = std::to_string(x.dim());
    throw index_error(x, "too many indices: " + std::to_string(used) + " for a tensor of rank " + rank, place_of(at));
  }
  Tensor y = x;
  int64_t d = 0;
  auto put = [&](Tensor t) {
    tensors->resize(static_cast<size_t>(std::max<int64_t>(d, static_cast<int64_t>(tensors->size()))));
    tensors->push_back(std::move(t));
    ++d;
  };
  for (const TensorIndex& i : at) {
    const auto& v = i.value();
    if (const int64_t* n = std::get_if<int64_t>(&v)) {
      y = y.select(d, *n, i.at());
    } else if (const Slice* s = std::get_if<Slice>(&v)) {
      bool whole = !s->start && !s->stop && s->step == 1;
      if (!whole)
        y = y.slice(d, s->start ? std::optional<Dim>(*s->start) : std::nullopt,
                    s->stop ? std::optional<Dim>(*s->stop) : std::nullopt, s->step, i.at());
      ++d;
    } else if (std::holds_alternative<Ellipsis_>(v)) {
      d += x.dim() - used;
    } else if (std::holds_alternative<NewAxis_>(v)) {
      y = y.unsqueeze(d++, i.at());
    } else {
      const Tensor& t = std::get<Tensor>(v);
      if (t.dtype() != DType::Bool) {
        if (const std::optional<int64_t> one = known_number(t)) {
          y = y.select(d, *one);
        } else {
          put(t);
        }
        continue;
      }
      if (t.dim() == 0) {  // a mask of no dims makes one, of size 1 or 0
        y = y.unsqueeze(d);
        put(t.reshape({1}).nonzero().select(1, 0));
        continue;
      }
      Tensor places = t.nonzero(i.at());
      for (int64_t k = 0; k < t.dim(); ++k) {
        if (!(t.size(k) == y.size(d))) {
          throw index_error(x,
                            "a mask of shape " + shape_str(t.shape()) + " does not fit dim " + std::to_string(d) +
                                " of size " + y.size(d).str(),
                            i.at());
        }
        put(places.select(1, k, i.at()));
      }
    }
  }
  return y;
}

}  // namespace

Tensor Tensor::clone(MemoryFormat format, SourceLoc at) const { return clone(CloneOptions{format_name(format)}, at); }

Tensor Tensor::contiguous(MemoryFormat format, SourceLoc at) const {
  if (format == MemoryFormat::Preserve || is_contiguous(format)) return *this;
  return clone(format, at);
}

Tensor Tensor::to(DType t, SourceLoc at) const {
  if (t == dtype()) return *this;
  static const OpDef* op = find_op("to_dtype");
  const Tensor in[] = {*this};
  const Attr attrs[] = {t};
  return dispatch1(Call{op, in, attrs, at});
}

Tensor Tensor::to(Device d, SourceLoc at) const {
  if (d == device()) return *this;
  if (d.type == DeviceType::Meta) return Tensor(new_abstract(shape(), dtype(), d));
  throw DeviceError("to: cannot bring a tensor from " + device().str() + " to " + d.str()).at(at);
}

Tensor& Tensor::copy_(const TensorArg& source) {
  record_of(*this, "copy_");
  assign_inplace(*this, source.tensor(), source.at());
  return *this;
}

Tensor& Tensor::fill_(Scalar value) {
  record_of(*this, "fill_");
  TensorArg v(value);
  assign_inplace(*this, v.tensor(), {});
  return *this;
}

Tensor Tensor::index(std::span<const TensorIndex> at) const {
  TensorList tensors;
  Tensor y = apply_basic(*this, at, &tensors);
  return tensors.empty() ? y : y.index(tensors, place_of(at));
}
Tensor Tensor::index(std::initializer_list<TensorIndex> at) const {
  return index(std::span<const TensorIndex>(at.begin(), at.size()));
}
Tensor Tensor::operator[](const TensorIndex& i) const { return index(std::span<const TensorIndex>(&i, 1)); }

Tensor& Tensor::index_put_(std::span<const TensorIndex> at, const TensorArg& value, bool accumulate) {
  TensorList tensors;
  Tensor y = apply_basic(*this, at, &tensors);
  const Tensor v = without_leading_ones(value.tensor());
  if (!tensors.empty()) {
    y.index_put_(tensors, TensorArg(v.to(dtype(), value.at()), value.at()), accumulate, value.at());
  } else if (accumulate) {
    y.add_(TensorArg(v, value.at()));
  } else {
    y.copy_(TensorArg(v, value.at()));
  }
  return *this;
}
Tensor& Tensor::index_put_(std::initializer_list<TensorIndex> at, const TensorArg& value, bool accumulate) {
  return index_put_(std::span<const TensorIndex>(at.begin(), at.size()), value, accumulate);
}

}  // namespace thixo
