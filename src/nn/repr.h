// The text in the parentheses of a printed module, in Python's spelling, and other helpers of layers.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>

#include "thixo/tensor.h"

namespace thixo::nn {

class Repr {
 public:
  Repr& add(const std::string& item) {
    text_ += (text_.empty() ? "" : ", ") + item;
    return *this;
  }
  Repr& add(const char* name, const std::string& v) { return add(std::string(name) + "=" + v); }
  Repr& add(const char* name, const char* v) { return add(name, std::string(v)); }
  Repr& add(const char* name, bool v) { return add(name, std::string(v ? "True" : "False")); }
  Repr& add(const char* name, int64_t v) { return add(name, std::to_string(v)); }
  Repr& add(const char* name, double v) { return add(name, number(v)); }
  Repr& add(const char* name, const IntList& v) { return add(name, tuple(v)); }
  const std::string& str() const { return text_; }

  /// As Python prints a float: the shortest text that reads back, 1e-05, 0.1.
  static std::string number(double v) {
    char text[32];
    for (int digits = 1; digits <= 17; ++digits) {
      std::snprintf(text, sizeof text, "%.*g", digits, v);
      if (std::strtod(text, nullptr) == v) break;
    }
    std::string s = text;
    if (s.find_first_of(".en") == s.npos) s += ".0";
    return s;
  }
  static std::string tuple(const IntList& v) {
    std::string s = "(";
    for (size_t i = 0; i < v.size(); ++i) s += (i > 0 ? ", " : "") + std::to_string(v[i]);
    return s + (v.size() == 1 ? ",)" : ")");
  }

 private:
  std::string text_;
};

/// An operand without a source position: errors in a layer name the module instead.
inline TensorArg unplaced(const Tensor& t) { return TensorArg(t, SourceLoc()); }

}  // namespace thixo::nn
