#include "formats/zip.h"

#include <algorithm>
#include <array>

#include "formats/npy.h"
#include "thixo/npy.h"

namespace thixo {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50;
constexpr uint32_t kLocator64 = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;

class Archive {
 public:
  explicit Archive(const Bytes& file) : file_(file), size_(file.data.size()) {}

  std::vector<ZipEntry> entries() {
    find_directory();
    std::vector<ZipEntry> result;
    size_t at = directory_;
    for (uint64_t i = 0; i < count_; ++i) {
      if (!has(at, kCentralSize, kCentral)) throw bad("its directory is damaged");
      result.push_back(entry(at));
      at += kCentralSize + u16(at + 28) + u16(at + 30) + u16(at + 32);
    }
    check_overlap(result);
    return result;
  }

 private:
  Error bad(const std::string& reason) const { return invalid_file(file_.name, "npz", reason); }
  uint16_t u16(size_t at) const { return file_.number<uint16_t>(at); }
  uint32_t u32(size_t at) const { return file_.number<uint32_t>(at); }
  uint64_t u64(size_t at) const { return file_.number<uint64_t>(at); }
  /// A structure of `bytes` that begins with its signature.
  bool has(size_t at, size_t bytes, uint32_t signature) const {
    return at <= size_ && bytes <= size_ - at && u32(at) == signature;
  }

  /// Without this a small archive could name the same bytes a million times.
  void check_overlap(std::vector<ZipEntry> entries) const {
    std::ranges::sort(entries, {}, &ZipEntry::begin);
    for (size_t i = 1; i < entries.size(); ++i) {
      if (entries[i].begin < entries[i - 1].end) throw bad("'" + entries[i].name + "' in it overlaps another entry");
    }
  }

  void find_directory() {
    if (size_ < kEndSize) throw bad("it is no ZIP archive");
    size_t end = size_ - kEndSize;
    const size_t lowest = end > 65535 ? end - 65535 : 0;  // a comment may follow
    while (u32(end) != kEnd) {
      if (end-- == lowest) throw bad("it is no ZIP archive, or cut off");
    }
    count_ = u16(end + 10);
    directory_ = u32(end + 16);
    if (count_ != 0xffff && directory_ != 0xffffffff) return;
    if (end < kLocatorSize || u32(end - kLocatorSize) != kLocator64) return;
    const uint64_t end64 = u64(end - kLocatorSize + 8);
    if (!has(end64, kEnd64Size, kEnd64)) throw bad("its directory is damaged");
    count_ = u64(end64 + 32);
    directory_ = u64(end64 + 48);
  }

  /// Takes the 64-bit values that stand in the extra field for those that are all ones.
  void widen(size_t extra, size_t extra_size, std::array<uint64_t*, 3> values) const {
    const size_t end = extra + extra_size;
    while (end - extra >= 4) {
      const uint16_t id = u16(extra);
      const size_t size = std::min<size_t>(u16(extra + 2), end - extra - 4);
      size_t at = extra + 4;
      for (uint64_t* v : values) {
        if (id != 1 || *v != 0xffffffff) continue;
        if (at + 8 > extra + 4 + size) throw bad("its directory is damaged");
        *v = u64(at);
        at += 8;
      }
      extra += 4 + size;
    }
  }

  ZipEntry entry(size_t at) const {
    const uint16_t flags = u16(at + 8), method = u16(at + 10), name_size = u16(at + 28), extra_size = u16(at + 30);
    uint64_t packed = u32(at + 20), size = u32(at + 24), local = u32(at + 42);
    const size_t names = at + kCentralSize;
    if (size_t{name_size} + extra_size > size_ - names) throw bad("its directory is damaged");
    ZipEntry e;
    e.name = file_.text(names, name_size);
    if (!is_utf8(e.name)) throw bad("a name in it is no UTF-8");
    widen(names + name_size, extra_size, {&size, &packed, &local});
    if ((flags & 1) != 0) throw NotImplementedError("'" + file_.name + "' is encrypted");
    if (method != 0) {
      throw NotImplementedError("'" + file_.name + "' is compressed")
          .fix("write it with numpy.savez, not savez_compressed");
    }
    if (packed != size) throw bad("'" + e.name + "' in it has two sizes");
    if (!has(local, kLocalSize, kLocal)) throw bad("'" + e.name + "' is not where the directory says");
    e.begin = local + kLocalSize + u16(local + 26) + u16(local + 28);
    if (e.begin > size_ || size > size_ - e.begin) throw bad("'" + e.name + "' in it is cut off");
    e.end = e.begin + size;
    e.crc = u32(at + 16);
    return e;
  }

  const Bytes& file_;
  size_t size_;
  uint64_t count_ = 0;
  size_t directory_ = 0;
};

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320u : 0);
    table[i] = c;
  }
  return table;
}

}  // namespace

std::vector<ZipEntry> read_zip(const Bytes& file) { return Archive(file).entries(); }

uint32_t crc32(std::span<const std::byte> data) {
  static constexpr std::array<uint32_t, 256> table = crc_table();
  uint32_t c = ~0u;
  for (const std::byte b : data) c = (c >> 8) ^ table[(c ^ static_cast<uint32_t>(b)) & 255];
  return ~c;
}

TensorMap read_npz(const Bytes& file) {
  TensorMap result;
  for (const ZipEntry& e : read_zip(file)) {
    if (crc32(file.data.subspan(e.begin, e.end - e.begin)) != e.crc) {
      throw invalid_file(file.name, "npz", "the bytes of '" + e.name + "' do not fit their checksum");
    }
    std::string name = e.name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    if (!result.emplace(name, read_npy(file, e.begin, e.end)).second) {
      throw invalid_file(file.name, "npz", "the name '" + name + "' stands there twice");
    }
  }
  return result;
}

TensorMap load_npz(const std::string& path) { return read_npz(read_bytes(path)); }

}  // namespace thixo
