// The polynomials, evaluated exactly as they are generated, against libm in long double: largest error in ulps over
// random bit patterns (every magnitude, denormals, inf, nan) and over ranges where a function is delicate.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "codegen/math/expand.h"
#include "ir/eval_expr.h"

namespace thixo::codegen {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// THIXO_MATH_POINTS asks for more than the 120,000 points a function that every run takes.
size_t points() {
  const char* more = std::getenv("THIXO_MATH_POINTS");
  return more ? static_cast<size_t>(std::atoll(more)) : 120000;
}

struct Range {
  double low, high;
  bool logarithmic = false;  // magnitudes spread evenly, both signs
};

class Points {
 public:
  explicit Points(DType t) : t_(t), rng_(12345) {}

  double any_bits() {
    if (t_ == DType::F32) return std::bit_cast<float>(static_cast<uint32_t>(rng_()));
    return std::bit_cast<double>(rng_());
  }
  double in(const Range& r) {
    double u = static_cast<double>(rng_() >> 11) * 0x1p-53;
    double v = r.low + u * (r.high - r.low);
    if (r.logarithmic) v = std::exp2(std::log2(r.low) + u * (std::log2(r.high) - std::log2(r.low)));
    if (r.logarithmic && (rng_() & 1)) v = -v;
    return round_to(v, t_);
  }

 private:
  DType t_;
  std::mt19937_64 rng_;
};

const double kSpecial[] = {0.0,
                           -0.0,
                           1,
                           -1,
                           0.5,
                           -0.5,
                           2,
                           -2,
                           3,
                           -3,
                           kInf,
                           -kInf,
                           NAN,
                           1e-45,
                           -1e-45,
                           5e-324,
                           1e-310,
                           1.1754943508222875e-38,
                           2.2250738585072014e-308,
                           3.4028234663852886e38,
                           1.7976931348623157e308,
                           88.72283,
                           88.72284,
                           89,
                           -87.3,
                           -103.97,
                           -104,
                           709.78,
                           709.79,
                           -708.4,
                           -745.13,
                           -745.14,
                           16777216,
                           1e22};

/// |got - want| in units of the last place that `want` has in type t; 0 where both are nan or the same infinity.
double ulps(double got, long double want, DType t) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : kInf;
  double nearest = t == DType::F32 ? static_cast<double>(static_cast<float>(want)) : static_cast<double>(want);
  if (got == nearest) return std::signbit(got) == std::signbit(nearest) || want != 0 ? 0.5 * (got != want) : kInf;
  if (std::isinf(nearest) || std::isinf(got)) {  // one of them rounded to the largest number: one place away
    long double largest = t == DType::F32 ? 3.4028234663852886e38L : 1.7976931348623157e308L;
    return std::fabs(std::isinf(got) ? want : static_cast<long double>(got)) >=
                   largest * (1 - 1e-7L * (t == DType::F32))
               ? 1
               : kInf;
  }
  int exponent;
  std::frexp(want, &exponent);
  int digits = t == DType::F32 ? 24 : 53, lowest = t == DType::F32 ? -149 : -1074;
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want) /
                             std::exp2l(std::max(exponent - digits, lowest)));
}

struct Worst {
  double ulps = 0, x = 0, y = 0;
  void see(double u, double a, double b = 0) {
    if (u > ulps || std::isnan(u)) *this = {u, a, b};
  }
};

using Reference = long double (*)(long double);

Worst measure(Expr e, Reference f, DType t, bool fma, std::span<const Range> ranges) {
  Evaluator run(expand_math(e, {fma}));
  double x = 0;
  ExactContext context{[&](const ExprNode&, std::span<const int64_t>) { return ExprValue{.f = x}; }};
  Worst worst;
  auto check = [&](double v) {
    x = v;
    worst.see(ulps(run.eval_exact(context).f, f(v), t), v);
  };
  for (double v : kSpecial) check(round_to(v, t));
  Points p(t);
  size_t each = points() / (ranges.size() + 1) / (fma ? 1 : 3);
  for (size_t i = 0; i < each; ++i) {
    check(p.any_bits());
    for (const Range& r : ranges) check(p.in(r));
  }
  return worst;
}

struct Case {
  ExprOp op;
  Reference f;
  double f32, f64;  // allowed ulps with fma; 1 more without
  std::vector<Range> ranges;
};

long double sigmoid_l(long double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
long double rsqrt_l(long double x) { return 1 / std::sqrt(x); }

class MathTest : public testing::TestWithParam<Case> {};

TEST_P(MathTest, ErrorInUlps) {
  const Case& c = GetParam();
  for (DType t : {DType::F32, DType::F64}) {
    double limit = t == DType::F32 ? c.f32 : c.f64;
    for (bool fma : {true, false}) {
      Worst w = measure(unary(c.op, input(0, t)), c.f, t, fma, c.ranges);
      EXPECT_LE(w.ulps, limit + !fma) << dtype_name(t) << " at " << std::hexfloat << w.x << std::defaultfloat << " ("
                                      << w.x << ")";
      if (std::getenv("THIXO_MATH_POINTS")) {
        printf("%-8s %s %-6s %.3f ulps at %.9g\n", expr_op_name(c.op), std::string(dtype_short_name(t)).c_str(),
               fma ? "fma" : "no fma", w.ulps, w.x);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Functions, MathTest,
    testing::Values(
        Case{ExprOp::Exp,
             [](long double x) { return std::exp(x); },
             1,
             1,
             {{-1, 1}, {-104, 89}, {-746, 710}, {1e-12, 1, true}}},
        Case{ExprOp::Expm1,
             [](long double x) { return std::expm1(x); },
             2,
             2,
             {{-1, 1}, {-30, 89}, {-50, 710}, {1e-30, 1, true}}},
        Case{ExprOp::Log,
             [](long double x) { return std::log(x); },
             1,
             1,
             {{0.5, 2}, {0.99, 1.01}, {0, 100}, {1e-44, 1e-37, true}, {1e-320, 1e-300, true}}},
        Case{ExprOp::Log1p,
             [](long double x) { return std::log1p(x); },
             1.5,
             1.5,
             {{-1, 2}, {-0.5, 0.5}, {-0.01, 0.01}, {0, 1000}, {1e-30, 1, true}, {1, 1e30, true}}},
        Case{ExprOp::Sin,
             [](long double x) { return std::sin(x); },
             1.5,
             1,
             {{-1, 1}, {-10, 10}, {-7000, 7000}, {-2e6, 2e6}, {1e-10, 1e38, true}}},
        Case{ExprOp::Cos,
             [](long double x) { return std::cos(x); },
             1.5,
             1,
             {{-1, 1}, {-10, 10}, {-7000, 7000}, {-2e6, 2e6}, {1e-10, 1e38, true}}},
        Case{ExprOp::Tanh,
             [](long double x) { return std::tanh(x); },
             1.5,
             1.5,
             {{-1, 1}, {-0.1, 0.1}, {-10, 10}, {-25, 25}, {1e-30, 1, true}}},
        Case{ExprOp::Erf,
             [](long double x) { return std::erf(x); },
             1.75,
             1.5,
             {{-1, 1}, {-4, 4}, {0.8, 1.1}, {-6.5, 6.5}, {1e-30, 1, true}}},
        Case{ExprOp::Sigmoid, sigmoid_l, 1.75, 1.75, {{-1, 1}, {-20, 20}, {-105, 20}, {-750, 40}, {1e-30, 1, true}}},
        Case{ExprOp::Rsqrt, rsqrt_l, 1.5, 1.5, {{0, 4}, {0, 1e6}}}),
    [](const auto& test) { return std::string(expr_op_name(test.param.op)); });

/// Arguments nearest to multiples of pi/2: 16367173 * 2^72 (f32) and 6381956970095103 * 2^797 (f64) are the nearest of
/// all.
TEST(Math, SinCosNearMultiplesOfHalfPi) {
  for (DType t : {DType::F32, DType::F64}) {
    for (ExprOp op : {ExprOp::Sin, ExprOp::Cos}) {
      for (bool fma : {true, false}) {
        Evaluator run(expand_math(unary(op, input(0, t)), {fma}));
        Worst worst;
        auto check = [&](double v) {
          v = round_to(v, t);
          double got = run.eval_exact({[&](const ExprNode&, std::span<const int64_t>) { return ExprValue{.f = v}; }}).f;
          worst.see(
              ulps(got,
                   op == ExprOp::Sin ? std::sin(static_cast<long double>(v)) : std::cos(static_cast<long double>(v)),
                   t),
              v);
        };
        check(std::ldexp(16367173.0, 72));
        if (t == DType::F64) check(std::ldexp(6381956970095103.0, 797));
        std::mt19937_64 rng(7);
        for (int i = 0; i < 4000; ++i) {
          double k = std::floor(std::exp2(static_cast<double>(rng() % 4000) / 100));
          for (double step : {0.0, 1.0, -1.0}) {
            double v = k * 1.5707963267948966;
            check(t == DType::F32 ? v * (1 + step * 0x1p-24) : v * (1 + step * 0x1p-52));
          }
        }
        EXPECT_LE(worst.ulps, 1.5 + !fma) << expr_op_name(op) << " " << dtype_name(t) << " at " << worst.x;
      }
    }
  }
}

Worst measure_pow(DType t, bool fma) {
  Evaluator run(expand_math(pow(input(0, t), input(1, t)), {fma}));
  Worst worst;
  auto check = [&](double x, double y) {
    x = round_to(x, t), y = round_to(y, t);
    double got =
        run.eval_exact({[&](const ExprNode& n, std::span<const int64_t>) { return ExprValue{.f = n.i ? y : x}; }}).f;
    worst.see(ulps(got, std::pow(static_cast<long double>(x), static_cast<long double>(y)), t), x, y);
  };
  for (double x : kSpecial) {
    for (double y : kSpecial) check(x, y);
  }
  Points p(t);
  for (size_t i = 0; i < points() / 6; ++i) {
    check(p.any_bits(), p.any_bits());
    check(p.in({0, 10}), p.in({-10, 10}));
    check(p.in({0.9, 1.1}), p.in({-1000, 1000}));
    check(p.in({1e-30, 1e30, true}), p.in({1e-3, 30, true}));
    check(std::fabs(p.any_bits()), p.in({1e-4, 10, true}));
    check(p.in({-20, 20}), std::floor(p.in({-40, 40})));
    double near = 1 + p.in({1e-16, 1e-2, true});
    check(near, p.in({1, 1e4, true}) / (near - 1 == 0 ? 1 : near - 1) * 0.01);
  }
  return worst;
}

TEST(Math, PowErrorInUlps) {
  for (DType t : {DType::F32, DType::F64}) {
    for (bool fma : {true, false}) {
      Worst w = measure_pow(t, fma);
      EXPECT_LE(w.ulps, t == DType::F32 && !fma ? 1.25 : 1.0) << dtype_name(t) << " of " << w.x << " to the " << w.y;
      if (std::getenv("THIXO_MATH_POINTS"))
        printf("pow %s %d %.3f at %.17g %.17g\n", std::string(dtype_name(t)).c_str(), fma, w.ulps, w.x, w.y);
    }
  }
}

}  // namespace
}  // namespace thixo::codegen
