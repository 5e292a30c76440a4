// The 15 element types, their names and PyTorch's promotion table.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "thixo/export.h"

namespace thixo {

enum class DType : uint8_t { F64, F32, F16, BF16, I64, I32, I16, I8, U8, U16, U32, U64, Bool, C64, C128 };
inline constexpr int kDTypeCount = 15;

inline constexpr DType float64 = DType::F64, float32 = DType::F32, float16 = DType::F16, bfloat16 = DType::BF16;
inline constexpr DType int64 = DType::I64, int32 = DType::I32, int16 = DType::I16, int8 = DType::I8;
inline constexpr DType uint8 = DType::U8, uint16 = DType::U16, uint32 = DType::U32, uint64 = DType::U64;
inline constexpr DType boolean = DType::Bool, complex64 = DType::C64, complex128 = DType::C128;

constexpr bool is_float(DType t) { return t <= DType::BF16; }
constexpr bool is_int(DType t) { return t >= DType::I64 && t <= DType::U64; }  // bool is not an integer type
constexpr bool is_unsigned(DType t) { return t >= DType::U8 && t <= DType::U64; }
constexpr bool is_complex(DType t) { return t >= DType::C64; }
constexpr bool is_differentiable(DType t) { return is_float(t) || is_complex(t); }
constexpr size_t item_size(DType t) {
  constexpr uint8_t sizes[] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 2, 4, 8, 1, 8, 16};
  return sizes[static_cast<size_t>(t)];
}
/// float32 for complex64, float64 for complex128, t itself otherwise.
constexpr DType real_type(DType t) { return t == DType::C64 ? DType::F32 : t == DType::C128 ? DType::F64 : t; }
/// complex64 for float32 (and f16, bf16), complex128 for float64.
constexpr DType complex_type(DType t) { return t == DType::F64 || t == DType::C128 ? DType::C128 : DType::C64; }
/// What arithmetic on t is done in: f32 for f16 and bf16, i32 for small integers, t itself otherwise.
constexpr DType compute_type(DType t) {
  switch (t) {
    case DType::F16:
    case DType::BF16: return DType::F32;
    case DType::I16:
    case DType::I8:
    case DType::U8:
    case DType::U16: return DType::I32;
    default: return t;
  }
}

THIXO_API std::string_view dtype_name(DType t);        ///< PyTorch's: "float32", "bool", "complex64"
THIXO_API std::string_view dtype_short_name(DType t);  ///< "f32", "i64", "bool", "c64": used in errors and IR text
/// Accepts both spellings and PyTorch's aliases (float, double, half, long, int). Throws ValueError.
THIXO_API DType dtype_from_name(std::string_view name);
/// PyTorch's torch.promote_types.
THIXO_API DType promote_types(DType a, DType b);
/// PyTorch's torch.can_cast: no complex to real, float to int, or number to bool.
THIXO_API bool can_cast(DType from, DType to);
THIXO_API DType default_dtype();
THIXO_API void set_default_dtype(DType t);  ///< one of the four float types, else DTypeError

template <class T> struct dtype_of_t;
#define THIXO_DTYPE_OF(T, D)                 \
  template <> struct dtype_of_t<T> {         \
    static constexpr DType value = DType::D; \
  };
THIXO_DTYPE_OF(double, F64)
THIXO_DTYPE_OF(float, F32)
THIXO_DTYPE_OF(int64_t, I64)
THIXO_DTYPE_OF(int32_t, I32)
THIXO_DTYPE_OF(int16_t, I16)
THIXO_DTYPE_OF(int8_t, I8)
THIXO_DTYPE_OF(uint8_t, U8)
THIXO_DTYPE_OF(uint16_t, U16)
THIXO_DTYPE_OF(uint32_t, U32)
THIXO_DTYPE_OF(uint64_t, U64)
THIXO_DTYPE_OF(bool, Bool)
THIXO_DTYPE_OF(std::complex<float>, C64)
THIXO_DTYPE_OF(std::complex<double>, C128)
#undef THIXO_DTYPE_OF
template <class T> inline constexpr DType dtype_of = dtype_of_t<T>::value;

}  // namespace thixo
