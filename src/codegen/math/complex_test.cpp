// Complex functions in real parts against std::complex<long double>.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "codegen/math/expand.h"
#include "ir/eval_expr.h"

namespace thixo::codegen {
namespace {

using Z = std::complex<double>;
constexpr double kInf = std::numeric_limits<double>::infinity();

class ComplexFunction {
 public:
  ComplexFunction(ExprOp op, DType t)
      : ComplexFunction(op == ExprOp::Pow || op <= ExprOp::Div ? binary(op, input(0, t), input(1, t))
                                                               : unary(op, input(0, t))) {}
  explicit ComplexFunction(Expr e)
      : definition_(e), re_(expand(complex_parts(e).first)), im_(expand(complex_parts(e).second)) {}

  Z got(Z a, Z b = 0) {
    ExactContext c{[&](const ExprNode& n, std::span<const int64_t>) {
      Z v = n.i ? b : a;
      return ExprValue{.f = v.real(), .f2 = v.imag()};
    }};
    return {re_.eval_exact(c).f, im_.eval_exact(c).f};
  }
  LongComplex want(Z a, Z b = 0) {
    return definition_.eval({[&](const ExprNode& n, std::span<const int64_t>) { return LongComplex(n.i ? b : a); }});
  }

 private:
  static Expr expand(Expr e) { return expand_math(e); }
  Evaluator definition_, re_, im_;
};

double error_of(Z got, LongComplex want, DType t) {
  double unit = t == DType::C64 ? 0x1p-24 : 0x1p-53, smallest = t == DType::C64 ? 0x1p-149 : 0x1p-1074;
  long double size = std::abs(want);
  long double largest = t == DType::C64 ? 3.4e38L : 1.79e308L;
  if (!(size < largest) || size * unit < smallest) return 0;  // overflow and denormals are tested apart
  return static_cast<double>(std::abs(LongComplex(got) - want) / (2 * unit * size));
}

struct Case {
  ExprOp op;
  double scale;     // parts up to this
  double c64, c128;  // allowed error in ulps of the result's magnitude
};

class ComplexTest : public testing::TestWithParam<Case> {};

TEST_P(ComplexTest, Error) {
  const Case& c = GetParam();
  for (DType t : {DType::C64, DType::C128}) {
    ComplexFunction f(c.op, t);
    std::mt19937_64 rng(3);
    double worst = 0;
    Z at, at2;
    for (int i = 0; i < 20000; ++i) {
      auto part = [&] {
        double u = static_cast<double>(rng() >> 11) * 0x1p-52 - 1,
               v = i % 3 == 0 ? u * c.scale : std::copysign(std::exp2(-30 * std::fabs(u)), u);
        if (i % 17 == 0 && rng() % 2) v = 0;
        return round_to(v, real_type(t));
      };
      Z a(part(), part()), b(part(), part());
      double e = error_of(f.got(a, b), f.want(a, b), t);
      if (!(e <= worst)) worst = e, at = a, at2 = b;
    }
    if (std::getenv("THIXO_MATH_POINTS"))
      printf("%s %s %.2f at %g %g %g %g\n", expr_op_name(c.op), std::string(dtype_name(t)).c_str(), worst, at.real(),
             at.imag(), at2.real(), at2.imag());
    EXPECT_LE(worst, t == DType::C64 ? c.c64 : c.c128) << dtype_name(t) << " at " << at << ", " << at2;
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, ComplexTest,
                         testing::Values(Case{ExprOp::Add, 1e10, 1, 1}, Case{ExprOp::Mul, 1e10, 2, 2},
                                         Case{ExprOp::Div, 1e10, 4, 4}, Case{ExprOp::Abs, 1e10, 1, 2},
                                         Case{ExprOp::Exp, 30, 1, 4}, Case{ExprOp::Log, 1e10, 1, 4},
                                         Case{ExprOp::Sqrt, 1e10, 1, 4}, Case{ExprOp::Sin, 30, 1, 6},
                                         Case{ExprOp::Cos, 30, 1, 6}, Case{ExprOp::Tanh, 30, 1, 8},
                                         Case{ExprOp::Sigmoid, 30, 1, 8}, Case{ExprOp::Rsqrt, 1e10, 1, 8},
                                         Case{ExprOp::Pow, 8, 1, 100}),
                         [](const auto& test) { return std::string(expr_op_name(test.param.op)); });

TEST(Complex, DoesNotOverflowOnTheWay) {
  ComplexFunction div(ExprOp::Div, DType::C128), abs_of(ExprOp::Abs, DType::C128), root(ExprOp::Sqrt, DType::C128),
      e(ExprOp::Exp, DType::C128);
  EXPECT_EQ(div.got({1e300, 1e300}, {1e300, 1e300}), Z(1, 0));
  EXPECT_NEAR(abs_of.got({3e300, 4e300}).real() / 1e300, 5, 1e-15);
  EXPECT_NEAR(abs_of.got({3e-320, 4e-320}).real() / 1e-320, 5, 1e-3);
  EXPECT_NEAR(
      root.got({1.7e308, 1.7e308}).real() / static_cast<double>(std::sqrt(LongComplex(1.7e308, 1.7e308)).real()), 1,
      1e-15);
  EXPECT_NEAR(root.got({-1e-320, 0}).imag() / std::sqrt(1e-320), 1, 1e-15);
  Z near_the_end = e.got({712, 1.5707});
  EXPECT_NEAR(near_the_end.real() / static_cast<double>(std::exp(712.0L) * std::cos(1.5707L)), 1, 1e-12);
  ComplexFunction tanh_of(ExprOp::Tanh, DType::C64);
  EXPECT_EQ(tanh_of.got({500, 1}).real(), 1);
}

TEST(Complex, SpecialValues) {
  ComplexFunction e(ExprOp::Exp, DType::C64), l(ExprOp::Log, DType::C64), root(ExprOp::Sqrt, DType::C64),
      a(ExprOp::Abs, DType::C64), p(ExprOp::Pow, DType::C64), s(ExprOp::Sigmoid, DType::C64);
  EXPECT_EQ(e.got({-kInf, NAN}), Z(0, 0));
  EXPECT_EQ(e.got({kInf, 0}), Z(kInf, 0));
  EXPECT_EQ(l.got({0, 0}).real(), -kInf);
  EXPECT_EQ(l.got({-1, 0.0}).imag(), round_to(M_PI, DType::F32));
  EXPECT_EQ(l.got({-1, -0.0}).imag(), -round_to(M_PI, DType::F32));
  EXPECT_EQ(l.got({kInf, NAN}).real(), kInf);
  EXPECT_EQ(l.got({-kInf, kInf}).imag(), round_to(3 * M_PI / 4, DType::F32));
  EXPECT_EQ(root.got({-4, 0.0}), Z(0, 2));
  EXPECT_EQ(root.got({-4, -0.0}), Z(0, -2));
  EXPECT_EQ(root.got({NAN, kInf}).real(), kInf);
  EXPECT_EQ(root.got({-kInf, 1}), Z(0, kInf));
  EXPECT_EQ(a.got({kInf, NAN}).real(), kInf);
  EXPECT_EQ(p.got({0, 0}, {0, 0}), Z(1, 0));
  EXPECT_EQ(p.got({0, 0}, {2, 1}), Z(0, 0));
  EXPECT_EQ(s.got({1000, 1}), Z(1, 0));
  EXPECT_EQ(s.got({-1000, 1}), Z(0, 0));
}

TEST(Complex, OnlyLeavesStayComplex) {
  Expr z = load(0, DType::C64, axis(0)), w = load(1, DType::C64, axis(0));
  Expr e = expand_complex(select(eq(z, w), exp(z) * w, conj(cast(cast(z, DType::C128), DType::C64))));
  EXPECT_EQ(e->op, ExprOp::Complex);
  visit(e, [&](Expr n) {
    bool complex_result = is_complex(n.dtype()) && n != e;
    EXPECT_TRUE(!complex_result || n->op == ExprOp::Load) << expr_str(n);
    for (Expr a : n->args) {
      EXPECT_TRUE(!is_complex(a.dtype()) || n->op == ExprOp::Real || n->op == ExprOp::Imag) << expr_str(n);
    }
  });
  EXPECT_EQ(expand_complex(z), z);
  EXPECT_EQ(cast(z, DType::Bool).dtype(), DType::Bool);
  EXPECT_EQ(expand_complex(abs(z)).dtype(), DType::F32);
}

}  // namespace
}  // namespace thixo::codegen
