#include "thixo/device.h"

#include "thixo/error.h"

namespace thixo {

Device Device::parse(std::string_view name) {
  if (name == "cpu" || name == "cpu:0") return Device(DeviceType::Cpu);
  if (name == "meta" || name == "meta:0") return Device(DeviceType::Meta);
  throw ValueError("unknown device '" + std::string(name) + "'").need("'cpu' or 'meta' in this build");
}

std::string Device::str() const {
  std::string name = type == DeviceType::Cpu ? "cpu" : "meta";
  return index == 0 ? name : name + ":" + std::to_string(index);
}

}  // namespace thixo
