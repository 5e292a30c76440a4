#include "ir/eval_expr.h"

#include <gtest/gtest.h>

#include <cmath>

#include "thixo/error.h"

namespace thixo {
namespace {

const Expr x = input(0, DType::F64), y = input(1, DType::F64), z = input(2, DType::C128);
const Expr i = input(0, DType::I64), j = input(1, DType::I64);

LongComplex at(Expr e, std::vector<LongComplex> inputs) {
  EvalContext c{[&](const ExprNode& n, std::span<const int64_t>) { return inputs[static_cast<size_t>(n.i)]; }};
  return eval(e, c);
}
long double real_at(Expr e, std::vector<LongComplex> inputs) { return at(e, std::move(inputs)).real(); }

TEST(EvalExpr, FloatsInLongDouble) {
  EXPECT_EQ(real_at(exp(x), {1}), std::exp(1.0L));
  EXPECT_EQ(real_at((x + 1.0) - x, {0x1p60L}), 1);  // double would lose it
  EXPECT_EQ(real_at(sigmoid(x), {-400}), std::exp(-400.0L) / (1 + std::exp(-400.0L)));
  EXPECT_TRUE(std::isnan(real_at(min(x, y), {1, NAN})));
  EXPECT_EQ(real_at(mod(x, y), {-7.5, 2}), 0.5);
  EXPECT_EQ(real_at(floor_div(x, y), {-7.5, 2}), -4);
  EXPECT_EQ(real_at(select(x < y, x, y), {3, 2}), 2);
  EXPECT_EQ(real_at(unary(ExprOp::Round, x), {2.5}), 2);
}

TEST(EvalExpr, IntegersWrap) {
  EXPECT_EQ(real_at(i + j, {static_cast<long double>(INT64_MAX), 1}), static_cast<long double>(INT64_MIN));
  EXPECT_EQ(real_at(cast(i, DType::U8), {-1}), 255);
  EXPECT_EQ(real_at(cast(i, DType::U64), {-1}), 18446744073709551615.0L);
  EXPECT_EQ(real_at(cast(x, DType::I32), {-2.7L}), -2);
  EXPECT_EQ(real_at(cast(cast(x, DType::I8), DType::F64), {300}), 44);
  EXPECT_EQ(real_at(floor_div(i, j), {-7, 2}), -4);
  EXPECT_EQ(real_at(binary(ExprOp::Div, i, j), {5, 0}), 0);
}

TEST(EvalExpr, ComplexWithLibm) {
  LongComplex v(0.5L, -2.0L);
  EXPECT_LT(std::abs(at(exp(z), {0, 0, v}) - std::exp(v)), 1e-18L);
  EXPECT_EQ(at(z * conj(z), {0, 0, v}).imag(), 0);
  EXPECT_EQ(real_at(abs(z), {0, 0, v}), std::abs(v));
}

TEST(EvalExpr, GuardedLoadsAreNotAskedFor) {
  Expr e = at_if(axis(0) < 3.0, 0, DType::F64, {axis(0) * 2.0}, constant(-1.0, DType::F64));
  for (int64_t k : {0, 2, 3}) {
    EvalContext c{[&](const ExprNode& n, std::span<const int64_t> index) -> LongComplex {
      if (n.op == ExprOp::Axis) return static_cast<long double>(k);
      EXPECT_LT(index[0], 6);
      return 10.0L + static_cast<long double>(index[0]);
    }};
    EXPECT_EQ(eval(e, c).real(), k < 3 ? 10 + 2 * k : -1);
  }
}

TEST(EvalExpr, ExactRoundsEveryNode) {
  Expr f = input(0, DType::F32);
  Evaluator run((f + 1.0) - f);
  auto at_value = [&](double v) {
    return run.eval_exact({[&](const ExprNode&, std::span<const int64_t>) { return ExprValue{.f = v}; }}).f;
  };
  EXPECT_EQ(at_value(0x1p30), 0);
  EXPECT_EQ(at_value(2), 1);
  Evaluator transcendental(exp(f));
  EXPECT_THROW(transcendental.eval_exact({[](const ExprNode&, std::span<const int64_t>) { return ExprValue{}; }}),
               Error);
}

// Every rule of derivative() against central differences of the definition.
TEST(EvalExpr, DerivativesAgreeWithDifferences) {
  const long double h = 1e-5L;
  auto op = [](ExprOp o) { return unary(o, x); };
  const Expr functions[] = {op(ExprOp::Exp),
                            op(ExprOp::Expm1),
                            op(ExprOp::Log),
                            op(ExprOp::Log1p),
                            op(ExprOp::Sin),
                            op(ExprOp::Cos),
                            op(ExprOp::Tanh),
                            op(ExprOp::Erf),
                            op(ExprOp::Sigmoid),
                            op(ExprOp::Sqrt),
                            op(ExprOp::Rsqrt),
                            op(ExprOp::Abs),
                            op(ExprOp::Neg),
                            op(ExprOp::Floor),
                            x * y,
                            x / y,
                            y / x,
                            x * x / (y + x),
                            pow(x, y),
                            pow(y, x),
                            pow(x, 3.0),
                            pow(x, -0.5),
                            min(x, y),
                            max(x * 2.0, y),
                            fma(x, x, y * x),
                            mod(x, y),
                            mod(y, x),
                            binary(ExprOp::CopySign, -x, y),
                            select(x < y, x * x, exp(x)),
                            exp(tanh(x) * log(x)) / (1.0 + sigmoid(x * x)),
                            x * (0.5 * (1.0 + erf(x * 0.7071067811865476)))};
  for (Expr f : functions) {
    Expr d = derivative(f, x), d2 = derivative(d, x);
    for (long double v : {0.3L, 0.77L, 1.4L, 2.2L}) {
      auto value = [&](Expr e, long double u) { return real_at(e, {u, 0.93L}); };
      long double want = (value(f, v + h) - value(f, v - h)) / (2 * h), got = value(d, v);
      EXPECT_NEAR(double(got), double(want), 1e-7 * (1 + std::fabs(double(want))))
          << expr_str(f) << " at " << double(v);
      long double want2 = (value(d, v + h) - value(d, v - h)) / (2 * h), got2 = value(d2, v);
      EXPECT_NEAR(double(got2), double(want2), 1e-7 * (1 + std::fabs(double(want2))))
          << expr_str(d) << " at " << double(v);
    }
  }
}

TEST(EvalExpr, ComplexDerivativesAgreeWithDifferences) {
  const long double h = 1e-5L;
  const LongComplex v(0.7L, -0.4L);
  for (ExprOp o : {ExprOp::Exp, ExprOp::Log, ExprOp::Sqrt, ExprOp::Sin, ExprOp::Cos, ExprOp::Tanh, ExprOp::Sigmoid,
                   ExprOp::Rsqrt}) {
    Expr f = unary(o, z) * z;
    LongComplex want = (at(f, {0, 0, v + h}) - at(f, {0, 0, v - h})) / (2 * h);
    EXPECT_LT(std::abs(at(derivative(f, z), {0, 0, v}) - want), 1e-8) << expr_str(f);
  }
}

// No nan where the true derivative is a plain number.
TEST(EvalExpr, DerivativesAtExtremes) {
  Expr silu = x * sigmoid(x), gelu = x * (0.5 * (1.0 + erf(x * 0.7071067811865476)));
  for (Expr f : {silu, gelu}) {
    EXPECT_EQ(double(real_at(derivative(f, x), {400})), 1);
    EXPECT_NEAR(double(real_at(derivative(f, x), {-400})), 0, 1e-100);
  }
  Expr p = pow(x, y);
  EXPECT_EQ(real_at(derivative(p, x), {0, 0}), 0);
  EXPECT_EQ(real_at(derivative(p, y), {0, 2}), 0);
  EXPECT_EQ(real_at(derivative(p, y), {0, 0}), 0);
  EXPECT_EQ(real_at(derivative(sqrt(x), x), {0}), HUGE_VALL);
}

}  // namespace
}  // namespace thixo
