#include "thixo/error.h"

namespace thixo {
namespace {
constexpr std::string_view kAt = "\n  at    ";
}

const char* error_kind_name(ErrorKind kind) {
  static constexpr const char* kNames[] = {"ShapeError", "DTypeError",          "DeviceError", "IndexError",
                                           "ValueError", "NotImplementedError", "IoError",     "InternalError"};
  return kNames[static_cast<size_t>(kind)];
}

Error::Error(ErrorKind kind, std::string headline) : kind_(kind), headline_(std::move(headline)) {
  text_ = std::string(error_kind_name(kind)) + ": " + headline_;
}

Error& Error::got(std::string_view line) { return add("got", line); }
Error& Error::need(std::string_view line) { return add("need", line); }
Error& Error::fix(std::string_view line) { return add("fix", line); }

Error& Error::at(std::string_view where) {
  if (in_module_ && has_at_) {  // the module is known: a place within it
    text_.append("  (").append(where).append(")");
    return *this;
  }
  add("at", where);
  has_at_ = true;
  return *this;
}

Error& Error::at_call(const std::source_location& where) {
  if (in_module_) return *this;
  if (has_at_) text_.erase(text_.rfind(kAt));
  has_at_ = false;
  return at(where);
}

Error& Error::in_op(std::string_view op) {
  const size_t length = headline_.find(": ");
  if (length == std::string::npos) return *this;
  text_.replace(text_.find(": ") + 2, length, op);
  headline_.replace(0, length, op);
  return *this;
}

Error& Error::in_module(std::string_view path) {
  if (in_module_) return *this;
  in_module_ = true;
  if (!has_at_) return at(path);
  // What was the place becomes the place within the module.
  const size_t start = text_.rfind(kAt) + kAt.size();
  text_.insert(start, std::string(path) + "  (").append(")");
  return *this;
}

Error& Error::at(const std::source_location& where) {
  if (where.line() == 0) return *this;  // nobody knows: a call from Python
  std::string_view file = where.file_name();
  if (size_t slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
  return at(std::string(file) + ":" + std::to_string(where.line()));
}

Error& Error::add(std::string_view label, std::string_view line) {
  std::string text = "\n  " + std::string(label);
  text.append(6 - label.size(), ' ').append(line);
  // A line added while the exception passes upwards still stands before the position.
  size_t end = has_at_ && label != "at" ? text_.rfind(kAt) : text_.size();
  text_.insert(end, text);
  return *this;
}

}  // namespace thixo
