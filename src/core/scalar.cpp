#include "thixo/scalar.h"

#include <charconv>
#include <cmath>

namespace thixo {
namespace {

// The shortest text that reads back as the same double; always seen to be a float.
std::string float_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  char buffer[32];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, v).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

/// The least and the greatest number of an integer type, and the least that wraps around into it.
struct Range {
  double least, most;
};
Range range_of(DType t) {
  const int bits = static_cast<int>(item_size(t)) * 8;
  const bool is_unsigned = t == DType::U8 || t == DType::U16 || t == DType::U32 || t == DType::U64;
  const double past = std::ldexp(1.0, is_unsigned ? bits : bits - 1);
  const double most = bits == 64 ? std::nextafter(past, 0.0) : past - 1;
  return {is_unsigned ? -most : -past, most};
}

}  // namespace

int64_t Scalar::truncated(double v) {
  if (std::isnan(v)) return 0;
  return v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : static_cast<int64_t>(v);
}

bool Scalar::fits(DType t) const {
  if (!is_int(t)) return true;
  const bool integer = kind_ == DType::Bool || kind_ == DType::I64;
  if (integer && item_size(t) == sizeof(int64_t)) return !beyond_ || t == DType::U64;
  const Range r = range_of(t);
  const double v = to_double();
  return v >= r.least && v <= r.most && im_ == 0;
}

std::string Scalar::str() const {
  switch (kind_) {
    case DType::Bool: return i_ ? "True" : "False";
    case DType::I64: return beyond_ ? std::to_string(static_cast<uint64_t>(i_)) : std::to_string(i_);
    case DType::F64: return float_text(re_);
    default: {
      std::string im = float_text(im_);
      return "(" + float_text(re_) + (im[0] == '-' ? "" : "+") + im + "j)";
    }
  }
}

}  // namespace thixo
