#include "backend/reference/reference.h"

#include <bit>
#include <cmath>
#include <numeric>

#include "base/half.h"
#include "ir/eval_expr.h"
#include "thixo/generator.h"

namespace thixo::reference {
namespace {

using Long = long double;
using Index = SmallVec<int64_t, kMaxRank>;

int64_t flat(const Tensor& t, std::span<const int64_t> index) {
  int64_t at = 0;
  for (size_t d = 0; d < index.size(); ++d) at += index[d] * t.strides()[d].value();
  return at;
}

/// Calls f for every index of `shape`, in row-major order.
template <class F> void for_each(std::span<const int64_t> shape, F f) {
  Index at(shape.size(), 0);
  for (int64_t n : shape) {
    if (n == 0) return;
  }
  while (true) {
    f(std::span<const int64_t>(at.data(), at.size()));
    size_t d = shape.size();
    while (d > 0 && ++at[d - 1] == shape[d - 1]) at[--d] = 0;
    if (d == 0) return;
  }
}

Index numbers(const Shape& s) {
  Index out;
  for (Dim d : s) out.push_back(d.value());
  return out;
}

LongComplex as_number(const Scalar& s) {
  if (s.kind() == DType::F64 || s.kind() == DType::C128) return LongComplex(s.to_complex());
  return LongComplex(static_cast<Long>(s.to_int()));
}

/// The value of the attribute behind a Param; "name.key" and "name.counter" of an rng attribute.
LongComplex param_value(const Call& call, const std::string& name) {
  size_t dot = name.find('.');
  const Attr& a = call.attr(name.substr(0, dot));
  if (const RngKey* k = std::get_if<RngKey>(&a)) {
    return LongComplex(static_cast<Long>(name.substr(dot) == ".key" ? k->key : k->counter));
  }
  if (const Scalar* s = std::get_if<Scalar>(&a)) return as_number(*s);
  if (const double* v = std::get_if<double>(&a)) return LongComplex(*v);
  if (const Dim* d = std::get_if<Dim>(&a)) return LongComplex(static_cast<Long>(d->value()));
  return LongComplex(std::get<bool>(a) ? 1 : 0);
}

/// The compute type's view of a number: params of integer type drop their fraction as a cast does.
LongComplex in_type(const LongComplex& v, DType t) {
  if (is_complex(t)) return v;
  if (is_float(t)) return LongComplex(v.real());
  if (t == DType::Bool) return LongComplex(v != LongComplex(0) ? 1 : 0);
  return LongComplex(std::trunc(v.real()));
}

Tensor new_tensor(const Spec& spec) { return Tensor(new_record(spec.shape, spec.dtype, spec.device)); }

Tensor evaluate_pointwise(const Call& call, const Spec& spec) {
  DType t = compute_type(pointwise_type(call));
  std::vector<std::string> names;
  Evaluator evaluator(pointwise_expr(*call.op, t, call.attrs, &names));
  std::vector<LongComplex> params;
  for (const std::string& n : names) params.push_back(in_type(param_value(call, n), t));
  Tensor out = new_tensor(spec);
  int64_t next = 0;
  Index shape = numbers(spec.shape);
  for_each(shape, [&](std::span<const int64_t> at) {
    EvalContext context{[&](const ExprNode& leaf, std::span<const int64_t>) {
      auto k = static_cast<size_t>(leaf.i);
      if (leaf.op == ExprOp::Param) return params[k];
      const Tensor& x = call.in[k];
      if (!x.defined()) return LongComplex(0);
      Index mine;  // broadcast from the right
      auto rank = static_cast<size_t>(x.dim());
      for (size_t d = 0; d < rank; ++d) mine.push_back(x.shape()[d] == 1 ? 0 : at[at.size() - rank + d]);
      return in_type(read_element(x, flat(x, mine)), leaf.dtype);
    }};
    write_element(out, next++, evaluator.eval(context));
  });
  return out;
}

LongComplex start_of(Combine c, DType t) {
  switch (c) {
    case Combine::Prod:
    case Combine::And: return LongComplex(1);
    case Combine::Min:
    case Combine::Max: {
      Expr e = neutral(c, t);
      return Evaluator(e).eval({});
    }
    default: return LongComplex(0);
  }
}

LongComplex combined(Combine c, LongComplex a, LongComplex b) {
  bool truth_a = a != LongComplex(0), truth_b = b != LongComplex(0);
  switch (c) {
    case Combine::Sum: return a + b;
    case Combine::Prod: return a * b;
    case Combine::Min: return std::isnan(a.real()) || a.real() < b.real() ? a : b;
    case Combine::Max: return std::isnan(a.real()) || a.real() > b.real() ? a : b;
    case Combine::Or: return LongComplex(truth_a || truth_b ? 1 : 0);
    case Combine::And: return LongComplex(truth_a && truth_b ? 1 : 0);
  }
  return a;
}

/// What the leaves of a nest's expressions stand for.
class NestLeaves {
 public:
  NestLeaves(const NestCtx& nest, const Call& call) : call_(call) {
    for (const std::string& n : nest.params) params_.push_back(param_value(call, n));
    axes_.resize(static_cast<size_t>(nest.next_axis), 0);
  }
  void set_axis(size_t a, int64_t v) { axes_[a] = v; }
  LongComplex acc;

  LongComplex operator()(const ExprNode& leaf, std::span<const int64_t> index) const {
    switch (leaf.op) {
      case ExprOp::Axis: return LongComplex(static_cast<Long>(axes_[static_cast<size_t>(leaf.i)]));
      case ExprOp::Size: return LongComplex(static_cast<Long>(leaf.dim.value()));
      case ExprOp::Param: return in_type(params_[static_cast<size_t>(leaf.i)], leaf.dtype);
      case ExprOp::Acc: return acc;
      default: break;
    }
    const Tensor& x = call_.in[static_cast<size_t>(leaf.i)];
    for (size_t d = 0; d < index.size(); ++d) {
      if (index[d] < 0 || index[d] >= x.shape()[d].value()) {
        throw InternalError(call_.op->name() + ": its nest reads index " + std::to_string(index[d]) + " of dim " +
                            std::to_string(d) + " of operand " + std::to_string(leaf.i));
      }
    }
    return in_type(read_element(x, flat(x, index)), leaf.dtype);
  }

 private:
  const Call& call_;
  std::vector<LongComplex> params_;
  SmallVec<int64_t, 12> axes_;
};

Values evaluate_nest(const Call& call, const SmallVec<Spec, 2>& specs) {
  NestCtx nest(call, specs);
  call.op->nest(nest);
  Values out;
  for (const Spec& s : specs) out.push_back(new_tensor(s));
  SmallVec<int64_t, 8> extents;
  for (const NestCtx::Reduce& r : nest.reduce) extents.push_back(r.extent.value());
  for (size_t r = 0; r < out.size(); ++r) {
    Evaluator value(nest.values[r]);
    DType t = nest.values[r].dtype();
    Evaluator finish(nest.finish ? nest.finish(acc(0, t)) : nest.values[r]);
    NestLeaves leaves(nest, call);
    EvalContext context{[&](const ExprNode& leaf, std::span<const int64_t> i) { return leaves(leaf, i); }};
    int64_t next = 0;
    for_each(numbers(specs[r].shape), [&](std::span<const int64_t> at) {
      for (size_t d = 0; d < at.size(); ++d) leaves.set_axis(d, at[d]);
      LongComplex result;
      if (nest.combine) {
        result = start_of(*nest.combine, t);
        for_each(extents, [&](std::span<const int64_t> inner) {
          for (size_t a = 0; a < inner.size(); ++a) leaves.set_axis(static_cast<size_t>(nest.reduce[a].axis), inner[a]);
          result = combined(*nest.combine, result, value.eval(context));
        });
      } else {
        result = value.eval(context);
      }
      if (nest.finish) {
        leaves.acc = result;
        result = finish.eval(context);
      }
      write_element(out[r], next++, result);
    });
  }
  return out;
}

// --- what no definition expresses

Values nonzero_rule(const Call& call, const SmallVec<Spec, 2>& specs) {
  Tensor out = new_tensor(specs[0]);
  int64_t next = 0;
  const Tensor& x = call.in[0];
  for_each(numbers(x.shape()), [&](std::span<const int64_t> at) {
    if (read_element(x, flat(x, at)) == LongComplex(0)) return;
    for (int64_t i : at) write_element(out, next++, LongComplex(static_cast<Long>(i)));
  });
  return {out};
}

Values randperm_rule(const Call& call, const SmallVec<Spec, 2>& specs) {
  const RngKey rng = std::get<RngKey>(call.attr("generator"));
  std::vector<int64_t> order(static_cast<size_t>(call.integer("n").value()));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i-- > 1;) {
    auto words = philox4x32(rng.key, rng.counter + i);
    uint64_t r = static_cast<uint64_t>(words[0]) << 32 | words[1];
    std::swap(order[i], order[r % (i + 1)]);
  }
  Tensor out = new_tensor(specs[0]);
  for (size_t i = 0; i < order.size(); ++i) {
    write_element(out, static_cast<int64_t>(i), LongComplex(static_cast<Long>(order[i])));
  }
  return {out};
}

Values evaluate_view(const Call& call) {
  const ViewSpec v = call.op->view(call);
  ViewStep step{call.op, {call.attrs.begin(), call.attrs.end()}};
  return {make_view(call.in[0], v.shape, v.strides, v.offset.value(), std::move(step))};
}

bool is_meta(const SmallVec<Spec, 2>& specs) {
  for (const Spec& s : specs) {
    if (s.device.type == DeviceType::Meta) return true;
  }
  return false;
}

}  // namespace

Values evaluate(const Call& call) {
  const OpDef& op = *call.op;
  if (op.tier == Tier::Composite) return op.compose(call);
  if (op.tier == Tier::View) return evaluate_view(call);
  const SmallVec<Spec, 2> specs = infer(call);
  if (is_meta(specs)) {
    Values out;
    for (const Spec& s : specs) out.push_back(Tensor(new_abstract(s.shape, s.dtype, s.device)));
    return out;
  }
  if (op.tier == Tier::Pointwise) return {evaluate_pointwise(call, specs[0])};
  if (op.nest) return evaluate_nest(call, specs);
  if (op.compose) return op.compose(call);
  if (op.kernel == "nonzero") return nonzero_rule(call, specs);
  if (op.kernel == "randperm") return randperm_rule(call, specs);
  throw call.error(ErrorKind::NotImplemented, "its definition gives the reference nothing to evaluate");
}

void evaluate_into(const Call& call, std::span<const Tensor> out) {
  const Values values = evaluate(call);
  for (size_t r = 0; r < out.size(); ++r) {
    const Tensor& from = values[r];
    for_each(numbers(out[r].shape()), [&](std::span<const int64_t> at) {
      write_element(out[r], flat(out[r], at), read_element(from, flat(from, at)));
    });
    ++out[r].record()->storage->version;
  }
}

Scope::Scope() : before_(dispatch_table()) {
  dispatch_table().eager = evaluate;
  dispatch_table().eager_into = evaluate_into;
}
Scope::~Scope() { dispatch_table() = before_; }

namespace {

template <class T> LongComplex number_at(const void* p, int64_t i) {
  return LongComplex(static_cast<Long>(static_cast<const T*>(p)[i]));
}
template <class T> LongComplex complex_at(const void* p, int64_t i) {
  return LongComplex(static_cast<const std::complex<T>*>(p)[i]);
}
uint16_t half_at(const void* p, int64_t i) { return static_cast<const uint16_t*>(p)[i]; }

/// To 16 bits in one rounding: a double on the way is rounded to odd, so that the second rounding sees no false tie.
float to_odd_float(Long v) {
  auto f = static_cast<float>(v);
  if (static_cast<Long>(f) == v || std::isnan(f) || std::isinf(f)) return f;
  float below = static_cast<Long>(f) < v ? f : std::nextafterf(f, -INFINITY);
  float above = std::nextafterf(below, INFINITY);
  return (std::bit_cast<uint32_t>(below) & 1u) != 0 ? below : above;
}

template <class T> void put_integer(void* p, int64_t i, Long v) {
  bool in_range = v >= -0x1p63L && v < 0x1p64L;
  static_cast<T*>(p)[i] = !in_range ? T(0)
                          : v < 0   ? static_cast<T>(static_cast<int64_t>(v))
                                    : static_cast<T>(static_cast<uint64_t>(v));
}

}  // namespace

std::complex<long double> read_element(const Tensor& t, int64_t offset) {
  const void* p = t.record()->data();
  switch (t.dtype()) {
    case DType::F64: return number_at<double>(p, offset);
    case DType::F32: return number_at<float>(p, offset);
    case DType::F16: return LongComplex(f16_to_f32(half_at(p, offset)));
    case DType::BF16: return LongComplex(bf16_to_f32(half_at(p, offset)));
    case DType::I64: return number_at<int64_t>(p, offset);
    case DType::I32: return number_at<int32_t>(p, offset);
    case DType::I16: return number_at<int16_t>(p, offset);
    case DType::I8: return number_at<int8_t>(p, offset);
    case DType::U8: return number_at<uint8_t>(p, offset);
    case DType::U16: return number_at<uint16_t>(p, offset);
    case DType::U32: return number_at<uint32_t>(p, offset);
    case DType::U64: return number_at<uint64_t>(p, offset);
    case DType::Bool: return LongComplex(static_cast<const uint8_t*>(p)[offset] != 0 ? 1 : 0);
    case DType::C64: return complex_at<float>(p, offset);
    case DType::C128: return complex_at<double>(p, offset);
  }
  return {};
}

void write_element(const Tensor& t, int64_t offset, std::complex<long double> v) {
  void* p = t.record()->data();
  Long r = v.real();
  switch (t.dtype()) {
    case DType::F64: static_cast<double*>(p)[offset] = static_cast<double>(r); break;
    case DType::F32: static_cast<float*>(p)[offset] = static_cast<float>(r); break;
    case DType::F16: static_cast<uint16_t*>(p)[offset] = f32_to_f16(to_odd_float(r)); break;
    case DType::BF16: static_cast<uint16_t*>(p)[offset] = f32_to_bf16(to_odd_float(r)); break;
    case DType::I64: put_integer<int64_t>(p, offset, r); break;
    case DType::I32: put_integer<int32_t>(p, offset, r); break;
    case DType::I16: put_integer<int16_t>(p, offset, r); break;
    case DType::I8: put_integer<int8_t>(p, offset, r); break;
    case DType::U8: put_integer<uint8_t>(p, offset, r); break;
    case DType::U16: put_integer<uint16_t>(p, offset, r); break;
    case DType::U32: put_integer<uint32_t>(p, offset, r); break;
    case DType::U64: put_integer<uint64_t>(p, offset, r); break;
    case DType::Bool: static_cast<uint8_t*>(p)[offset] = v != LongComplex(0) ? 1 : 0; break;
    case DType::C64:
      static_cast<std::complex<float>*>(p)[offset] = {static_cast<float>(r), static_cast<float>(v.imag())};
      break;
    case DType::C128:
      static_cast<std::complex<double>*>(p)[offset] = {static_cast<double>(r), static_cast<double>(v.imag())};
      break;
  }
}

}  // namespace thixo::reference
