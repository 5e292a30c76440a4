#include "ir/expr_value.h"

#include <bit>
#include <cmath>
#include <limits>

#include "base/half.h"

namespace thixo {
namespace {

int bits_of(DType t) { return static_cast<int>(item_size(t)) * 8; }
uint64_t u(int64_t v) { return static_cast<uint64_t>(v); }
int64_t s(uint64_t v) { return static_cast<int64_t>(v); }

bool is_u64_like(DType t) { return t == DType::U64; }

double int_to_double(int64_t v, DType t) { return is_u64_like(t) ? static_cast<double>(u(v)) : static_cast<double>(v); }

// Straight to float: by way of double an int64 would be rounded twice.
double int_to_float(int64_t v, DType from, DType t) {
  if (t == DType::F64) return int_to_double(v, from);
  float f = is_u64_like(from) ? static_cast<float>(u(v)) : static_cast<float>(v);
  return round_to(f, t);
}

int64_t float_to_int(double v, DType t) {
  if (std::isnan(v)) return 0;
  v = std::trunc(v);
  if (t == DType::U64) {
    if (v <= -0x1p63) return std::numeric_limits<int64_t>::min();
    if (v < 0) return static_cast<int64_t>(v);
    return v >= 0x1p64 ? -1 : s(static_cast<uint64_t>(v));
  }
  if (v >= 0x1p63) return wrap_int(std::numeric_limits<int64_t>::max(), t);
  if (v < -0x1p63) return wrap_int(std::numeric_limits<int64_t>::min(), t);
  return wrap_int(static_cast<int64_t>(v), t);
}

// --- one function per kind of argument

bool less(const ExprValue& a, const ExprValue& b, DType t) {
  if (is_float(t)) return a.f < b.f;
  return is_u64_like(t) ? u(a.i) < u(b.i) : a.i < b.i;
}

bool equal(const ExprValue& a, const ExprValue& b, DType t) {
  if (is_complex(t)) return a.f == b.f && a.f2 == b.f2;
  return is_float(t) ? a.f == b.f : a.i == b.i;
}

template <class T> double float_binary(ExprOp op, T a, T b) {
  switch (op) {
    case ExprOp::Add: return a + b;
    case ExprOp::Sub: return a - b;
    case ExprOp::Mul: return a * b;
    case ExprOp::Div: return a / b;
    case ExprOp::Min: return a < b || a != a ? a : b;
    case ExprOp::Max: return b < a || a != a ? a : b;
    case ExprOp::CopySign: return std::copysign(a, b);
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

template <class T> bool eval_float(ExprOp op, std::span<const ExprValue> x, double& out) {
  T a = static_cast<T>(x[0].f);
  switch (op) {
    case ExprOp::Neg: out = -a; return true;
    case ExprOp::Abs: out = std::fabs(a); return true;
    case ExprOp::Sqrt: out = std::sqrt(a); return true;
    case ExprOp::Floor: out = std::floor(a); return true;
    case ExprOp::Ceil: out = std::ceil(a); return true;
    case ExprOp::Trunc: out = std::trunc(a); return true;
    case ExprOp::Round: out = std::nearbyint(a); return true;
    case ExprOp::Fma: out = std::fma(a, static_cast<T>(x[1].f), static_cast<T>(x[2].f)); return true;
    case ExprOp::Add:
    case ExprOp::Sub:
    case ExprOp::Mul:
    case ExprOp::Div:
    case ExprOp::Min:
    case ExprOp::Max:
    case ExprOp::CopySign: out = float_binary<T>(op, a, static_cast<T>(x[1].f)); return true;
    default: return false;
  }
}

int64_t divide_ints(ExprOp op, int64_t a, int64_t b, DType t) {
  if (b == 0) return 0;
  if (is_u64_like(t)) return s(op == ExprOp::Mod ? u(a) % u(b) : u(a) / u(b));
  if (b == -1) return op == ExprOp::Mod ? 0 : s(0 - u(a));  // the most negative number wraps
  int64_t q = a / b, r = a % b;
  bool down = r != 0 && (r < 0) != (b < 0);
  switch (op) {
    case ExprOp::Div: return q;
    case ExprOp::FloorDiv: return down ? q - 1 : q;
    default: return down ? r + b : r;
  }
}

bool eval_int(ExprOp op, DType t, std::span<const ExprValue> x, int64_t& out) {
  int64_t a = x[0].i, b = x.size() > 1 ? x[1].i : 0;
  switch (op) {
    case ExprOp::Add: out = s(u(a) + u(b)); break;
    case ExprOp::Sub: out = s(u(a) - u(b)); break;
    case ExprOp::Mul: out = s(u(a) * u(b)); break;
    case ExprOp::Fma: out = s(u(a) * u(b) + u(x[2].i)); break;
    case ExprOp::Div:
    case ExprOp::FloorDiv:
    case ExprOp::Mod: out = divide_ints(op, a, b, t); break;
    case ExprOp::Neg: out = s(0 - u(a)); break;
    case ExprOp::Abs: out = is_unsigned(t) || a >= 0 ? a : s(0 - u(a)); break;
    case ExprOp::Min: out = less(x[0], x[1], t) ? a : b; break;
    case ExprOp::Max: out = less(x[1], x[0], t) ? a : b; break;
    case ExprOp::And: out = a & b; break;
    case ExprOp::Or: out = a | b; break;
    case ExprOp::Xor: out = a ^ b; break;
    case ExprOp::Not: out = t == DType::Bool ? !a : ~a; break;
    case ExprOp::Shl: out = s(u(a) << (b & (bits_of(t) - 1))); break;
    case ExprOp::Shr:
      b &= bits_of(t) - 1;
      out = is_u64_like(t) ? s(u(a) >> b) : a >> b;
      break;
    case ExprOp::MulHi: out = s(u(a) * u(b) >> 32); break;
    default: return false;
  }
  out = wrap_int(out, t);
  return true;
}

ExprValue bitcast_value(const ExprValue& v, DType from, DType t) {
  uint64_t bits = u(v.i);
  switch (from) {
    case DType::F64: bits = std::bit_cast<uint64_t>(v.f); break;
    case DType::F32: bits = std::bit_cast<uint32_t>(static_cast<float>(v.f)); break;
    case DType::F16: bits = f32_to_f16(static_cast<float>(v.f)); break;
    case DType::BF16: bits = f32_to_bf16(static_cast<float>(v.f)); break;
    default: break;
  }
  ExprValue out;
  switch (t) {
    case DType::F64: out.f = std::bit_cast<double>(bits); break;
    case DType::F32: out.f = std::bit_cast<float>(static_cast<uint32_t>(bits)); break;
    case DType::F16: out.f = f16_to_f32(static_cast<uint16_t>(bits)); break;
    case DType::BF16: out.f = bf16_to_f32(static_cast<uint16_t>(bits)); break;
    default: out.i = wrap_int(s(bits), t);
  }
  return out;
}

// Complex products and quotients have more than one reasonable order of operations: expand_complex fixes it.
bool eval_complex(ExprOp op, DType result, std::span<const ExprValue> x, ExprValue& out) {
  DType part = real_type(result);
  switch (op) {
    case ExprOp::Add:
      out.f = round_to(x[0].f + x[1].f, part);
      out.f2 = round_to(x[0].f2 + x[1].f2, part);
      return true;
    case ExprOp::Sub:
      out.f = round_to(x[0].f - x[1].f, part);
      out.f2 = round_to(x[0].f2 - x[1].f2, part);
      return true;
    case ExprOp::Neg: out.f = -x[0].f, out.f2 = -x[0].f2; return true;
    case ExprOp::Conj: out.f = x[0].f, out.f2 = -x[0].f2; return true;
    case ExprOp::Real: out.f = x[0].f; return true;
    case ExprOp::Imag: out.f = x[0].f2; return true;
    default: return false;
  }
}

}  // namespace

ExprValue value_of_const(const ExprNode& n) { return {n.ivalue, n.f, n.f2}; }

Expr const_of_value(const ExprValue& v, DType t) {
  if (is_complex(t)) return constant(std::complex<double>(v.f, v.f2), t);
  if (is_float(t)) return constant(v.f, t);
  return t == DType::Bool ? constant_bool(v.i != 0) : constant_int(v.i, t);
}

double round_to(double v, DType t) {
  switch (t) {
    case DType::F64: return v;
    case DType::F16: return f16_to_f32(f32_to_f16(static_cast<float>(v)));
    case DType::BF16: return bf16_to_f32(f32_to_bf16(static_cast<float>(v)));
    default: return static_cast<float>(v);
  }
}

int64_t wrap_int(int64_t v, DType t) {
  switch (t) {
    case DType::I32: return static_cast<int32_t>(v);
    case DType::I16: return static_cast<int16_t>(v);
    case DType::I8: return static_cast<int8_t>(v);
    case DType::U8: return static_cast<uint8_t>(v);
    case DType::U16: return static_cast<uint16_t>(v);
    case DType::U32: return static_cast<uint32_t>(v);
    case DType::Bool: return v != 0;
    default: return v;
  }
}

ExprValue cast_value(const ExprValue& v, DType from, DType t) {
  bool number_is_float = is_float(from) || is_complex(from);
  ExprValue out;
  if (t == DType::Bool) {
    out.i = number_is_float ? v.f != 0 || v.f2 != 0 : v.i != 0;
  } else if (is_int(t)) {
    out.i = number_is_float ? float_to_int(v.f, t) : wrap_int(v.i, t);
  } else {
    DType part = real_type(t);
    out.f = number_is_float ? round_to(v.f, part) : int_to_float(v.i, from, part);
    out.f2 = is_complex(t) && is_complex(from) ? round_to(v.f2, part) : 0;
  }
  return out;
}

bool eval_basic(ExprOp op, DType result, DType t, std::span<const ExprValue> x, ExprValue& out) {
  out = {};
  switch (op) {
    case ExprOp::Eq: out.i = equal(x[0], x[1], t); return true;
    case ExprOp::Ne: out.i = !equal(x[0], x[1], t); return true;
    case ExprOp::Lt: out.i = less(x[0], x[1], t); return true;
    case ExprOp::Le: out.i = is_float(t) ? x[0].f <= x[1].f : !less(x[1], x[0], t); return true;
    case ExprOp::IsNan: out.i = std::isnan(x[0].f) || std::isnan(x[0].f2); return true;
    case ExprOp::Select: out = x[0].i ? x[1] : x[2]; return true;
    case ExprOp::Cast: out = cast_value(x[0], t, result); return true;
    case ExprOp::Bitcast: out = bitcast_value(x[0], t, result); return true;
    case ExprOp::Complex: out.f = x[0].f, out.f2 = x[1].f; return true;
    default: break;
  }
  if (is_complex(t)) return eval_complex(op, result, x, out);
  switch (t) {
    case DType::F64: return eval_float<double>(op, x, out.f);
    case DType::F32: return eval_float<float>(op, x, out.f);
    case DType::F16:
    case DType::BF16: return false;
    default: return eval_int(op, t, x, out.i);
  }
}

}  // namespace thixo
