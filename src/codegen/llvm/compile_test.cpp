#include "codegen/llvm/compile.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "codegen/llvm/sample_kernels.h"
#include "codegen/object_loader.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

using samples::Bytes;
using samples::Sample;

/// A copy of bytes that ends where readable memory ends: what touches an element past the last one crashes.
class Guarded {
 public:
  explicit Guarded(const Bytes& bytes) : size_(bytes.size()), pages_((bytes.size() + 4095) / 4096 * 4096) {
    base_ = static_cast<std::byte*>(mmap(nullptr, pages_ + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages_ != 0) mprotect(base_ + 4096, pages_, PROT_READ | PROT_WRITE);
    if (!bytes.empty()) std::memcpy(data(), bytes.data(), bytes.size());
  }
  ~Guarded() { munmap(base_, pages_ + 8192); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  std::byte* data() const { return base_ + 4096 + pages_ - size_; }
  Bytes bytes() const { return Bytes(data(), data() + size_); }

 private:
  size_t size_, pages_;
  std::byte* base_;
};

std::vector<Bytes> run(KernelFn kernel, const Sample& s) {
  std::vector<std::unique_ptr<Guarded>> memory;
  std::vector<void*> pointers;
  for (const Bytes& b : s.buffers) {
    memory.push_back(std::make_unique<Guarded>(b));
    pointers.push_back(memory.back()->data());
  }
  // In place: an Out without bytes of its own is the In of the same name.
  for (size_t i = pointers.size(); i < s.kernel.buffers.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (s.kernel.buffers[j].name == s.kernel.buffers[i].name) pointers.push_back(pointers[j]);
    }
  }
  const KernelArgs args{pointers.data(), s.ints.data(), s.params.data()};
  EXPECT_EQ(kernel(&args, s.begin, s.end), 0);
  std::vector<Bytes> out;
  for (const auto& m : memory) out.push_back(m->bytes());
  return out;
}

TargetSpec deterministic(std::string_view isa) {
  TargetSpec t = target_for(isa);
  t.deterministic = true;
  return t;
}

void check(const samples::SampleKind& kind, const TargetSpec& target, bool fused) {
  const Kernel kernel = kind.make(5, fused).kernel;
  const LoadedObject object(compile_object(std::span(&kernel, 1), target));
  const KernelFn fn = object.find(kernel.name);
  ASSERT_NE(fn, nullptr) << kind.name;
  for (int64_t n : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 23, 29, 31, 32, 33, 40, 64, 75}) {
    const Sample s = kind.make(n, fused);
    const std::vector<Bytes> got = run(fn, s);
    for (size_t i = 0; i < got.size(); ++i) {
      if (s.expected[i].empty()) continue;
      ASSERT_TRUE(got[i] == s.expected[i]) << kind.name << ", buffer " << i << ", n = " << n;
    }
  }
}

TEST(Compile, EveryKindOfKernelGivesTheBitsOfAPlainLoop) {
  for (std::string_view isa : isas()) {
    if (!host_runs(isa)) continue;
    for (const samples::SampleKind& kind : samples::sample_kinds()) {
      SCOPED_TRACE(std::string(isa));
      check(kind, target_for(isa), isa != "x86-64-v2");
      check(kind, deterministic(isa), false);
    }
  }
}

TEST(Compile, QuickCompileGivesTheSameBits) {
  for (const samples::SampleKind& kind : samples::sample_kinds()) {
    TargetSpec t = deterministic(host_isa());
    t.optimize = false;
    check(kind, t, false);
  }
}

TEST(Compile, EveryIsaCompilesEveryKind) {
  std::vector<Kernel> kernels;
  for (const samples::SampleKind& kind : samples::sample_kinds()) kernels.push_back(kind.make(5, true).kernel);
  for (std::string_view isa : isas()) EXPECT_GT(compile_object(kernels, target_for(isa)).size(), 1000u) << isa;
}

TEST(Compile, ARangeOfTheParallelAxis) {
  const Kernel kernel = samples::sample_kinds()[0].make(5, false).kernel;
  const LoadedObject object(compile_object(std::span(&kernel, 1), deterministic(host_isa())));
  Sample s = samples::sample_kinds()[0].make(100, false);
  s.begin = 16;
  s.end = 48;
  const Bytes z = run(object.find(kernel.name), s)[2];
  for (size_t i = 0; i < 100 * sizeof(float); ++i) {
    const bool inside = i >= 16 * sizeof(float) && i < 48 * sizeof(float);
    EXPECT_EQ(z[i], inside ? s.expected[2][i] : std::byte(0)) << i;
  }
}

Kernel one_store(Expr value, DType t) {
  Kernel k;
  k.name = "k";
  k.buffers = {{"x", DType::F32, BufferKind::In, {}}, {"z", t, BufferKind::Out, {}}};
  k.vector_par = true;
  k.body = {make_store(1, axis(0), value)};
  return k;
}

/// Everything that compilers like to call libraries for, as one value.
Expr tempting(Expr x) {
  const Expr whole = cast(x, DType::U64), double_x = cast(x, DType::F64);
  const Expr rest = mod(cast(whole, DType::I64), axis(0)) + cast(double_x, DType::I64) / axis(0);
  const Expr rounded =
      unary(ExprOp::Round, x) + unary(ExprOp::Floor, x) + unary(ExprOp::Ceil, x) + unary(ExprOp::Trunc, x);
  const Expr fused = fma(double_x, double_x, cast(whole, DType::F64)) + sqrt(double_x);
  return rounded + cast(rest, DType::F32) + cast(fused, DType::F32) + binary(ExprOp::CopySign, fma(x, x, x), x);
}

TEST(Compile, ALeafCallsNothing) {
  const Expr x = load(0, DType::F32, axis(0));
  for (std::string_view isa : isas()) {
    for (DType t : {DType::F16, DType::BF16, DType::F32}) {
      const Kernel k = one_store(tempting(x), t);
      EXPECT_NO_THROW(compile_object(std::span(&k, 1), target_for(isa))) << isa;
    }
  }
  // Without a floating-point unit every operation is a call: the check itself works.
  TargetSpec soft = target_for("aarch64");
  soft.features = "-fp-armv8,-neon";
  const Kernel k = one_store(tempting(x), DType::F32);
  try {
    compile_object(std::span(&k, 1), soft);
    ADD_FAILURE() << "calls were not noticed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("which is not part of it"), std::string::npos) << e.what();
  }
}

TEST(Compile, RefusesWhatItCannotDo) {
  const std::vector<Kernel> twice(2, one_store(load(0, DType::F32, axis(0)), DType::F32));
  EXPECT_THROW(compile_object(twice, target_for("avx2")), Error);
  TargetSpec unknown = target_for("avx2");
  unknown.triple = "z80-unknown-none";
  EXPECT_THROW(compile_object(std::span(twice).first(1), unknown), Error);
}

}  // namespace
}  // namespace thixo::codegen
