#include "codegen/object_loader.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "thixo/error.h"

namespace thixo::codegen {

namespace {

#if defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
constexpr uint16_t kMachine = EM_X86_64;
#endif

[[noreturn]] void damaged(const char* why) {
  throw ValueError("machine code is damaged: " + std::string(why)).fix("delete the cache file it came from");
}
void need(bool ok, const char* why) {
  if (!ok) damaged(why);
}

/// The parts of an ELF file, each checked to lie within it.
class Elf {
 public:
  explicit Elf(std::string_view bytes) : bytes_(bytes) {
    need(bytes.size() >= sizeof(Elf64_Ehdr), "it ends too early");
    const auto header = read<Elf64_Ehdr>(0);
    need(std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
             header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_type == ET_REL,
         "it is no relocatable ELF object");
    need(header.e_machine == kMachine, "it is for another processor");
    need(header.e_shentsize == sizeof(Elf64_Shdr), "its section table has another form");
    sections_ = table<Elf64_Shdr>(header.e_shoff, header.e_shnum);
    for (const Elf64_Shdr& s : sections_) {
      if (s.sh_type != SHT_NOBITS) range(s.sh_offset, s.sh_size);
    }
  }

  const std::vector<Elf64_Shdr>& sections() const { return sections_; }
  const Elf64_Shdr& section(size_t i) const {
    need(i < sections_.size(), "it names a section that is not there");
    return sections_[i];
  }
  std::string_view contents(const Elf64_Shdr& s) const { return range(s.sh_offset, s.sh_size); }
  template <class T> std::vector<T> entries(const Elf64_Shdr& s) const {
    need(s.sh_entsize == sizeof(T), "a table has entries of another size");
    return table<T>(s.sh_offset, s.sh_size / sizeof(T));
  }
  std::string string(const Elf64_Shdr& names, uint32_t at) const {
    const std::string_view text = contents(names);
    need(at < text.size(), "a name lies outside of the names");
    const size_t end = text.find('\0', at);
    need(end != text.npos, "a name does not end");
    return std::string(text.substr(at, end - at));
  }

 private:
  std::string_view range(uint64_t offset, uint64_t size) const {
    need(offset <= bytes_.size() && size <= bytes_.size() - offset, "a section lies outside of the file");
    return bytes_.substr(offset, size);
  }
  template <class T> T read(uint64_t offset) const {
    T value;
    std::memcpy(&value, range(offset, sizeof(T)).data(), sizeof(T));
    return value;
  }
  template <class T> std::vector<T> table(uint64_t offset, uint64_t count) const {
    need(count <= bytes_.size() / sizeof(T), "a table is larger than the file");
    const std::string_view bytes = range(offset, count * sizeof(T));
    std::vector<T> out(count);
    if (count != 0) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }

  std::string_view bytes_;
  std::vector<Elf64_Shdr> sections_;
};

/// Where the sections that are needed at run time go.
struct Layout {
  std::vector<uint64_t> offset;  // by section; kAbsent: not loaded
  uint64_t size = 0;
  static constexpr uint64_t kAbsent = UINT64_MAX;
};

Layout lay_out(const Elf& elf) {
  constexpr uint64_t kLargest = uint64_t{1} << 30;  // PC-relative relocations reach 2 GiB
  Layout out;
  for (const Elf64_Shdr& s : elf.sections()) {
    out.offset.push_back(Layout::kAbsent);
    if ((s.sh_flags & SHF_ALLOC) == 0 || s.sh_size == 0) continue;
    need(s.sh_type == SHT_PROGBITS || s.sh_type == SHT_X86_64_UNWIND, "a section is of an unknown kind");
    need((s.sh_flags & SHF_WRITE) == 0, "it has variables, which kernels do not");
    const uint64_t align = std::max<uint64_t>(s.sh_addralign, 1);
    need(std::has_single_bit(align) && align <= 4096, "a section has an impossible alignment");
    out.size = (out.size + align - 1) / align * align;
    out.offset.back() = out.size;
    out.size += s.sh_size;
    need(out.size <= kLargest, "it is too large");
  }
  return out;
}

/// Relocations of one section.
class Relocator {
 public:
  Relocator(std::span<std::byte> memory, uint64_t section, uint64_t section_size)
      : memory_(memory), section_(section), size_(section_size) {}

  void apply(uint32_t type, uint64_t at, uint64_t target) {
    at_ = at;
    const uint64_t place = std::bit_cast<uint64_t>(memory_.data()) + section_ + at;
    const int64_t relative = static_cast<int64_t>(target - place);
    if (kMachine == EM_X86_64) {
      x86(type, target, relative);
    } else {
      aarch64(type, target, place, relative);
    }
  }

 private:
  void x86(uint32_t type, uint64_t target, int64_t relative) {
    switch (type) {
      case R_X86_64_NONE: return;
      case R_X86_64_PC32:
      case R_X86_64_PLT32: return write32(relative);
      case R_X86_64_64: return write<uint64_t>(target);
      case R_X86_64_PC64: return write<uint64_t>(static_cast<uint64_t>(relative));
      default: damaged("it has a relocation of an unknown kind");
    }
  }

  void aarch64(uint32_t type, uint64_t target, uint64_t place, int64_t relative) {
    switch (type) {
      case R_AARCH64_NONE: return;
      case R_AARCH64_ABS64: return write<uint64_t>(target);
      case R_AARCH64_PREL32: return write32(relative);
      case R_AARCH64_ADR_PREL_PG_HI21: {
        const int64_t pages = static_cast<int64_t>((target & ~0xfffull) - (place & ~0xfffull)) >> 12;
        need(pages >= -(1 << 20) && pages < (1 << 20), "an address is out of reach");
        const uint32_t bits = static_cast<uint32_t>(pages);
        return patch(0x9f00001fu, (bits & 3) << 29 | (bits >> 2 & 0x7ffff) << 5);
      }
      case R_AARCH64_ADD_ABS_LO12_NC:
      case R_AARCH64_LDST8_ABS_LO12_NC: return low12(target, 0);
      case R_AARCH64_LDST16_ABS_LO12_NC: return low12(target, 1);
      case R_AARCH64_LDST32_ABS_LO12_NC: return low12(target, 2);
      case R_AARCH64_LDST64_ABS_LO12_NC: return low12(target, 3);
      case R_AARCH64_LDST128_ABS_LO12_NC: return low12(target, 4);
      case R_AARCH64_CALL26:
      case R_AARCH64_JUMP26:
        need(relative >= -(1 << 27) && relative < (1 << 27), "an address is out of reach");
        return patch(0xfc000000u, static_cast<uint32_t>(relative >> 2) & 0x3ffffffu);
      default: damaged("it has a relocation of an unknown kind");
    }
  }

  void low12(uint64_t target, unsigned shift) {
    patch(0xffc003ffu, static_cast<uint32_t>((target & 0xfff) >> shift) << 10);
  }
  void patch(uint32_t keep, uint32_t bits) { write<uint32_t>((read<uint32_t>() & keep) | bits); }
  void write32(int64_t v) {
    need(v >= std::numeric_limits<int32_t>::min() && v <= std::numeric_limits<int32_t>::max(),
         "an address is out of reach");
    write<uint32_t>(static_cast<uint32_t>(v));
  }

  std::byte* field(size_t bytes) const {
    need(at_ <= size_ && bytes <= size_ - at_, "a relocation lies outside of its section");
    return memory_.data() + section_ + at_;
  }
  template <class T> T read() const {
    T v;
    std::memcpy(&v, field(sizeof(T)), sizeof(T));
    return v;
  }
  template <class T> void write(T v) { std::memcpy(field(sizeof(T)), &v, sizeof(T)); }

  std::span<std::byte> memory_;
  uint64_t section_, size_, at_ = 0;
};

/// The address of a symbol of the object itself.
uint64_t address_of(const Elf& elf, const Layout& layout, const Elf64_Sym& s, const std::byte* memory) {
  need(s.st_shndx != SHN_UNDEF, "it refers to a symbol outside of itself");
  const Elf64_Shdr& section = elf.section(s.st_shndx);
  need(layout.offset[s.st_shndx] != Layout::kAbsent && s.st_value <= section.sh_size,
       "a symbol lies outside of its section");
  return std::bit_cast<uint64_t>(memory) + layout.offset[s.st_shndx] + s.st_value;
}

void relocate(const Elf& elf, const Layout& layout, std::span<std::byte> memory) {
  for (const Elf64_Shdr& table : elf.sections()) {
    need(table.sh_type != SHT_REL, "it has relocations of an unknown form");
    if (table.sh_type != SHT_RELA) continue;
    const Elf64_Shdr& to = elf.section(table.sh_info);
    const uint64_t place = layout.offset[table.sh_info];
    if (place == Layout::kAbsent) continue;
    const std::vector<Elf64_Sym> symbols = elf.entries<Elf64_Sym>(elf.section(table.sh_link));
    Relocator relocator(memory, place, to.sh_size);
    for (const Elf64_Rela& r : elf.entries<Elf64_Rela>(table)) {
      const uint64_t symbol = ELF64_R_SYM(r.r_info);
      need(symbol < symbols.size(), "a relocation names a symbol that is not there");
      const uint64_t target = address_of(elf, layout, symbols[symbol], memory.data());
      relocator.apply(static_cast<uint32_t>(ELF64_R_TYPE(r.r_info)), r.r_offset,
                      target + static_cast<uint64_t>(r.r_addend));
    }
  }
}

size_t whole_pages(uint64_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

LoadedObject::LoadedObject(std::string_view object) {
  const Elf elf(object);
  const Layout layout = lay_out(elf);
  if (layout.size == 0) return;
  const size_t bytes = whole_pages(layout.size);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw IoError("no memory for " + std::to_string(bytes) + " bytes of machine code");
  memory_ = static_cast<std::byte*>(memory);
  mapped_ = bytes;
  try {
    for (size_t i = 0; i < elf.sections().size(); ++i) {
      if (layout.offset[i] == Layout::kAbsent) continue;
      const std::string_view from = elf.contents(elf.section(i));
      std::memcpy(memory_ + layout.offset[i], from.data(), from.size());
    }
    relocate(elf, layout, {memory_, layout.size});
    for (const Elf64_Shdr& table : elf.sections()) {
      if (table.sh_type != SHT_SYMTAB) continue;
      for (const Elf64_Sym& s : elf.entries<Elf64_Sym>(table)) {
        if (ELF64_ST_TYPE(s.st_info) != STT_FUNC) continue;
        functions_[elf.string(elf.section(table.sh_link), s.st_name)] =
            std::bit_cast<KernelFn>(address_of(elf, layout, s, memory_));
      }
    }
    if (mprotect(memory_, bytes, PROT_READ | PROT_EXEC) != 0) {
      throw IoError("the system does not let machine code be run").fix("allow the process to map executable memory");
    }
  } catch (...) {
    munmap(memory_, mapped_);
    throw;
  }
#if defined(__aarch64__)
  __builtin___clear_cache(reinterpret_cast<char*>(memory_), reinterpret_cast<char*>(memory_) + bytes);
#endif
}

LoadedObject::~LoadedObject() {
  if (memory_ != nullptr) munmap(memory_, mapped_);
}

KernelFn LoadedObject::find(const std::string& name) const {
  const auto it = functions_.find(name);
  return it == functions_.end() ? nullptr : it->second;
}

}  // namespace thixo::codegen
