#include "codegen/llvm/compile.h"

#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include <mutex>
#include <set>

#include "codegen/llvm/expand_kernel.h"
#include "codegen/llvm/lower.h"
#include "thixo/error.h"

namespace thixo::codegen {

namespace {

/// LLVM's own end is abort(); ours is an exception, so a kernel that LLVM cannot select falls back.
void on_fatal_error(void*, const char* reason, bool) { throw InternalError(std::string("LLVM: ") + reason); }

void start_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::install_fatal_error_handler(on_fatal_error);
#define THIXO_LLVM_TARGET(NAME)       \
  LLVMInitialize##NAME##TargetInfo(); \
  LLVMInitialize##NAME##Target();     \
  LLVMInitialize##NAME##TargetMC();   \
  LLVMInitialize##NAME##AsmPrinter();
    THIXO_LLVM_TARGET(X86)
    THIXO_LLVM_TARGET(AArch64)
    THIXO_LLVM_TARGET(WebAssembly)
#undef THIXO_LLVM_TARGET
  });
}

std::unique_ptr<llvm::TargetMachine> make_machine(const TargetSpec& spec) {
  std::string why;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(spec.triple, why);
  if (target == nullptr) throw ValueError("LLVM has no target '" + spec.triple + "'").got(why);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  const bool wasm = llvm::Triple(spec.triple).isWasm();
  const auto level = spec.optimize ? llvm::CodeGenOptLevel::Default : llvm::CodeGenOptLevel::Less;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(spec.triple, spec.cpu, spec.features, options,
                                  wasm ? llvm::Reloc::Static : llvm::Reloc::PIC_, llvm::CodeModel::Small, level));
}

TargetCaps caps_of(const llvm::TargetMachine& machine, bool deterministic) {
  const llvm::MCSubtargetInfo& sub = *machine.getMCSubtargetInfo();
  TargetCaps caps;
  if (machine.getTargetTriple().isX86()) {
    caps.fma = sub.checkFeatures("+fma");
    caps.f16 = sub.checkFeatures("+f16c");
    caps.masked_words = sub.checkFeatures("+avx2");
    caps.masked_all = sub.checkFeatures("+avx512bw") && sub.checkFeatures("+avx512vl");
    caps.short_vectors = !sub.checkFeatures("+avx");
  } else if (machine.getTargetTriple().isAArch64()) {
    caps.fma = caps.f16 = caps.short_vectors = true;
  } else {
    caps.short_vectors = true;
  }
  caps.fma = caps.fma && !deterministic;
  return caps;
}

void set_attributes(llvm::Function& f, const TargetSpec& spec) {
  f.setVisibility(llvm::GlobalValue::HiddenVisibility);
  f.setDSOLocal(true);
  f.addFnAttr(llvm::Attribute::NoUnwind);
  f.addFnAttr("target-cpu", spec.cpu);
  if (!spec.features.empty()) f.addFnAttr("target-features", spec.features);
  f.addFnAttr("no-builtins");  // no pass may turn a loop into memcpy
  f.addFnAttr("no-jump-tables", "true");
  f.addFnAttr("prefer-vector-width", "512");  // as wide as the target has
  f.addFnAttr("min-legal-vector-width", "512");
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine, bool full) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
  passes.addPass(llvm::EarlyCSEPass());
  if (full) {
    passes.addPass(llvm::InstCombinePass());
    passes.addPass(llvm::SimplifyCFGPass());
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), true));
    passes.addPass(llvm::EarlyCSEPass());
  }
  for (llvm::Function& f : module) {
    if (!f.isDeclaration()) passes.run(f, fam);
  }
}

std::string module_text(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, nullptr);
  return text;
}

/// The module for the kernels, its functions lowered but not optimised.
std::unique_ptr<llvm::Module> lower_all(llvm::LLVMContext& context, std::span<const Kernel> kernels,
                                        const TargetSpec& spec, const llvm::TargetMachine& machine) {
  auto module = std::make_unique<llvm::Module>("thixo", context);
  module->setTargetTriple(spec.triple);
  module->setDataLayout(machine.createDataLayout());
  const TargetCaps caps = caps_of(machine, spec.deterministic);
  std::set<std::string_view> names;
  for (const Kernel& k : kernels) {
    if (!names.insert(k.name).second) throw InternalError("two kernels of one object are named " + k.name);
    verify(k);
    const Kernel expanded = expand_kernel(k);
    set_attributes(*KernelLowering(*module, expanded, caps).run(), spec);
  }
  std::string why;
  llvm::raw_string_ostream out(why);
  if (llvm::verifyModule(*module, &out)) throw InternalError("the code generator made invalid code: " + why);
  return module;
}

std::string emit(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type)) throw InternalError("LLVM cannot write this target");
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

/// What a WebAssembly linker itself provides.
bool linker_symbol(llvm::StringRef name) {
  return name == "__stack_pointer" || name == "__linear_memory" || name == "__indirect_function_table";
}

void require_no_outside_symbols(const std::string& bytes) {
  auto object = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "kernels"));
  if (!object) throw InternalError("LLVM wrote an object that it cannot read: " + toString(object.takeError()));
  for (const llvm::object::SymbolRef& symbol : (*object)->symbols()) {
    auto flags = symbol.getFlags();
    auto name = symbol.getName();
    if (!flags || !name) throw InternalError("LLVM wrote an object with a damaged symbol table");
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) == 0 || name->empty() || linker_symbol(*name)) continue;
    throw InternalError("a kernel calls '" + name->str() + "', which is not part of it")
        .need("kernels are leaves: no libm, memcpy or compiler runtime");
  }
}

}  // namespace

std::string compile_object(std::span<const Kernel> kernels, const TargetSpec& spec) {
  start_llvm();
  llvm::LLVMContext context;
  context.setDiscardValueNames(true);
  const auto machine = make_machine(spec);
  const auto module = lower_all(context, kernels, spec, *machine);
  optimize(*module, *machine, spec.optimize);
  std::string bytes = emit(*module, *machine, llvm::CodeGenFileType::ObjectFile);
  require_no_outside_symbols(bytes);
  return bytes;
}

std::string compile_listing(std::span<const Kernel> kernels, const TargetSpec& spec, Listing what) {
  start_llvm();
  llvm::LLVMContext context;
  const auto machine = make_machine(spec);
  const auto module = lower_all(context, kernels, spec, *machine);
  if (what == Listing::Ir) return module_text(*module);
  optimize(*module, *machine, spec.optimize);
  if (what == Listing::OptimizedIr) return module_text(*module);
  return emit(*module, *machine, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace thixo::codegen
