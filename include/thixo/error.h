// Errors: one exception class, eight kinds, text built from parts and only on failure.
//
//   throw ShapeError("conv2d: input has 3 channels but weight expects 4")
//       .got("x: f32[8, 3, 32, 32] cpu").need("x.shape[1] == weight.shape[1] * groups").fix("...");
//
// what() is
//   ShapeError: conv2d: input has 3 channels but weight expects 4
//     got   x: f32[8, 3, 32, 32] cpu
//     need  x.shape[1] == weight.shape[1] * groups
//     fix   ...
//     at    train.cpp:41
#pragma once

#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>

#include "thixo/export.h"

namespace thixo {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // GCC takes the scoped enumerator for a shadow of the type thixo::Shape
enum class ErrorKind : uint8_t { Shape, DType, Device, Index, Value, NotImplemented, Io, Internal };
#pragma GCC diagnostic pop

/// "ShapeError", "DTypeError", ...
THIXO_API const char* error_kind_name(ErrorKind kind);

class THIXO_API Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string headline);
  ErrorKind kind() const { return kind_; }
  const std::string& headline() const { return headline_; }
  const char* what() const noexcept override { return text_.c_str(); }

  Error& got(std::string_view line);   ///< what was received
  Error& need(std::string_view line);  ///< the rule that broke
  Error& fix(std::string_view line);   ///< one sentence of help
  Error& at(std::string_view where);   ///< module path or source position; kept as the last line
  Error& at(const std::source_location& where);  ///< nothing where it has no line
  /// The call in whose course it arose: its position, where it has one, replaces any that lies within the call.
  Error& at_call(const std::source_location& where);
  bool has_at() const { return has_at_; }
  /// Puts this op's name in the place of the one that begins the headline ("gather: ..."): it is what the user called.
  Error& in_op(std::string_view op);
  /// The module in which it arose: "at    encoder.block2.conv1  (train.cpp:41)". The first one stays.
  Error& in_module(std::string_view path);
  bool in_module() const { return in_module_; }

 private:
  Error& add(std::string_view label, std::string_view line);
  ErrorKind kind_;
  bool has_at_ = false, in_module_ = false;
  std::string headline_, text_;
};

inline Error ShapeError(std::string s) { return Error(ErrorKind::Shape, std::move(s)); }
inline Error DTypeError(std::string s) { return Error(ErrorKind::DType, std::move(s)); }
inline Error DeviceError(std::string s) { return Error(ErrorKind::Device, std::move(s)); }
inline Error IndexError(std::string s) { return Error(ErrorKind::Index, std::move(s)); }
inline Error ValueError(std::string s) { return Error(ErrorKind::Value, std::move(s)); }
inline Error NotImplementedError(std::string s) { return Error(ErrorKind::NotImplemented, std::move(s)); }
inline Error IoError(std::string s) { return Error(ErrorKind::Io, std::move(s)); }
inline Error InternalError(std::string s) { return Error(ErrorKind::Internal, std::move(s)); }

}  // namespace thixo
