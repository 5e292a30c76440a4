#include "cases.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "backend/reference/reference.h"

namespace thixo::conformance {
namespace {

using reference::read_element;
using reference::write_element;
using LongComplex = std::complex<long double>;

std::string attr_text(const Attr& a) {
  struct Text {
    std::string operator()(std::monostate) { return "None"; }
    std::string operator()(bool v) { return v ? "true" : "false"; }
    std::string operator()(Dim v) { return v.str(); }
    std::string operator()(double v) { return Scalar(v).str(); }
    std::string operator()(const Scalar& v) { return v.str(); }
    std::string operator()(const Shape& v) { return shape_str(v); }
    std::string operator()(const std::string& v) { return v; }
    std::string operator()(DType v) { return std::string(dtype_short_name(v)); }
    std::string operator()(Device v) { return v.str(); }
    std::string operator()(RngKey v) { return std::to_string(v.key) + "/" + std::to_string(v.counter); }
    std::string operator()(const ViewChain&) { return "chain"; }
  };
  return std::visit(Text(), a);
}

/// Every index of a shape, in row-major order.
template <class F> void for_each(const Shape& shape, F f) {
  SmallVec<int64_t, kMaxRank> at(shape.size(), 0);
  if (numel_of(shape) == 0) return;
  while (true) {
    f(std::span<const int64_t>(at.data(), at.size()));
    size_t d = shape.size();
    while (d > 0 && ++at[d - 1] == shape[d - 1].value()) at[--d] = 0;
    if (d == 0) return;
  }
}

int64_t place(const Tensor& t, std::span<const int64_t> at) {
  int64_t p = 0;
  for (size_t d = 0; d < at.size(); ++d) p += at[d] * t.strides()[d].value();
  return p;
}

/// Numbers that differ from op to op and operand to operand, and never from run to run.
std::mt19937_64 generator_of(const std::string& what) {
  uint64_t h = 1469598103934665603u;
  for (char c : what) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return std::mt19937_64(h);
}

DType operand_dtype(const OperandDecl& decl, const SampleTensor& s, DType t) {
  if (s.dtype) return *s.dtype;
  if (decl.kind == TensorKind::Bool) return DType::Bool;
  if (decl.kind == TensorKind::Index) return DType::I64;
  return s.wide ? compute_type(t) : t;
}

constexpr double kExtremes[] = {-400, -20, -1,  -0.5,  -1e-6,  -0.0, 0.0,      1e-6,      0.5, 1,
                                2,    20,  400, 1e-42, -1e-42, 1e30, INFINITY, -INFINITY, NAN};

double random_value(std::mt19937_64& g, const SampleTensor& s, bool smooth) {
  double u = std::uniform_real_distribution<double>(s.low, s.high)(g);
  if (smooth) return u;
  double step = s.high - s.low > 100 ? 1 : 1.0 / 32;
  return std::round(u / step) * step;
}

Tensor fill(const Shape& shape, DType t, const SampleTensor& s, std::mt19937_64 g, bool smooth) {
  Tensor x = empty(shape, {.dtype = t});
  int64_t n = x.numel().value();
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = i;
  if (s.distinct) std::shuffle(order.begin(), order.end(), g);
  for (int64_t i = 0; i < n; ++i) {
    double re = random_value(g, s, smooth), im = 0;
    if (s.distinct) re = static_cast<double>(order[static_cast<size_t>(i)] - n / 2) * 0.5;
    if (!s.values.empty()) re = s.values[static_cast<size_t>(i) % s.values.size()];
    if (is_complex(t) && s.values.empty()) im = random_value(g, s, smooth);
    if (t == DType::Bool && s.values.empty()) re = (g() & 1u) != 0 ? 1 : 0;
    if (is_unsigned(t)) re = std::fabs(re);
    write_element(x, i, LongComplex(re, im));
  }
  return x;
}

TestCall build(const OpDef& op, const Sample& sample, DType t, bool smooth) {
  TestCall c;
  c.op = &op;
  c.bad = sample.bad;
  for (size_t k = 0; k < sample.in.size(); ++k) {
    const SampleTensor& s = sample.in[k];
    if (s.absent) {
      c.in.emplace_back();
      continue;
    }
    const OperandDecl& decl = op.schema.operands[op.schema.operand_at(k, sample.in.size())];
    DType d = operand_dtype(decl, s, t);
    c.in.push_back(fill(s.shape, d, s, generator_of(op.name() + std::to_string(k) + shape_str(s.shape)), smooth));
  }
  for (const AttrDecl& a : op.schema.attrs) {
    Attr value = a.def;
    for (const auto& [name, v] : sample.attrs) {
      if (name == a.name) value = v;
    }
    if (a.kind == AttrKind::Rng && value.index() == 0) value = RngKey{1, 0};
    c.attrs.push_back(value);
  }
  for (const auto& [name, v] : sample.attrs) {
    bool known = false;
    for (const AttrDecl& a : op.schema.attrs) known |= a.name == name;
    if (!known) throw InternalError(op.name() + ": a sample names an attribute '" + name + "' that the schema lacks");
  }
  return c;
}

/// The samples of a pointwise op: shapes that broadcast, and the extremes of every operand against all of the others.
std::vector<Sample> pointwise_samples(const OpDef& op) {
  size_t n = op.schema.operands.size();
  constexpr int kCount = static_cast<int>(std::size(kExtremes));
  std::vector<double> extremes(std::begin(kExtremes), std::end(kExtremes));
  auto of = [&](auto shape_of) {
    Sample s;
    for (size_t k = 0; k < n; ++k) s.in.push_back({.shape = shape_of(k)});
    return s;
  };
  std::vector<Sample> out;
  out.push_back(of([](size_t) { return Shape{3, 37}; }));
  out.push_back(of([](size_t) { return Shape{}; }));
  out.push_back(of([](size_t) { return Shape{0, 2}; }));
  if (n > 1) {
    out.push_back(of([](size_t k) { return k == 0 ? Shape{3, 1} : k == 1 ? Shape{4} : Shape{2, 1, 1}; }));
    out.push_back(of([](size_t k) { return k == 0 ? Shape{2, 3} : Shape{}; }));
    Sample bad = of([](size_t k) { return k == 0 ? Shape{2, 3} : Shape{4}; });
    bad.bad = "broadcast";
    out.push_back(bad);
  }
  Sample pairs = of([&](size_t k) { return k == 0 ? Shape{kCount, 1} : k == 1 ? Shape{kCount} : Shape{}; });
  if (n == 1) pairs.in[0].shape = {kCount};
  for (size_t k = 0; k < std::min<size_t>(n, 2); ++k) {
    if (op.schema.operands[k].kind != TensorKind::Bool) pairs.in[k].values = extremes;
  }
  out.push_back(pairs);
  // Every enum choice and every flag, once more on the first shape.
  std::vector<Sample> choices;
  for (const AttrDecl& a : op.schema.attrs) {
    std::vector<Attr> values;
    for (const std::string& c : a.choices) values.push_back(c);
    if (a.kind == AttrKind::Scalar) values = {Scalar(2), Scalar(0.5)};
    if (a.kind == AttrKind::Float) values = {0.25, 2.0};
    if (a.kind == AttrKind::Bool) values = {true, false};
    for (const Attr& v : values) {
      Sample s = out[0];
      s.attrs = {{a.name, v}};
      choices.push_back(s);
    }
  }
  out.insert(out.end(), choices.begin(), choices.end());
  return out;
}

double ulp_of(double at, DType t) {
  int digits = t == DType::F32 || t == DType::C64 ? 24 : t == DType::F16 ? 11 : t == DType::BF16 ? 8 : 53;
  int lowest = t == DType::F32 || t == DType::C64 || t == DType::BF16 ? -126 : t == DType::F16 ? -14 : -1022;
  int exponent = at == 0 || !std::isfinite(at) ? lowest : std::max(std::ilogb(at), lowest);
  return std::ldexp(1.0, exponent - digits + 1);
}

/// Beyond the largest number of t, or no number at all.
bool is_beyond(long double v, DType t) {
  long double most = t == DType::F16                       ? 65504.0L
                     : t == DType::BF16                    ? 3.3895e38L
                     : t == DType::F64 || t == DType::C128 ? 1.7e308L
                                                           : 3.4028e38L;
  return !(std::fabs(v) <= most);
}

bool close(long double got, long double want, DType t, Tolerance tolerance, double size) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (got == want) return true;
  if (std::isinf(got) || std::isinf(want)) {
    return is_beyond(got, t) && is_beyond(want, t) && (got < 0) == (want < 0);
  }
  double at = std::max({std::fabs(static_cast<double>(want)), tolerance.floor, size});
  return std::fabs(got - want) <= static_cast<long double>(tolerance.ulps * ulp_of(at, t));
}

std::string number_text(LongComplex v, bool complex) {
  char text[96];
  if (complex) {
    std::snprintf(text, sizeof text, "%.17Lg%+.17Lgj", v.real(), v.imag());
  } else {
    std::snprintf(text, sizeof text, "%.17Lg", v.real());
  }
  return text;
}

}  // namespace

std::string TestCall::str() const {
  std::string out = op->name() + "(";
  const char* comma = "";
  for (const Tensor& t : in) {
    out += comma + (t.defined() ? std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()) : "None");
    comma = ", ";
  }
  for (size_t i = 0; i < attrs.size(); ++i) {
    if (attrs[i] == op->schema.attrs[i].def) continue;
    out += comma + op->schema.attrs[i].name + "=" + attr_text(attrs[i]);
    comma = ", ";
  }
  return out + ")";
}

std::vector<Sample> samples_of(const OpDef& op) {
  if (op.samples) return op.samples();
  return op.tier == Tier::Pointwise ? pointwise_samples(op) : std::vector<Sample>{};
}

bool takes(const OpDef& op, const Sample& s, DType t) {
  try {
    infer(make_call(op, s, t).call());
  } catch (const Error& e) {
    return e.kind() != ErrorKind::DType;  // of shapes that depend on values infer knows nothing
  }
  return true;
}

std::vector<DType> dtypes_of(const OpDef& op) {
  std::vector<DType> out;
  for (const OperandDecl& o : op.schema.operands) {
    if (o.kind == TensorKind::Bool || o.kind == TensorKind::Index) continue;
    for (int k = 0; k < kDTypeCount; ++k) {
      auto t = static_cast<DType>(k);
      // Pointwise ops promote what they cannot compute in.
      bool promoted = op.tier == Tier::Pointwise && (o.kind == TensorKind::Float || o.kind == TensorKind::FloatC) &&
                      (is_int(t) || t == DType::Bool);
      if (!accepts(o.kind, t) && !promoted) continue;
      const std::vector<Sample> samples = samples_of(op);
      if (std::any_of(samples.begin(), samples.end(),
                      [&](const Sample& s) { return s.bad.empty() && takes(op, s, t); })) {
        out.push_back(t);
      }
    }
    return out;
  }
  return {DType::F32};
}

TestCall make_call(const OpDef& op, const Sample& sample, DType t) { return build(op, sample, t, false); }
std::vector<TestCall> good_calls(const OpDef& op) {
  std::vector<TestCall> all;
  for (DType t : dtypes_of(op)) {
    for (const Sample& s : samples_of(op)) {
      if (s.bad.empty() && takes(op, s, t)) all.push_back(make_call(op, s, t));
    }
  }
  return all;
}

TestCall make_smooth_call(const OpDef& op, const Sample& sample, DType t) { return build(op, sample, t, true); }

const char* layout_name(Layout l) {
  constexpr const char* names[] = {"contiguous", "strided", "permuted", "unaligned", "expanded"};
  return names[static_cast<int>(l)];
}

Tensor laid_out(const Tensor& t, Layout l) {
  if (!t.defined() || l == Layout::Contiguous) return t;
  const Shape& shape = t.shape();
  Strides strides = contiguous_strides(shape);
  Dim room = numel_of(shape), offset = 0;
  if (l == Layout::Strided) {
    for (Dim& s : strides) s = s * 2;
    room = room * 2 + 1;
    offset = 1;
  } else if (l == Layout::Permuted) {
    Dim step = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      strides[d] = step;
      step = step * (shape[d] == 0 ? Dim(1) : shape[d]);
    }
  } else if (l == Layout::Unaligned) {
    room = room + 3;
    offset = 3;
  } else {
    for (Dim& s : strides) s = 0;
    room = 1;
  }
  if (room == 0) room = 1;
  Tensor buffer = empty({room}, {.dtype = t.dtype()});
  Tensor y(new_record_on(buffer.record()->storage, shape, strides, offset.value(), t.dtype()));
  if (l == Layout::Expanded) {
    if (numel_of(shape) != 0) write_element(y, 0, read_element(t, 0));
    return y;
  }
  for_each(shape, [&](std::span<const int64_t> at) { write_element(y, place(y, at), read_element(t, place(t, at))); });
  return y;
}

Tensor converted(const Tensor& t, DType dtype) {
  Tensor y = empty(t.shape(), {.dtype = dtype});
  int64_t next = 0;
  for_each(t.shape(), [&](std::span<const int64_t> at) { write_element(y, next++, read_element(t, place(t, at))); });
  return y;
}

Tensor copied(const Tensor& t) { return t.defined() ? converted(t, t.dtype()) : t; }

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  Tensor x = copied(a), y = copied(b);
  for (int64_t i = 0; is_differentiable(x.dtype()) && i < x.numel().value(); ++i) {
    const auto u = reference::read_element(x, i), v = reference::read_element(y, i);
    auto one_nan = [&](long double p, long double q) { return std::isnan(p) && std::isnan(q) ? NAN : p; };
    const std::complex<long double> common(one_nan(u.real(), v.real()), one_nan(u.imag(), v.imag()));
    if (common == common) continue;
    reference::write_element(x, i, common);
    reference::write_element(y, i, {one_nan(v.real(), u.real()), one_nan(v.imag(), u.imag())});
  }
  return std::memcmp(x.raw_data(), y.raw_data(), x.nbytes()) == 0;
}

bool is_random(const OpDef& op) {
  for (const AttrDecl& a : op.schema.attrs) {
    if (a.kind == AttrKind::Rng) return true;
  }
  return false;
}

bool in_floats(const OpDef& op) { return !is_random(op); }

Tolerance tolerance_of(const OpDef& op, DType t, const TensorList& in) {
  if (!is_differentiable(t)) return {};
  bool pointwise = op.tier == Tier::Pointwise;
  Tolerance tolerance;
  tolerance.ulps = t == DType::F64 || t == DType::C128 ? op.ulps_f64 : op.ulps_f32;
  if (t == DType::C128 && op.ulps_c128 != 0) tolerance.ulps = op.ulps_c128;
  if (t == DType::F16 || t == DType::BF16) tolerance.ulps = pointwise ? 1 : 2;
  // Inner results of a composition (the scores of attention) are rounded to the operands' dtype.
  for (const Tensor& x : in) {
    if (pointwise || t != DType::F32 || !x.defined()) continue;
    if (x.dtype() == DType::F16 || x.dtype() == DType::BF16) {
      tolerance.ulps = std::max(tolerance.ulps, 2 * ulp_of(1, x.dtype()) / ulp_of(1, t));
    }
  }
  tolerance.floor = op.ulps_floor;
  if (pointwise) return tolerance;
  // Sums are as exact as their largest part.
  for (const Tensor& x : in) {
    if (!x.defined() || !is_differentiable(x.dtype())) continue;
    for_each(x.shape(), [&](std::span<const int64_t> at) {
      auto size = static_cast<double>(std::abs(read_element(x, place(x, at))));
      if (std::isfinite(size)) tolerance.floor = std::max(tolerance.floor, size);
    });
  }
  return tolerance;
}

std::string difference(const Tensor& got, const Tensor& want, Tolerance tolerance) {
  if (!(got.shape() == want.shape())) return "shape " + shape_str(got.shape()) + ", not " + shape_str(want.shape());
  bool complex = is_complex(got.dtype());
  std::string text;
  int64_t wrong = 0;
  for_each(got.shape(), [&](std::span<const int64_t> at) {
    LongComplex g = read_element(got, place(got, at)), w = read_element(want, place(want, at));
    auto size = complex ? static_cast<double>(std::abs(w)) : 0.0;
    if (!std::isfinite(size)) size = 0;
    bool same = close(g.real(), w.real(), got.dtype(), tolerance, size) &&
                close(g.imag(), w.imag(), got.dtype(), tolerance, size);
    // A complex number with an infinite or undefined part says nothing by its other part (C17, G.3).
    auto endless = [&](LongComplex v) { return is_beyond(v.real(), got.dtype()) || is_beyond(v.imag(), got.dtype()); };
    if (complex && endless(w)) same = endless(g);
    if (same || wrong++ > 0) return;
    Shape index;
    for (int64_t i : at) index.push_back(i);
    double apart = static_cast<double>(std::abs(g - w)) /
                   ulp_of(std::max({static_cast<double>(std::abs(w)), tolerance.floor}), got.dtype());
    text = "at " + shape_str(index) + ": " + number_text(g, complex) + ", not " + number_text(w, complex) + " (" +
           std::to_string(apart) + " ulps of " + std::to_string(tolerance.ulps) + ")";
  });
  return wrong == 0 ? "" : text + ", " + std::to_string(wrong) + " of " + got.numel().str() + " wrong";
}

}  // namespace thixo::conformance
