// Where a tensor lives. This build knows "cpu" and "meta" (a shape without data).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "thixo/export.h"

namespace thixo {

enum class DeviceType : uint8_t { Cpu, Meta };

struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = 0;
  Device() = default;
  Device(DeviceType t, int8_t i = 0) : type(t), index(i) {}  // NOLINT
  Device(const char* name) : Device(parse(name)) {}           // NOLINT
  friend bool operator==(const Device&, const Device&) = default;
  THIXO_API static Device parse(std::string_view name);  ///< "cpu", "cpu:0", "meta"; else ValueError
  THIXO_API std::string str() const;
};

}  // namespace thixo
