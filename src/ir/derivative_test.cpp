// The form of derivatives. Their values are tested in backend/reference, against differences in long double.
#include "ir/derivative.h"

#include <gtest/gtest.h>

#include <cmath>

#include "thixo/error.h"

namespace thixo {
namespace {

const Expr x = input(0, DType::F32), y = input(1, DType::F32), z = input(2, DType::C64);

bool contains(Expr e, Expr part) {
  bool found = false;
  visit(e, [&](Expr n) { found = found || n == part; });
  return found;
}

int count(Expr e, ExprOp op) {
  int n = 0;
  visit(e, [&](Expr m) { n += m->op == op; });
  return n;
}

TEST(Derivative, UsesTheOutputWhereThatIsCheaper) {
  EXPECT_EQ(derivative(exp(x), x), exp(x));
  EXPECT_EQ(derivative(tanh(x), x), 1.0 - tanh(x) * tanh(x));
  EXPECT_EQ(derivative(sigmoid(x), x), sigmoid(x) * (1.0 - sigmoid(x)));
  EXPECT_EQ(derivative(sqrt(x), x), 0.5 / sqrt(x));
  EXPECT_EQ(derivative(rsqrt(x), x), rsqrt(x) * rsqrt(x) * rsqrt(x) * -0.5);
}

TEST(Derivative, LeavesNoTermsOfZero) {
  EXPECT_EQ(derivative(x + y, x), constant(1.0, DType::F32));
  EXPECT_EQ(derivative(x * y, x), y);
  EXPECT_EQ(derivative(y - x, x), constant(-1.0, DType::F32));
  EXPECT_EQ(derivative(x / y, x), 1.0 / y);
  EXPECT_EQ(derivative(exp(y), x), constant(0.0, DType::F32));
  EXPECT_EQ(derivative(fma(x, y, x), x), y + 1.0);
  EXPECT_EQ(derivative(pow(x, 2.0), x), x * 2.0);
  EXPECT_EQ(derivative(cast(cast(x, DType::I32), DType::F32), x), constant(0.0, DType::F32));
}

TEST(Derivative, PiecewiseAsPyTorch) {
  Expr relu = select(x < 0.0, constant(0.0, DType::F32), x);
  EXPECT_EQ(derivative(relu, x), select(x < 0.0, constant(0.0, DType::F32), constant(1.0, DType::F32)));
  auto at = [](Expr e, double v, double w = 0) {
    Expr r = substitute(e, [&](Expr m) {
      return m == x ? constant(v, DType::F32) : m == y ? constant(w, DType::F32) : Expr();
    });
    return r->f;
  };
  Expr dabs = derivative(abs(x), x);
  EXPECT_EQ(at(dabs, -2), -1);
  EXPECT_EQ(at(dabs, 0), 0);
  EXPECT_EQ(at(dabs, 3), 1);
  Expr dmax = derivative(max(x, y), x), dmin = derivative(min(x, y), x);
  EXPECT_EQ(at(dmax, 1, 0), 1);
  EXPECT_EQ(at(dmax, 0, 0), 0.5);
  EXPECT_EQ(at(dmin, 1, 0), 0);
  EXPECT_EQ(at(dmin, 0, 0), 0.5);
  EXPECT_EQ(at(derivative(unary(ExprOp::Floor, x), x), 1.5), 0);
  Expr dsign = derivative(binary(ExprOp::CopySign, x, y), x);
  EXPECT_EQ(at(dsign, -2, 3), -1);
  EXPECT_EQ(at(dsign, -2, -3), 1);
  EXPECT_EQ(at(dsign, 0, -3), 0);
}

TEST(Derivative, PowHasPyTorchsSpecialCases) {
  Expr p = pow(x, y), dx = derivative(p, x), dy = derivative(p, y);
  EXPECT_EQ(dx->op, ExprOp::Select);
  EXPECT_TRUE(contains(dy, p)) << expr_str(dy);
  Expr at_zero = substitute(dx, [](Expr m) { return m == y ? constant(0.0, DType::F32) : Expr(); });
  EXPECT_EQ(at_zero, constant(0.0, DType::F32));
  Expr base_zero = substitute(dy, [](Expr m) {
    return m == x ? constant(0.0, DType::F32) : m == y ? constant(2.0, DType::F32) : Expr();
  });
  EXPECT_EQ(base_zero, constant(0.0, DType::F32));
}

TEST(Derivative, StaysSmall) {
  Expr gelu = x * (0.5 * (1.0 + erf(x * 0.7071067811865476)));
  Expr d = derivative(gelu, x);
  EXPECT_EQ(count(d, ExprOp::Erf), 1);
  EXPECT_EQ(count(d, ExprOp::Exp), 1);
  EXPECT_LE(count(d, ExprOp::Mul), 8) << expr_str(d);
  Expr silu = x * sigmoid(x), third = derivative(derivative(derivative(silu, x), x), x);
  EXPECT_EQ(count(third, ExprOp::Sigmoid), 1);
}

TEST(Derivative, OfLoads) {
  Expr a = at(0, DType::F32, {axis(0)});
  EXPECT_EQ(derivative(a * a, a), a + a);
  Expr guarded = at_if(axis(0) < 3.0, 1, DType::F32, {axis(0)}, a * 2.0);
  EXPECT_EQ(derivative(guarded, a), select(axis(0) < 3.0, constant(0.0, DType::F32), constant(2.0, DType::F32)));
}

TEST(Derivative, OfAConjugate) {
  const Expr zero = constant(0.0, DType::C64), one = constant(1.0, DType::C64);
  EXPECT_EQ(derivative(conj(z), z), zero);
  EXPECT_EQ(conjugate_derivative(conj(z), z), one);
  EXPECT_EQ(conjugate_derivative(exp(z), z), zero);
  EXPECT_EQ(conjugate_derivative(z * conj(z), z), z);
  EXPECT_EQ(derivative(z * conj(z), z), conj(z));
  EXPECT_EQ(conjugate_derivative(exp(conj(z)), z), exp(conj(z)));
  const Expr half = cast(abs(z), DType::C64) * 2.0;  // |z|^2 = z conj(z)
  EXPECT_EQ(derivative(abs(z), z), select(eq(z, zero), zero, conj(z) / half));
  EXPECT_EQ(conjugate_derivative(abs(z), z), select(eq(z, zero), zero, z / half));
}

TEST(Derivative, ComplexFunctions) {
  EXPECT_EQ(derivative(exp(z), z), exp(z));
  EXPECT_EQ(derivative(z * z, z), z + z);
  EXPECT_THROW(derivative(bitcast(x, DType::I32), input(0, DType::I32)), Error);
  EXPECT_THROW(derivative(cast(bitcast(x, DType::F32), DType::F32), axis(0)), Error);
}

}  // namespace
}  // namespace thixo
