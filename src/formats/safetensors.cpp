#include "formats/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"

namespace thixo {
namespace {

/// In the order in which they are written: larger items first keeps every tensor aligned to its items.
std::vector<const TensorMap::value_type*> in_file_order(const TensorMap& tensors) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::ranges::stable_sort(order, std::greater<>(),
                           [](const auto* e) { return item_size(real_type(e->second.dtype())); });
  return order;
}

void check_savable(const std::string& name, const Tensor& t) {
  const std::string who = "save_file: tensor '" + name + "'";
  if (!t.defined()) throw ValueError(who + " is undefined");
  if (name == "__metadata__") throw ValueError(who + " has a name that the format keeps for itself");
  if (safetensors_dtype_name(t.dtype()) == nullptr) {
    throw DTypeError(who + " is " + std::string(dtype_name(t.dtype())) + ", which safetensors does not know")
        .fix("save the real and the imaginary part as two tensors, or as complex64");
  }
  if (t.numel() > 0) t.raw_data();  // throws when it has none
}

/// The header, padded so that the tensors start on a cache line.
std::string header_text(const std::vector<const TensorMap::value_type*>& order, const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t at = 0;
  for (const auto* e : order) {
    const Tensor& t = e->second;
    auto shape = nlohmann::ordered_json::array();
    for (Dim d : t.shape()) shape.push_back(d.value());
    header[e->first] = {{"dtype", safetensors_dtype_name(t.dtype())},
                        {"shape", std::move(shape)},
                        {"data_offsets", {at, at + t.nbytes()}}};
    at += t.nbytes();
  }
  std::string text = header.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  return text;
}

}  // namespace

TensorMap read_safetensors(const Bytes& file) {
  TensorMap result;
  SafetensorsHeader header = read_safetensors_header(file);
  for (SafetensorsEntry& e : header.entries) {
    result[std::move(e.name)] =
        tensor_on(file, header.data_begin + e.begin, e.shape, contiguous_strides(e.shape), e.dtype, "safetensors");
  }
  return result;
}

TensorMap load_file(const std::string& path) { return read_safetensors(map_file(path)); }

Metadata load_metadata(const std::string& path) { return read_safetensors_header(map_file(path)).metadata; }

void save_file(const TensorMap& tensors, const std::string& path, const Metadata& metadata) {
  for (const auto& [name, t] : tensors) check_savable(name, t);
  const auto order = in_file_order(tensors);
  std::string header;
  try {
    header = header_text(order, metadata);
  } catch (const nlohmann::json::exception&) {
    throw ValueError("save_file: a name or a metadata text is not valid UTF-8");
  }
  int64_t bytes = 8 + static_cast<int64_t>(header.size());
  for (const auto* e : order) bytes += static_cast<int64_t>(e->second.nbytes());

  AtomicFile file(path, bytes);
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  file.write(length);
  file.write(header);
  for (const auto* e : order) write_elements(file, e->second);
  file.commit();
}

}  // namespace thixo
