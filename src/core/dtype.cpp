#include "thixo/dtype.h"

#include <array>
#include <atomic>

#include "thixo/error.h"

namespace thixo {
namespace {

constexpr std::array<std::string_view, kDTypeCount> kNames = {
    "float64", "float32", "float16", "bfloat16", "int64", "int32",     "int16",     "int8",
    "uint8",   "uint16",  "uint32",  "uint64",   "bool",  "complex64", "complex128"};
constexpr std::array<std::string_view, kDTypeCount> kShortNames = {
    "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "u16", "u32", "u64", "bool", "c64", "c128"};

struct Alias {
  std::string_view name;
  DType dtype;
};
constexpr Alias kAliases[] = {{"double", DType::F64}, {"float", DType::F32},    {"half", DType::F16},
                              {"long", DType::I64},   {"int", DType::I32},      {"short", DType::I16},
                              {"cfloat", DType::C64}, {"cdouble", DType::C128}, {"boolean", DType::Bool}};

std::atomic<DType> default_dtype_value{DType::F32};

// Integers of one signedness take the wider. A signed one beside an unsigned one must hold both. PyTorch refuses
// uint16, uint32 and uint64 beside other integers; here they follow the array API standard.
DType promote_ints(DType a, DType b) {
  if (is_unsigned(a) == is_unsigned(b)) return item_size(a) >= item_size(b) ? a : b;
  DType u = is_unsigned(a) ? a : b, s = is_unsigned(a) ? b : a;
  if (item_size(s) > item_size(u)) return s;
  switch (u) {
    case DType::U8: return DType::I16;
    case DType::U16: return DType::I32;
    case DType::U32: return DType::I64;
    default: break;
  }
  throw DTypeError("no integer type holds both uint64 and " + std::string(dtype_name(s)))
      .got(std::string(dtype_name(a)) + " beside " + std::string(dtype_name(b)))
      .fix("convert one of them first, for example with .to(int64)");
}

DType promote_floats(DType a, DType b) {
  if (item_size(a) != item_size(b)) return item_size(a) > item_size(b) ? a : b;
  return a == b ? a : DType::F32;  // float16 beside bfloat16
}

DType promote_with_complex(DType a, DType b) {
  bool wide = a == DType::C128 || b == DType::C128 || a == DType::F64 || b == DType::F64;
  return wide ? DType::C128 : DType::C64;
}

}  // namespace

std::string_view dtype_name(DType t) { return kNames[static_cast<size_t>(t)]; }
std::string_view dtype_short_name(DType t) { return kShortNames[static_cast<size_t>(t)]; }

DType dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kDTypeCount; ++i) {
    if (name == kNames[i] || name == kShortNames[i]) return static_cast<DType>(i);
  }
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return alias.dtype;
  }
  std::string known;
  for (std::string_view n : kNames) known.append(known.empty() ? "" : ", ").append(n);
  throw ValueError("unknown dtype '" + std::string(name) + "'").need("one of " + known);
}

DType promote_types(DType a, DType b) {
  if (a == b) return a;
  if (is_complex(a) || is_complex(b)) return promote_with_complex(a, b);
  if (is_float(a) && is_float(b)) return promote_floats(a, b);
  if (is_float(a) || b == DType::Bool) return a;
  if (is_float(b) || a == DType::Bool) return b;
  return promote_ints(a, b);
}

bool can_cast(DType from, DType to) {
  if (is_complex(from) && !is_complex(to)) return false;
  if (is_float(from) && is_int(to)) return false;
  return from == DType::Bool || to != DType::Bool;
}

DType default_dtype() { return default_dtype_value.load(std::memory_order_relaxed); }

void set_default_dtype(DType t) {
  if (!is_float(t)) {
    throw DTypeError("set_default_dtype: the default must be a float type")
        .got(std::string(dtype_name(t)))
        .need("float64, float32, float16 or bfloat16");
  }
  default_dtype_value.store(t, std::memory_order_relaxed);
}

}  // namespace thixo
