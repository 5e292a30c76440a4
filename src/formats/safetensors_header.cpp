#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "formats/safetensors.h"

namespace thixo {
namespace {

constexpr const char* kFormat = "safetensors";
constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit

struct Name {
  DType dtype;
  const char* name;
};
constexpr Name kNames[] = {{DType::F64, "F64"}, {DType::F32, "F32"},  {DType::F16, "F16"}, {DType::BF16, "BF16"},
                           {DType::I64, "I64"}, {DType::I32, "I32"},  {DType::I16, "I16"}, {DType::I8, "I8"},
                           {DType::U64, "U64"}, {DType::U32, "U32"},  {DType::U16, "U16"}, {DType::U8, "U8"},
                           {DType::C64, "C64"}, {DType::Bool, "BOOL"}};

std::string in_quotes(std::string_view s) {
  return "'" + std::string(s.substr(0, 100)) + (s.size() > 100 ? "...'" : "'");
}

/// Takes the header's JSON piece by piece, so that what has no place in it is found where it stands, and a name
/// that comes twice is not lost.
class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  Reader(const std::string& file, SafetensorsHeader& out) : file_(file), out_(out) {}

  bool start_object(size_t) override {
    if (place_ == Place::Start) return move(Place::Names);
    if (place_ == Place::Value && key_ == "__metadata__") return move(Place::Metadata);
    if (place_ != Place::Value) throw misplaced("an object");
    out_.entries.push_back({});
    out_.entries.back().name = key_;
    fields_.clear();
    return move(Place::Entry);
  }
  bool key(std::string& k) override {
    switch (place_) {
      case Place::Names:
        if (!names_.insert(k).second) throw bad("the name " + in_quotes(k) + " stands there twice");
        key_ = k;
        return move(Place::Value);
      case Place::Metadata:
        if (out_.metadata.contains(k)) throw bad("the metadata " + in_quotes(k) + " stands there twice");
        meta_key_ = k;
        return true;
      default:
        if (!fields_.insert(k).second) throw bad_entry("has two fields " + in_quotes(k));
        if (k != "dtype" && k != "shape" && k != "data_offsets")
          throw bad_entry("has an unknown field " + in_quotes(k));
        field_ = k;
        return true;
    }
  }
  bool end_object() override {
    if (place_ == Place::Names) return move(Place::End);
    if (place_ == Place::Entry) {
      if (fields_.size() != 3) throw bad_entry("needs dtype, shape and data_offsets");
      if (offsets_ != 2) throw bad_entry("has " + std::to_string(offsets_) + " data_offsets in the place of 2");
    }
    return move(Place::Names);
  }
  bool start_array(size_t) override {
    if (place_ == Place::Entry && field_ == "shape") return move(Place::Shape);
    if (place_ != Place::Entry || field_ != "data_offsets") throw misplaced("an array");
    offsets_ = 0;
    return move(Place::Offsets);
  }
  bool end_array() override { return move(Place::Entry); }
  bool string(std::string& s) override {
    if (place_ == Place::Metadata) {
      out_.metadata[meta_key_] = s;
      return true;
    }
    if (place_ != Place::Entry || field_ != "dtype") throw misplaced("a text");
    for (const Name& n : kNames) {
      if (s == n.name) {
        out_.entries.back().dtype = n.dtype;
        return true;
      }
    }
    throw bad_entry("has the dtype " + in_quotes(s) + ", which this version does not know");
  }
  bool number_unsigned(uint64_t n) override {
    SafetensorsEntry* e = out_.entries.empty() ? nullptr : &out_.entries.back();
    if (place_ == Place::Shape) {
      if (n > INT64_MAX / 2) throw bad_entry("has a size of " + std::to_string(n));
      if (e->shape.size() == kMaxRank) throw too_many_dims("tensor " + in_quotes(key_) + " of '" + file_ + "'");
      e->shape.push_back(static_cast<int64_t>(n));
      return true;
    }
    if (place_ != Place::Offsets) throw misplaced("a number");
    if (++offsets_ > 2) throw bad_entry("has more than 2 data_offsets");
    (offsets_ == 1 ? e->begin : e->end) = n;
    return true;
  }
  bool number_integer(int64_t n) override { throw misplaced("the number " + std::to_string(n)); }
  bool number_float(double, const std::string& s) override { throw misplaced("the number " + s); }
  bool boolean(bool) override { throw misplaced("a bool"); }
  bool null() override { throw misplaced("null"); }
  bool binary(binary_t&) override { throw misplaced("binary data"); }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    throw bad("the header is no JSON (byte " + std::to_string(at) + " of it)");
  }

 private:
  enum class Place { Start, Names, Value, Metadata, Entry, Shape, Offsets, End };

  bool move(Place p) {
    place_ = p;
    return true;
  }
  Error bad(const std::string& reason) const { return invalid_file(file_, kFormat, reason); }
  Error bad_entry(const std::string& reason) const { return bad("tensor " + in_quotes(key_) + " " + reason); }
  Error misplaced(const std::string& what) const {
    switch (place_) {
      case Place::Start: return bad("the header is no JSON object");
      case Place::Metadata: return bad("the metadata " + in_quotes(meta_key_) + " is no text");
      case Place::Names:
      case Place::Value: return bad_entry("is no object");
      default: return bad_entry("has " + what + " where it does not belong (" + field_ + ")");
    }
  }

  const std::string& file_;
  SafetensorsHeader& out_;
  Place place_ = Place::Start;
  std::string key_, meta_key_, field_;
  std::set<std::string> names_, fields_;
  int offsets_ = 0;
};

}  // namespace

const char* safetensors_dtype_name(DType dtype) {
  for (const Name& n : kNames) {
    if (n.dtype == dtype) return n.name;
  }
  return nullptr;
}

SafetensorsHeader read_safetensors_header(const Bytes& file) {
  const auto bad = [&](const std::string& reason) { return invalid_file(file.name, kFormat, reason); };
  const size_t total = file.data.size();
  if (total < 8) throw bad("it has " + std::to_string(total) + " bytes, too few for a header");
  const auto length = file.number<uint64_t>(0);
  if (length > kMaxHeader) throw bad("its header would have " + std::to_string(length) + " bytes");
  if (length > total - 8) {
    throw bad("it ends inside its header (" + std::to_string(length) + " bytes, " + std::to_string(total - 8) +
              " there)");
  }
  SafetensorsHeader header;
  header.data_begin = 8 + length;
  Reader reader(file.name, header);
  nlohmann::json::sax_parse(file.text(8, length), &reader);

  const size_t room = total - header.data_begin;
  auto& entries = header.entries;
  std::ranges::sort(entries, [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  size_t expected = 0;
  for (const SafetensorsEntry& e : entries) {
    const std::string who = "tensor " + in_quotes(e.name);
    const std::string offsets = "[" + std::to_string(e.begin) + ", " + std::to_string(e.end) + "]";
    if (e.end < e.begin) throw bad(who + " ends before it begins: data_offsets " + offsets);
    if (e.end > room) {
      throw bad(who + " reaches beyond the end: data_offsets " + offsets + " of " + std::to_string(room) +
                " bytes; the file is cut off or damaged");
    }
    if (e.begin != expected) {
      throw bad(who + (e.begin < expected ? " overlaps the one before it" : " leaves a hole before it") +
                ": data_offsets " + offsets + " after byte " + std::to_string(expected));
    }
    const int64_t bytes = checked_bytes(e.shape, e.dtype);
    if (bytes < 0 || static_cast<size_t>(bytes) != e.end - e.begin) {
      throw bad(who + " has " + std::to_string(e.end - e.begin) + " bytes, which is not the size of " +
                std::string(dtype_short_name(e.dtype)) + shape_str(e.shape));
    }
    expected = e.end;
  }
  if (expected != room) throw bad(std::to_string(room - expected) + " bytes at its end belong to no tensor");
  return header;
}

}  // namespace thixo
