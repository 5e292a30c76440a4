#include "core/values.h"

#include <complex>
#include <cstring>

#include "base/half.h"

namespace thixo {
namespace {

template <class T> T load(const void* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T> void store(void* p, T v) { std::memcpy(p, &v, sizeof v); }

}  // namespace

Scalar load_scalar(const void* p, DType dtype) {
  switch (dtype) {
    case DType::F64: return load<double>(p);
    case DType::F32: return load<float>(p);
    case DType::F16: return f16_to_f32(load<uint16_t>(p));
    case DType::BF16: return bf16_to_f32(load<uint16_t>(p));
    case DType::I64: return load<int64_t>(p);
    case DType::I32: return int64_t{load<int32_t>(p)};
    case DType::I16: return int64_t{load<int16_t>(p)};
    case DType::I8: return int64_t{load<int8_t>(p)};
    case DType::U8: return int64_t{load<uint8_t>(p)};
    case DType::U16: return int64_t{load<uint16_t>(p)};
    case DType::U32: return int64_t{load<uint32_t>(p)};
    case DType::U64: return load<uint64_t>(p);
    case DType::Bool: return load<uint8_t>(p) != 0;
    case DType::C64: return std::complex<double>(load<std::complex<float>>(p));
    case DType::C128: return load<std::complex<double>>(p);
  }
  return {};
}

void store_scalar(void* p, DType dtype, const Scalar& v) {
  switch (dtype) {
    case DType::F64: return store(p, v.to_double());
    case DType::F32: return store(p, static_cast<float>(v.to_double()));
    case DType::F16: return store(p, f32_to_f16(static_cast<float>(v.to_double())));
    case DType::BF16: return store(p, f32_to_bf16(static_cast<float>(v.to_double())));
    case DType::I64: return store(p, v.to_int());
    case DType::I32: return store(p, static_cast<int32_t>(v.to_int()));
    case DType::I16: return store(p, static_cast<int16_t>(v.to_int()));
    case DType::I8: return store(p, static_cast<int8_t>(v.to_int()));
    case DType::U8: return store(p, static_cast<uint8_t>(v.to_int()));
    case DType::U16: return store(p, static_cast<uint16_t>(v.to_int()));
    case DType::U32: return store(p, static_cast<uint32_t>(v.to_int()));
    case DType::U64: return store(p, static_cast<uint64_t>(v.to_int()));
    case DType::Bool: return store(p, v.to_complex() != std::complex<double>(0));
    case DType::C64: return store(p, std::complex<float>(v.to_complex()));
    case DType::C128: return store(p, v.to_complex());
  }
}

}  // namespace thixo
