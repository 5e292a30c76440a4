#include "codegen/pack_builder.h"

#include <cstdio>

#include "codegen/pack.h"
#include "thixo/error.h"

namespace thixo::codegen {

void PackSink::group(const std::string& name) {
  auto [it, is_new] = group_index_.emplace(name, groups_.size());
  if (is_new) groups_.push_back({name, {}});
  current_ = it->second;
}

void PackSink::add(const std::string& key, Kernel kernel) {
  if (groups_.empty()) throw InternalError("pack: kernel '" + key + "' was added before any group()");
  kernel.name.clear();
  const std::string content = serialize(kernel);
  auto [it, is_new] = by_content_.emplace(content, "");
  if (is_new) {
    kernel.name = "thixo_k_" + (key[0] == '#' ? std::string("nest") : key);  // content keys are bytes
    for (char& c : kernel.name) {
      if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) c = '_';
    }
    // Keys may differ in a replaced character only. Not a running number: it would rename kernels that did not change.
    char hash[20];
    std::snprintf(hash, sizeof hash, "_%016llx", static_cast<unsigned long long>(kernel_hash(key)));
    kernel.name += hash;
    it->second = kernel.name;
    verify(kernel);
    groups_[current_].kernels.push_back(std::move(kernel));
  }
  keys_.emplace_back(key, it->second);
}

}  // namespace thixo::codegen
