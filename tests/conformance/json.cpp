#include "json.h"

#include <charconv>
#include <stdexcept>

namespace thixo::testing {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Json whole() {
    Json j = value();
    if (peek() != '\0') fail();
    return j;
  }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error("json: unexpected text at " + std::to_string(at_)); }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w) {
    peek();
    if (text_.substr(at_, w.size()) != w) return false;
    at_ += w.size();
    return true;
  }
  std::string string() {
    if (!take('"')) fail();
    size_t end = text_.find('"', at_);
    if (end == std::string_view::npos) fail();
    std::string s(text_.substr(at_, end - at_));
    if (s.find('\\') != std::string::npos) fail();  // the golden files have no escapes
    at_ = end + 1;
    return s;
  }
  Json value() {
    Json j;
    switch (peek()) {
      case '{': {
        ++at_;
        Json::Object object;
        while (!take('}')) {
          std::string key = string();
          if (!take(':')) fail();
          object[key] = value();
          take(',');
        }
        j.value = std::move(object);
        return j;
      }
      case '[': {
        ++at_;
        Json::List list;
        while (!take(']')) {
          list.push_back(value());
          take(',');
        }
        j.value = std::move(list);
        return j;
      }
      case '"': j.value = string(); return j;
      default: break;
    }
    if (word("null")) return j;
    if (word("true") || word("false")) {
      j.value = text_[at_ - 2] == 'u';  // tr-u-e, fal-s-e
      return j;
    }
    double v = 0;
    auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
    if (error != std::errc()) fail();
    std::string_view digits = text_.substr(at_, static_cast<size_t>(end - text_.data()) - at_);
    at_ += digits.size();
    j.value = v;
    j.is_integer = digits.find_first_of(".eE") == std::string_view::npos;
    if (j.is_integer) std::from_chars(digits.data(), digits.data() + digits.size(), j.integer);
    return j;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Json parse_json(std::string_view text) { return Parser(text).whole(); }

}  // namespace thixo::testing
