// What thixo-gen puts into the pack. A section is a function that adds kernels to the sink; pack_sections.cpp
// lists them. A section is target independent: the same kernels are lowered for each ISA.
//
//   void add_scan_kernels(PackSink& sink) {
//     sink.group("cumsum");                          // kernels of one group are lowered into one object
//     sink.add("cumsum.f32.rows", scan_kernel(...)); // at run time: find_kernel("cumsum.f32.rows")
//   }
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/kernel_ir.h"

namespace thixo::codegen {

/// Kernels that are lowered, cached and rebuilt together: those of one op.
struct PackGroup {
  std::string name;
  std::vector<Kernel> kernels;  // names unique in the pack
};

class PackSink {
 public:
  /// Following kernels belong to this group; a name may be taken up again.
  void group(const std::string& name);
  /// The kernel that find_kernel(key) will give. Kernels equal but for their name are stored once, so sections
  /// need not care what others hold.
  void add(const std::string& key, Kernel kernel);

  const std::vector<PackGroup>& groups() const { return groups_; }
  /// Every key and the name of the kernel that answers to it.
  const std::vector<std::pair<std::string, std::string>>& keys() const { return keys_; }

 private:
  std::vector<PackGroup> groups_;
  size_t current_ = 0;
  std::vector<std::pair<std::string, std::string>> keys_;
  std::unordered_map<std::string, std::string> by_content_;  // serialized without the name -> name
  std::unordered_map<std::string, size_t> group_index_;
};

using PackSection = void (*)(PackSink&);
std::span<const PackSection> pack_sections();

}  // namespace thixo::codegen
