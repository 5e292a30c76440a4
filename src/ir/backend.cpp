#include "ir/backend.h"

#include <algorithm>

namespace thixo {
namespace {

std::vector<BackendEntry>& table() {
  static std::vector<BackendEntry> t;
  return t;
}

}  // namespace

void add_backend_entries(std::span<const BackendEntry> entries) {
  for (const BackendEntry& e : entries) {
    auto known = std::find_if(table().begin(), table().end(), [&](const BackendEntry& k) { return k.name == e.name; });
    if (known != table().end()) {
      *known = e;
    } else {
      table().push_back(e);
    }
  }
}

const BackendEntry* find_backend_entry(std::string_view name) {
  auto it = std::find_if(table().begin(), table().end(), [&](const BackendEntry& k) { return k.name == name; });
  return it == table().end() ? nullptr : &*it;
}

}  // namespace thixo
