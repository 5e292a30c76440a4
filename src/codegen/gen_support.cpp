#include "codegen/gen_support.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/ObjCopy/CommonConfig.h>
#include <llvm/ObjCopy/ELF/ELFConfig.h>
#include <llvm/ObjCopy/ELF/ELFObjcopy.h>
#include <llvm/Object/Binary.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>

#include "thixo/error.h"

namespace thixo::codegen {

void run_forked(int processes, size_t n, const std::function<void(size_t)>& work) {
  void* shared = mmap(nullptr, sizeof(std::atomic<size_t>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw IoError("thixo-gen: no memory to share");
  auto* next = new (shared) std::atomic<size_t>(0);
  std::vector<pid_t> children;
  for (int p = 0; p < processes && static_cast<size_t>(p) < n; ++p) {
    const pid_t child = fork();
    if (child < 0) throw IoError("thixo-gen: cannot start a process");
    if (child > 0) {
      children.push_back(child);
      continue;
    }
    int status = 0;
    try {
      for (size_t i; (i = next->fetch_add(1)) < n;) work(i);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      next->store(n);
      status = 1;
    }
    _exit(status);
  }
  bool failed = false;
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    failed |= status != 0;
  }
  munmap(shared, sizeof(std::atomic<size_t>));
  if (failed) throw InternalError("thixo-gen: a kernel could not be lowered");
}

namespace {

llvm::GlobalVariable* data(llvm::Module& m, llvm::Constant* init, const std::string& name, bool exported) {
  auto* g = new llvm::GlobalVariable(m, init->getType(), true,
                                     exported ? llvm::GlobalValue::ExternalLinkage : llvm::GlobalValue::PrivateLinkage,
                                     init, name);
  if (exported) g->setVisibility(llvm::GlobalValue::HiddenVisibility);
  return g;
}

void fill_table(llvm::Module& m, const std::string& isa, const std::vector<PackEntryName>& entries) {
  llvm::LLVMContext& c = m.getContext();
  llvm::Type *i64 = llvm::Type::getInt64Ty(c), *ptr = llvm::PointerType::getUnqual(c);
  auto* entry_type = llvm::StructType::get(c, {i64, ptr});
  auto* kernel_type = llvm::FunctionType::get(llvm::Type::getInt32Ty(c), {ptr, i64, i64}, false);
  std::vector<llvm::Constant*> rows;
  for (const PackEntryName& e : entries) {
    auto* kernel = llvm::cast<llvm::Function>(m.getOrInsertFunction(e.kernel, kernel_type).getCallee());
    kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
    kernel->setDSOLocal(true);
    rows.push_back(llvm::ConstantStruct::get(entry_type, {llvm::ConstantInt::get(i64, e.hash), kernel}));
  }
  llvm::Constant* name = data(m, llvm::ConstantDataArray::getString(c, isa), "isa", false);
  llvm::Constant* list =
      data(m, llvm::ConstantArray::get(llvm::ArrayType::get(entry_type, rows.size()), rows), "entries", false);
  auto* table = llvm::ConstantStruct::getAnon(c, {name, llvm::ConstantInt::get(i64, rows.size()), list});
  data(m, table, pack_symbol(isa), true);
}

}  // namespace

std::string pack_symbol(const std::string& isa) {
  std::string symbol = "thixo_pack_" + isa;
  for (char& ch : symbol) {
    if (ch == '-') ch = '_';
  }
  return symbol;
}

std::string pack_table_object(const std::string& isa, const std::vector<PackEntryName>& entries,
                              const TargetSpec& target) {
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  std::string error;
  const llvm::Target* t = llvm::TargetRegistry::lookupTarget(target.triple, error);
  if (t == nullptr) throw ValueError("thixo-gen: " + error);
  std::unique_ptr<llvm::TargetMachine> machine(
      t->createTargetMachine(target.triple, target.cpu, target.features, llvm::TargetOptions(), llvm::Reloc::PIC_));
  llvm::LLVMContext context;
  llvm::Module module("pack", context);
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  fill_table(module, isa, entries);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile)) {
    throw InternalError("thixo-gen: no object files for " + target.triple);
  }
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

void link_objects(const std::string& linker, const TargetSpec& target, const std::vector<std::string>& objects,
                  const std::string& out) {
  // Thousands of paths: through a response file.
  const std::string list = out + ".objects";
  std::ofstream f(list);
  for (const std::string& o : objects) f << '"' << o << "\"\n";
  f.close();
  std::string flavor = target.triple.starts_with("wasm") ? "wasm" : "gnu";
  std::vector<std::string> words = {linker, "-flavor", flavor, "-r", "-x", "-o", out, "@" + list};
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  int status = 1;
  if (posix_spawnp(&child, linker.c_str(), nullptr, nullptr, argv.data(), environ) == 0) waitpid(child, &status, 0);
  std::filesystem::remove(list);
  if (status != 0) throw IoError("thixo-gen: '" + linker + "' could not link '" + out + "'");
}

void keep_global(const std::string& path, const std::string& symbol) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, false, true);
  if (!buffer) throw IoError("thixo-gen: cannot read '" + path + "'");
  auto binary = llvm::object::createBinary(**buffer);
  if (!binary) throw IoError("thixo-gen: '" + path + "': " + llvm::toString(binary.takeError()));
  auto* elf = llvm::dyn_cast<llvm::object::ELFObjectFileBase>(binary->get());
  if (elf == nullptr) return;  // wasm: there is one pack only
  llvm::objcopy::CommonConfig config;
  const auto no_errors = [](llvm::Error e) { return e; };
  llvm::cantFail(config.SymbolsToKeepGlobal.addMatcher(
      llvm::objcopy::NameOrPattern::create(symbol, llvm::objcopy::MatchStyle::Literal, no_errors)));
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (llvm::Error e = llvm::objcopy::elf::executeObjcopyOnBinary(config, {}, *elf, stream))
    throw IoError("thixo-gen: '" + path + "': " + llvm::toString(std::move(e)));
  const std::string part = path + ".part";
  std::ofstream f(part, std::ios::binary);
  f.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  f.close();
  if (!f) throw IoError("thixo-gen: cannot write '" + part + "'");
  std::filesystem::rename(part, path);
}

void remove_stale_objects(const std::string& cache, const std::vector<std::string>& used) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto now = fs::file_time_type::clock::now();
  for (const std::string& u : used) fs::last_write_time(u, now, ignored);
  for (const fs::directory_entry& e : fs::directory_iterator(cache, ignored)) {
    if (now - e.last_write_time(ignored) > std::chrono::hours(14 * 24)) fs::remove(e.path(), ignored);
  }
}

}  // namespace thixo::codegen
