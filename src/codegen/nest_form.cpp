#include "codegen/nest_form.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "codegen/cast_kernels.h"
#include "codegen/reduce_kernels.h"
#include "core/dim_hook.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

std::string name_of(char kind, size_t i) { return kind + std::to_string(i); }
std::string name_of(char kind, size_t i, size_t j) { return name_of(kind, i) + "_" + std::to_string(j); }

Shape symbolic_shape(char kind, size_t k, size_t rank) {
  Shape s;
  for (size_t d = 0; d < rank; ++d) s.push_back(Dim::named(kind == 'o' ? name_of(kind, d) : name_of(kind, k, d)));
  return s;
}

std::vector<Attr> symbolic_attrs(const Call& call) {
  std::vector<Attr> out(call.attrs.begin(), call.attrs.end());
  for (size_t i = 0; i < out.size(); ++i) {
    const AttrKind kind = call.op->schema.attrs[i].kind;
    if (kind == AttrKind::Int && std::holds_alternative<Dim>(out[i])) out[i] = Dim::named(name_of('a', i));
    if (kind != AttrKind::Size || !std::holds_alternative<Shape>(out[i])) continue;
    Shape& list = std::get<Shape>(out[i]);
    for (size_t j = 0; j < list.size(); ++j) list[j] = Dim::named(name_of('a', i, j));
  }
  return out;
}

// A definition may ask how large a size is (is it 1?); the answer is the call's. Forms are made once for calls alike,
// so a definition must ask nothing that differs between them.
struct Resolver {
  const Call* call;
  std::span<const Spec> results;
};
thread_local const Resolver* g_resolver = nullptr;
int64_t resolve(Dim d) { return nest_size_value(d, *g_resolver->call, g_resolver->results); }

class Resolving {
 public:
  explicit Resolving(const Resolver& r) : before_(set_dim_resolver(resolve)), outer_(g_resolver) { g_resolver = &r; }
  ~Resolving() {
    set_dim_resolver(before_);
    g_resolver = outer_;
  }
  Resolving(const Resolving&) = delete;

 private:
  DimResolver before_;
  const Resolver* outer_;
};

// The row-major number of the element, exactly as random ops write it.
Expr place_expr(const Shape& shape) {
  Expr place = constant_int(0);
  for (size_t d = 0; d < shape.size(); ++d) place = place * size(shape[d]) + axis(static_cast<int>(d));
  return place;
}

size_t index_count(Expr at) { return at->args.size() - (at->guarded ? 2 : 0); }

bool is_zero(Expr e) { return e->op == ExprOp::Const && e->f == 0 && e->f2 == 0 && e->ivalue == 0; }

// Whether every element of the result is an element of an operand, or zero, untouched.
bool only_moves(Expr e) {
  switch (e->op) {
    case ExprOp::Select: return only_moves(e->args[1]) && only_moves(e->args[2]);
    case ExprOp::Const: return is_zero(e);
    case ExprOp::At: return !e->guarded || only_moves(e->args.back());
    default: return false;
  }
}

void moved_operands(Expr e, std::vector<int>& out) {
  if (e->op == ExprOp::At) {
    out.push_back(e->i);
    if (e->guarded) moved_operands(e->args.back(), out);
  } else if (e->op == ExprOp::Select) {
    moved_operands(e->args[1], out);
    moved_operands(e->args[2], out);
  }
}

struct Evaluated {
  Expr value;
  std::vector<std::string> params;
  std::vector<NestCtx::Reduce> reduce;
  std::optional<Combine> combine;
  std::function<Expr(Expr)> finish;
};

struct SymbolicCall {
  std::vector<Attr> attrs;
  SmallVec<Tensor, 4> in;
  SmallVec<Spec, 2> out;
};

SymbolicCall symbolic(const Call& call, std::span<const Spec> results) {
  SymbolicCall s;
  s.attrs = symbolic_attrs(call);
  const bool scalar = results[0].shape.empty();
  for (size_t k = 0; k < call.in.size(); ++k) {
    const Tensor& t = call.in[k];
    if (!t.defined()) {
      s.in.push_back({});
      continue;
    }
    const size_t rank = scalar && t.shape().empty() ? 1 : t.shape().size();
    s.in.push_back(Tensor(new_abstract(symbolic_shape('n', k, rank), t.dtype())));
  }
  s.out.push_back({results[0].dtype, symbolic_shape('o', 0, scalar ? 1 : results[0].shape.size()), {}});
  return s;
}

std::optional<Evaluated> evaluate(const Call& call, const SymbolicCall& s) {
  NestCtx c(Call{call.op, {s.in.data(), s.in.size()}, s.attrs, call.at}, {s.out.data(), s.out.size()});
  call.op->nest(c);
  if (c.values.size() != 1) return std::nullopt;
  return Evaluated{c.values[0], c.params, c.reduce, c.combine, c.finish};
}

void replace_dtype(Tensor& t, DType type) { t = Tensor(new_abstract(t.shape(), type)); }

// Values that are only moved: the same kernel for every dtype of the size.
bool erase_dtypes(const Call& call, SymbolicCall& s, std::optional<Evaluated>& e) {
  const DType t = s.out[0].dtype;
  if (!e || e->combine || !only_moves(e->value)) return false;
  std::vector<int> moved;
  moved_operands(e->value, moved);
  if (moved.empty()) return false;
  for (int k : moved) {
    if (s.in[static_cast<size_t>(k)].dtype() != t) return false;
  }
  for (int k : moved) replace_dtype(s.in[static_cast<size_t>(k)], moved_type(t));
  s.out[0].dtype = moved_type(t);
  e = evaluate(call, s);
  return true;
}

// Axes d and d+1 can be one where every use of either is At(..., d, d+1, ...).
uint32_t mergeable_axes(Expr value, int rank) {
  uint32_t ok = (1u << (rank - 1)) - 1;
  auto forbid = [&](int d) {
    if (d < rank) ok &= ~(1u << d);
    if (d > 0) ok &= ~(1u << (d - 1));
  };
  visit(value, [&](Expr e) {
    const size_t indices = e->op == ExprOp::At ? index_count(e) : 0;
    for (size_t i = 0; i < e->args.size(); ++i) {
      const Expr a = e->args[i];
      if (a->op != ExprOp::Axis || a->i >= rank) continue;
      if (i >= indices) {
        forbid(a->i);
        continue;
      }
      const bool next = i + 1 < indices && e->args[i + 1] == axis(a->i + 1);
      const bool before = i > 0 && a->i > 0 && e->args[i - 1] == axis(a->i - 1);
      if (!next) ok &= ~(1u << a->i);
      if (!before && a->i > 0) ok &= ~(1u << (a->i - 1));
    }
  });
  return value->op == ExprOp::Axis && value->i < rank ? 0 : ok;
}

// Everything that a result element depends on, for finding the axes in it: what is reduced, and what is done then.
Expr whole_value(const NestForm& f) {
  if (!f.finish) return f.value;
  return f.finish(f.value);
}

bool uses_axis(Expr value) {
  bool used = false;
  visit(value, [&](Expr e) { used |= e->op == ExprOp::Axis; });
  return used;
}

}  // namespace

std::optional<NestForm> nest_form(const Call& call, std::span<const Spec> results) {
  if (results.size() != 1) return std::nullopt;
  const Resolver resolver{&call, results};
  const Resolving scope(resolver);
  SymbolicCall s = symbolic(call, results);
  std::optional<Evaluated> e = evaluate(call, s);
  if (!e) return std::nullopt;
  NestForm f;
  f.moved = erase_dtypes(call, s, e);
  f.rank = static_cast<int>(s.out[0].shape.size());
  for (const Tensor& t : s.in) f.in.push_back(t.defined() ? t.dtype() : DType::U8);
  f.out = s.out[0].dtype;
  const Expr place = place_expr(s.out[0].shape);
  f.value = e->value;
  if (place->op != ExprOp::Axis) {  // along one axis the place is the axis
    f.value = substitute(f.value, [&](Expr n) { return n == place ? axis(kPlace) : Expr(); });
  }
  visit(f.value, [&](Expr n) {
    if (n->op == ExprOp::At) f.reads.push_back({n, n->i});
  });
  f.params = e->params;
  f.param_types.resize(f.params.size(), DType::F32);
  visit(f.value, [&](Expr n) {
    if (n->op == ExprOp::Param) f.param_types[static_cast<size_t>(n->i)] = n->dtype;
  });
  f.reduce = e->reduce;
  f.combine = e->combine;
  f.finish = e->finish;
  f.uniform = !uses_axis(f.value);
  if (!f.combine || !reduce_form(f)) f.mergeable = mergeable_axes(whole_value(f), f.rank);
  return f;
}

int64_t size_value(Dim d, const SizeOf& of) {
  if (!d.is_symbolic()) return d.value();
  const DimNode& n = dim_node(d);
  if (n.op == 'n') return of(n.name);
  const Dim a = size_value(n.a, of), b = size_value(n.b, of);
  switch (n.op) {
    case '+': return (a + b).value();
    case '-': return (a - b).value();
    case '*': return (a * b).value();
    case '/': return (a / b).value();
    default: return (a % b).value();
  }
}

int64_t nest_size_value(Dim d, const Call& call, std::span<const Spec> results) {
  return size_value(d, [&](const std::string& name) -> int64_t {
    char* end = nullptr;
    const size_t i = std::strtoul(name.c_str() + 1, &end, 10);
    const bool listed = *end == '_';
    const size_t j = listed ? std::strtoul(end + 1, nullptr, 10) : 0;
    if (name[0] == 'o') return results[0].shape.empty() ? 1 : results[0].shape[i].value();
    if (name[0] == 'n') return call.in[i].shape().empty() ? 1 : call.in[i].shape()[j].value();
    const Attr& a = call.attrs[i];
    return listed ? std::get<Shape>(a)[j].value() : std::get<Dim>(a).value();
  });
}

namespace {

// The bits of a number as a Param of type t.
std::pair<double, double> param_value(const Scalar& v, DType t) {
  if (is_differentiable(t)) return {v.to_complex().real(), v.to_complex().imag()};
  const int64_t bits = v.to_int();
  double d = 0;
  std::memcpy(&d, &bits, sizeof d);
  return {d, 0};
}

Scalar attr_number(const Call& call, const std::string& name) {
  const size_t dot = name.find('.');
  const Attr& a = call.attr(std::string_view(name).substr(0, dot));
  if (const RngKey* key = std::get_if<RngKey>(&a)) {
    return Scalar(static_cast<int64_t>(name.substr(dot) == ".key" ? key->key : key->counter));
  }
  if (const Dim* d = std::get_if<Dim>(&a)) return Scalar(d->value());
  if (const double* d = std::get_if<double>(&a)) return Scalar(*d);
  if (const bool* b = std::get_if<bool>(&a)) return Scalar(*b);
  return std::get<Scalar>(a);
}

}  // namespace

std::pair<double, double> attr_param(const Call& call, const std::string& name, DType t) {
  return param_value(attr_number(call, name), t);
}

SmallVec<double, 8> nest_params(const NestForm& form, const Call& call) {
  SmallVec<double, 8> out;
  for (size_t i = 0; i < form.params.size(); ++i) {
    const auto [re, im] = attr_param(call, form.params[i], form.param_types[i]);
    out.push_back(re);
    out.push_back(im);
  }
  return out;
}

std::string content_key(const Kernel& kernel) {
  Kernel nameless = kernel;
  nameless.name.clear();
  return "#" + serialize(nameless);
}

}  // namespace thixo::codegen
