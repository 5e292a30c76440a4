#include "formats/npy_header.h"

#include <charconv>

#include "formats/bytes.h"

namespace thixo {
namespace {

struct Name {
  DType dtype;
  const char* name;
};
constexpr Name kNames[] = {{DType::F64, "<f8"}, {DType::F32, "<f4"},  {DType::F16, "<f2"}, {DType::I64, "<i8"},
                           {DType::I32, "<i4"}, {DType::I16, "<i2"},  {DType::I8, "|i1"},  {DType::U64, "<u8"},
                           {DType::U32, "<u4"}, {DType::U16, "<u2"},  {DType::U8, "|u1"},  {DType::Bool, "|b1"},
                           {DType::C64, "<c8"}, {DType::C128, "<c16"}};

/// Reads the few Python literals that a header may hold.
class Cursor {
 public:
  Cursor(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Error bad(const std::string& reason) const { return invalid_file(name_, "npy", reason); }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void need(char c) {
    if (!take(c)) throw bad("its header is damaged at byte " + std::to_string(at_));
  }
  std::string_view text() {
    const char quote = take('"') ? '"' : '\'';
    if (quote == '\'') need('\'');
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) throw bad("its header has a text without an end");
    const std::string_view result = text_.substr(at_, end - at_);
    at_ = end + 1;
    return result;
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    }
    throw bad("its header is damaged at byte " + std::to_string(at_));
  }
  int64_t number() {
    skip_space();
    int64_t v = -1;
    const auto [end, ec] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
    if (ec != std::errc() || v < 0) throw bad("a size in its header is no number from 0 to 2^63 - 1");
    at_ = static_cast<size_t>(end - text_.data());
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // written by Python 2
    return v;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

void read_descr(Cursor& c, NpyHeader& h, const std::string& file) {
  if (c.take('[')) {
    throw NotImplementedError("'" + file + "' holds records (a structured array)").fix("save each field as an array");
  }
  const std::string_view descr = c.text();
  if (descr.find('O') != std::string_view::npos) {
    throw NotImplementedError("'" + file + "' holds Python objects")
        .need("numbers; objects would have to be unpickled, which runs code from the file")
        .fix("convert the array with astype() before saving it");
  }
  for (const Name& n : kNames) {
    // '=' and '|' mean this machine's order, which is little-endian wherever this library runs.
    const std::string_view kind = std::string_view(n.name).substr(1);
    if (descr.size() < 2 || descr.substr(1) != kind ||
        std::string_view("<>=|").find(descr[0]) == std::string_view::npos)
      continue;
    h.dtype = n.dtype;
    h.swapped = descr[0] == '>' && item_size(n.dtype) > 1;
    return;
  }
  throw NotImplementedError("'" + file + "' holds elements of the type '" + std::string(descr.substr(0, 40)) + "'")
      .need("bool, integers, f2, f4, f8, c8 or c16");
}

void read_shape(Cursor& c, NpyHeader& h, const std::string& file) {
  c.need('(');
  while (!c.take(')')) {
    if (h.shape.size() == kMaxRank) throw too_many_dims("'" + file + "'");
    h.shape.push_back(c.number());
    if (!c.take(',')) {
      c.need(')');
      return;
    }
  }
}

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& name) {
  NpyHeader h;
  Cursor c(text, name);
  bool descr = false, order = false, shape = false;
  c.need('{');
  while (!c.take('}')) {
    const std::string_view key = c.text();
    c.need(':');
    bool* seen = key == "descr" ? &descr : key == "fortran_order" ? &order : key == "shape" ? &shape : nullptr;
    if (seen == nullptr || *seen) throw c.bad("its header has an unknown field or one twice");
    *seen = true;
    if (seen == &descr) read_descr(c, h, name);
    if (seen == &order) h.fortran_order = c.boolean();
    if (seen == &shape) read_shape(c, h, name);
    if (!c.take(',')) {
      c.need('}');
      break;
    }
  }
  if (!descr || !order || !shape) throw c.bad("its header needs descr, fortran_order and shape");
  if (!c.at_end()) throw c.bad("something follows the dict in its header");
  return h;
}

const char* npy_dtype_name(DType dtype) {
  for (const Name& n : kNames) {
    if (n.dtype == dtype) return n.name;
  }
  return nullptr;
}

std::string npy_header_text(const Shape& shape, DType dtype) {
  std::string sizes = shape_str(shape);
  sizes = sizes.substr(1, sizes.size() - 2) + (shape.size() == 1 ? "," : "");
  return "{'descr': '" + std::string(npy_dtype_name(dtype)) + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
}

}  // namespace thixo
