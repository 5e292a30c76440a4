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

}  // namespace

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
