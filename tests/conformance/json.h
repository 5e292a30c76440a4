// A JSON reader for test data: what tools/golden.py writes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace thixo::testing {

struct Json {
  using List = std::vector<Json>;
  using Object = std::map<std::string, Json>;
  std::variant<std::monostate, bool, double, std::string, List, Object> value;

  bool null() const { return value.index() == 0; }
  double number() const { return std::get<double>(value); }
  const std::string& text() const { return std::get<std::string>(value); }
  const List& list() const { return std::get<List>(value); }
  const Object& object() const { return std::get<Object>(value); }
  const Json& operator[](const std::string& key) const { return object().at(key); }
  bool is_integer = false;  ///< a number written without point or exponent
  int64_t integer = 0;
};

/// Throws std::runtime_error on what is not JSON.
Json parse_json(std::string_view text);

}  // namespace thixo::testing
