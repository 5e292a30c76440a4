// Mod and FloorDiv of floats, and what an expansion consists of.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "codegen/math/expand.h"
#include "ir/eval_expr.h"

namespace thixo::codegen {
namespace {

class Remainder : public testing::TestWithParam<DType> {
 protected:
  double at(ExprOp op, double x, double y) {
    Evaluator& run = op == ExprOp::Mod ? mod_ : floor_div_;
    return run.eval_exact({[&](const ExprNode& n, std::span<const int64_t>) { return ExprValue{.f = n.i ? y : x}; }}).f;
  }
  Expr x_ = input(0, GetParam()), y_ = input(1, GetParam());
  Evaluator mod_{expand_math(mod(x_, y_), {false})}, floor_div_{expand_math(floor_div(x_, y_), {false})};
};

TEST_P(Remainder, IsPythons) {
  EXPECT_EQ(at(ExprOp::Mod, 7.5, 2), 1.5);
  EXPECT_EQ(at(ExprOp::Mod, -7.5, 2), 0.5);
  EXPECT_EQ(at(ExprOp::Mod, 7.5, -2), -0.5);
  EXPECT_EQ(at(ExprOp::FloorDiv, -7.5, 2), -4);
  EXPECT_EQ(at(ExprOp::FloorDiv, 7, 2), 3);
  EXPECT_EQ(at(ExprOp::Mod, 5, HUGE_VAL), 5);
  EXPECT_EQ(at(ExprOp::Mod, -5, HUGE_VAL), HUGE_VAL);
  EXPECT_EQ(at(ExprOp::FloorDiv, -5, HUGE_VAL), -1);
  EXPECT_TRUE(std::isnan(at(ExprOp::Mod, 1, 0)));
  EXPECT_TRUE(std::isnan(at(ExprOp::Mod, HUGE_VAL, 2)));
  EXPECT_EQ(at(ExprOp::FloorDiv, 1, 0), HUGE_VAL);
  EXPECT_TRUE(std::signbit(at(ExprOp::FloorDiv, -0.0, 2)));
}

TEST_P(Remainder, IsExact) {
  DType t = GetParam();
  std::mt19937_64 rng(5);
  for (int i = 0; i < 100000; ++i) {
    auto number = [&](int spread) {
      double v = std::ldexp(1 + static_cast<double>(rng() >> 12) * 0x1p-52,
                            static_cast<int>(rng() % static_cast<unsigned>(spread)) - spread / 2);
      return round_to(rng() & 1 ? v : -v, t);
    };
    double x = number(40), y = i % 4 == 0 ? round_to(static_cast<double>(1 + rng() % 100), t) : number(40);
    if (i % 5 == 0) x = round_to(y * std::floor(std::fabs(number(40))), t);  // near multiples
    long double r = std::fmod(static_cast<long double>(x), static_cast<long double>(y));
    bool opposite = r != 0 && (r < 0) != (y < 0);
    double want = round_to(round_to(static_cast<double>(r), t) + (opposite ? y : 0), t);
    ASSERT_EQ(at(ExprOp::Mod, x, y), want) << x << " mod " << y;
    long double q = (static_cast<long double>(x) - r) / y - (opposite ? 1 : 0);
    ASSERT_EQ(at(ExprOp::FloorDiv, x, y), round_to(static_cast<double>(std::round(q)), t)) << x << " // " << y;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Remainder, testing::Values(DType::F32, DType::F64),
                         [](const auto& test) { return std::string(dtype_name(test.param)); });

TEST(ExpandMath, LeavesBasicOperationsOnly) {
  for (DType t : {DType::F32, DType::F64}) {
    Expr x = input(0, t), y = input(1, t);
    Expr e = pow(x, y) + tanh(sin(x)) * erf(cos(y)) +
             unary(ExprOp::Log1p, exp(x)) / (sigmoid(y) + unary(ExprOp::Expm1, x)) + rsqrt(log(x)) + mod(x, y);
    for (bool fma : {true, false}) {
      visit(expand_math(e, {fma}), [&](Expr n) {
        bool transcendental = n->op >= ExprOp::Exp && n->op <= ExprOp::Rsqrt;
        EXPECT_FALSE(transcendental || (n->op == ExprOp::Fma && !fma)) << expr_op_name(n->op);
      });
    }
  }
  Expr i = input(0, DType::I64);
  EXPECT_EQ(expand_math(mod(i, i + 1.0)), mod(i, i + 1.0));
}

// What the cheap functions cost, in nodes: a change that makes them dearer should be meant.
TEST(ExpandMath, StaysCheap) {
  auto operations = [](Expr e) {
    int n = 0;
    visit(expand_math(e),
          [&](Expr m) { n += m->op != ExprOp::Const && m->op != ExprOp::Input && m->op != ExprOp::Bitcast; });
    return n;
  };
  Expr x = input(0, DType::F32);
  EXPECT_LE(operations(exp(x)), 20);
  EXPECT_LE(operations(log(x)), 32);
  EXPECT_LE(operations(sigmoid(x)), 30);
  EXPECT_LE(operations(tanh(x)), 30);
  EXPECT_LE(operations(erf(x)), 32);
}

}  // namespace
}  // namespace thixo::codegen
