// The functions of codegen/math, compiled, against their expansion evaluated node by node: the same bits, on every
// instruction set that this machine has, with tails, and with lanes that take the rare path beside lanes that do not.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "codegen/llvm/compile.h"
#include "codegen/math/expand.h"
#include "codegen/object_loader.h"
#include "ir/eval_expr.h"

namespace thixo::codegen {
namespace {

constexpr ExprOp kOps[] = {ExprOp::Exp, ExprOp::Expm1, ExprOp::Log, ExprOp::Log1p,   ExprOp::Sin,
                           ExprOp::Cos, ExprOp::Tanh,  ExprOp::Erf, ExprOp::Sigmoid, ExprOp::Rsqrt};

/// z[i] = f(x[i], y[i])
Kernel pointwise(const std::string& name, const std::function<Expr(Expr, Expr)>& f, DType t) {
  Kernel k;
  k.name = name;
  k.vector_par = true;
  k.buffers = {{"x", t, BufferKind::In, {}}, {"y", t, BufferKind::In, {}}, {"z", t, BufferKind::Out, {}}};
  k.body = {make_store(2, axis(0), f(load(0, t, axis(0)), load(1, t, axis(0))))};
  return k;
}

std::vector<Kernel> function_kernels(DType t) {
  std::vector<Kernel> kernels;
  for (ExprOp op : kOps) kernels.push_back(pointwise(expr_op_name(op), [op](Expr x, Expr) { return unary(op, x); }, t));
  kernels.push_back(pointwise("pow_of", [](Expr x, Expr y) { return pow(x, y); }, t));
  kernels.push_back(pointwise("mod_of", [](Expr x, Expr y) { return mod(x, y); }, t));
  kernels.push_back(pointwise("both", [](Expr x, Expr y) { return sin(x * cos(y)) + cos(y); }, t));
  return kernels;
}

template <class T> std::vector<T> numbers(size_t n, uint64_t seed) {
  std::mt19937_64 rng(seed);
  const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1, -1, 1e-40, 1e30, -1e10, 88.7, -104, 0.5};
  std::vector<T> v(n);
  for (size_t i = 0; i < n; ++i) {
    double u = static_cast<double>(rng() >> 11) * 0x1p-52 - 1;
    switch (i / 64 % 4) {  // runs of 64, so that some blocks of 16 take no rare path and some mix
      case 0: v[i] = static_cast<T>(u * 4); break;
      case 1: v[i] = static_cast<T>(u * 200); break;
      case 2: v[i] = static_cast<T>(rng() % 5 ? u : u * 1e20); break;
      default: v[i] = static_cast<T>(special[rng() % std::size(special)]);
    }
  }
  return v;
}

template <class T> void check(std::string_view isa, bool deterministic) {
  DType t = dtype_of<T>;
  TargetSpec target = target_for(isa);
  target.deterministic = deterministic;
  bool fused = !deterministic && isa != "x86-64-v2";
  std::vector<Kernel> kernels = function_kernels(t);
  LoadedObject object(compile_object(kernels, target));
  std::vector<T> x = numbers<T>(1000, 1), y = numbers<T>(1000, 2), z(1000);
  for (const Kernel& k : kernels) {
    void* buffers[] = {x.data(), y.data(), z.data()};
    KernelArgs args{buffers, nullptr, nullptr};
    KernelFn f = object.find(k.name);
    ASSERT_NE(f, nullptr);
    f(&args, 0, 1000);
    Evaluator exact(expand_math(k.body[0].value, {fused}));
    for (size_t i = 0; i < x.size(); ++i) {
      ExprValue want = exact.eval_exact({[&](const ExprNode& n, std::span<const int64_t>) {
        return n.op == ExprOp::Axis ? ExprValue{.i = static_cast<int64_t>(i)} : ExprValue{.f = n.i == 0 ? x[i] : y[i]};
      }});
      if (std::isnan(want.f) && std::isnan(z[i])) continue;
      ASSERT_EQ(std::bit_cast<uint64_t>(static_cast<double>(z[i])), std::bit_cast<uint64_t>(want.f))
          << k.name << " " << dtype_name(t) << " " << isa << " at " << i << ": " << x[i] << ", " << y[i];
    }
  }
}

TEST(Functions, CompiledAsEvaluated) {
  for (std::string_view isa : isas()) {
    if (!host_runs(isa)) continue;
    for (bool deterministic : {false, true}) {
      check<float>(isa, deterministic);
      check<double>(isa, deterministic);
    }
  }
}

TEST(Functions, RarePathIsABranch) {
  Kernel k = pointwise("sine", [](Expr x, Expr) { return sin(x); }, DType::F32);
  std::string code = compile_listing(std::span(&k, 1), target_for("avx2"), Listing::OptimizedIr);
  // Large arguments are reduced in f64, and nothing else is: there is none of it before the branch around it.
  size_t head = code.find("load <16 x float>"), branch = code.find("br i1 %", head);
  ASSERT_NE(branch, code.npos) << code;
  EXPECT_EQ(code.substr(head, branch - head).find("double"), code.npos);
  EXPECT_NE(code.find("<16 x double>", branch), code.npos);
}

}  // namespace
}  // namespace thixo::codegen
