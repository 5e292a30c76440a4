#include "transform/vmap.h"

#include <algorithm>

namespace thixo {
namespace {

const OpDef* stack_op() {
  static const OpDef* op = find_op("stack");
  return op;
}

/// A random stream of its own for this level.
RngKey split(const RngKey& k, uint64_t salt) {
  return {k.key ^ (k.counter + 1) * 0x9E3779B97F4A7C15ULL ^ salt * 0xD1B54A32D192ED03ULL, k.counter, k.source};
}

}  // namespace

Tensor VmapLevel::batched(const Tensor& value) const {
  Shape shape = value.shape();
  shape.erase(0);
  return wrap(value, shape);
}

Tensor VmapLevel::enter(const Tensor& t, int64_t dim) { return batched(dim == 0 ? t : t.movedim(dim, 0)); }

Tensor VmapLevel::leave(const Tensor& t, int64_t dim) {
  if (owns(t)) return dim == 0 ? value(t) : value(t).movedim(0, dim);
  Shape size = t.shape();
  size.insert(0, batch_);
  const Tensor all = t.unsqueeze(0).expand(size);
  return dim == 0 ? all : all.movedim(0, dim);
}

Tensor VmapLevel::lower(const Tensor& self, const Tensor& v) {
  if (!owns(v)) return v;
  Tensor b = value(v);
  for (int64_t missing = self.dim() - v.dim(); missing > 0; --missing) b = b.unsqueeze(1);
  return b;
}

/// Broadcasting aligns dims at the end: between the batch and a short example's dims come dims of size 1.
Values VmapLevel::pointwise(const Call& call) {
  int64_t rank = 0;
  for (const Tensor& t : call.in) rank = std::max(rank, t.defined() ? t.dim() : 0);
  const bool promotes = call.op->tier == Tier::Pointwise;
  const DType type = promotes ? pointwise_type(call) : DType::F32;
  SmallVec<Tensor, 4> in;
  for (const Tensor& t : call.in) {
    if (!t.defined() || !owns(t)) {
      in.push_back(t);
      continue;
    }
    Tensor b = value(t);
    // A 0-d example is weak in promotion; as a batch it no longer would be.
    if (promotes && t.dim() == 0 && t.dtype() != DType::Bool && t.dtype() != type) b = b.to(type);
    for (int64_t missing = rank - t.dim(); missing > 0; --missing) b = b.unsqueeze(1);
    in.push_back(std::move(b));
  }
  Values out = dispatch(Call{call.op, {in.data(), in.size()}, call.attrs, call.at});
  for (Tensor& t : out) t = batched(t);
  return out;
}

Values VmapLevel::by_rule(const Call& call, bool& done) {
  SmallVec<Tensor, 4> in;
  SmallVec<int, 4> dims;
  for (const Tensor& t : call.in) {
    const bool mine = t.defined() && owns(t);
    in.push_back(mine ? value(t) : t);
    dims.push_back(mine ? 0 : -1);
  }
  const Call below{call.op, {in.data(), in.size()}, call.attrs, call.at};
  BatchResult r = call.op->batch({below, {dims.data(), dims.size()}, batch_});
  done = !r.values.empty();
  for (size_t k = 0; k < r.values.size(); ++k) {
    Tensor& t = r.values[k];
    if (!t.defined() || r.batch_dim[k] < 0) continue;
    t = batched(r.batch_dim[k] == 0 ? t : t.movedim(r.batch_dim[k], 0));
  }
  return r.values;
}

/// Ops that only look at the shape of their operand (zeros_like): the batch in front is one more dim.
Values VmapLevel::creation(const Call& call) {
  const Tensor like = value(call.in[0]);
  Values out = dispatch(Call{call.op, std::span<const Tensor>(&like, 1), call.attrs, call.at});
  for (Tensor& t : out) t = batched(t);
  return out;
}

/// Example i by itself. `own_keys`: with a random stream of its own.
Values VmapLevel::example(const Call& call, int64_t i, bool own_keys) const {
  SmallVec<Tensor, 4> in;
  for (const Tensor& t : call.in) in.push_back(t.defined() && owns(t) ? value(t).select(0, i) : t);
  SmallVec<Attr, 4> attrs;
  attrs.append(call.attrs.begin(), call.attrs.end());
  for (Attr& a : attrs) {
    if (RngKey* k = std::get_if<RngKey>(&a); k != nullptr && own_keys) *k = split(*k, static_cast<uint64_t>(i) + 1000);
  }
  return dispatch(Call{call.op, {in.data(), in.size()}, {attrs.data(), attrs.size()}, call.at});
}

/// No rule: example by example.
Values VmapLevel::loop(const Call& call, bool own_keys) {
  const int64_t n = batch_.value();
  if (n == 0) throw NotImplementedError("vmap: " + call.op->name() + " over an empty batch").at(call.at);
  SmallVec<TensorList, 2> parts;
  for (int64_t i = 0; i < n; ++i) {
    Values one = example(call, i, own_keys);
    if (i == 0) parts.resize(one.size());
    for (size_t k = 0; k < one.size(); ++k) parts[k].push_back(std::move(one[k]));
  }
  Values out;
  const Attr zero[] = {Dim(0)};
  for (const TensorList& list : parts) out.push_back(batched(dispatch1(Call{stack_op(), list, zero, call.at})));
  return out;
}

Values VmapLevel::random(const Call& call) {
  if (randomness_ == Randomness::Error) {
    throw ValueError("vmap: " + call.op->name() + " is random, and it is not said whether the examples should differ")
        .fix("pass randomness=\"different\" (each example its own numbers) or \"same\" to vmap")
        .at(call.at);
  }
  const BelowLevel below(level());
  const bool mine =
      std::any_of(call.in.begin(), call.in.end(), [&](const Tensor& t) { return t.defined() && owns(t); });
  if (randomness_ == Randomness::Same) return mine ? loop(call, false) : dispatch(call);  // one key for all
  SmallVec<Attr, 4> attrs;
  attrs.append(call.attrs.begin(), call.attrs.end());
  for (Attr& a : attrs) {
    if (RngKey* k = std::get_if<RngKey>(&a)) *k = split(*k, static_cast<uint64_t>(level()));
  }
  const Call own{call.op, call.in, {attrs.data(), attrs.size()}, call.at};
  if (mine && call.op->schema.creation) return creation(own);
  bool done = false;
  Values out;
  if (mine && call.op->batch) out = by_rule(own, done);
  if (done) return out;
  return loop(own, true);
}

Values VmapLevel::apply(const Call& call) {
  const bool takes_key = std::any_of(call.attrs.begin(), call.attrs.end(),
                                     [](const Attr& a) { return std::holds_alternative<RngKey>(a); });
  if (takes_key) return random(call);
  try {
    return whole_batch(call);
  } catch (const Error&) {
    // It speaks of the batch's sizes. An example by itself has the same error in the user's sizes.
    if (!batch_.is_symbolic() && batch_.value() > 0) example(call, 0, false);
    throw;
  }
}

Values VmapLevel::whole_batch(const Call& call) {
  if (call.op->schema.creation) return creation(call);
  bool done = false;
  Values out;
  if (call.op->batch) out = by_rule(call, done);
  if (!done) {
    if (call.op->tier == Tier::Pointwise) {
      out = pointwise(call);
    } else if (call.op->tier == Tier::Composite) {
      return call.op->compose(Call{call.op, bounded_operands(call), call.attrs, call.at});
    } else {
      out = loop(call, false);
    }
  }
  link_view(call, out);
  return out;
}

}  // namespace thixo
