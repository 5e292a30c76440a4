#include "thixo/dim.h"

#include <gtest/gtest.h>

#include <random>

#include "core/dim_hook.h"
#include "thixo/error.h"

namespace thixo {
namespace {

const Dim n = Dim::named("N"), m = Dim::named("M");

bool same(Dim a, Dim b) { return a.raw() == b.raw(); }

TEST(Dim, PlainNumbers) {
  EXPECT_EQ((Dim(7) / Dim(2)).value(), 3);
  EXPECT_EQ((Dim(-7) / Dim(2)).value(), -4);
  EXPECT_EQ((Dim(-7) % Dim(2)).value(), 1);
  EXPECT_EQ((Dim(7) % Dim(-2)).value(), -1);
  EXPECT_THROW(Dim(1) / Dim(0), Error);
  EXPECT_THROW(n % 0, Error);
  EXPECT_FALSE(Dim(3).is_symbolic());
}

TEST(Dim, AnyNumberIsPlain) {
  for (int64_t v : {INT64_MIN, INT64_MIN + 1, INT64_MIN / 2 - 1, INT64_MAX}) {
    EXPECT_FALSE(Dim(v).is_symbolic());
    EXPECT_EQ(Dim(v).value(), v);
  }
  EXPECT_EQ((Dim(INT64_MIN) + INT64_MAX).value(), -1);
  EXPECT_EQ((Dim(INT64_MIN) / 2).value(), INT64_MIN / 2);
  EXPECT_EQ((Dim(INT64_MIN) % 3).value(), 1);
  EXPECT_EQ((Dim(INT64_MIN) % -1).value(), 0);
}

TEST(Dim, HandlesAreNoNumbers) {
  ASSERT_TRUE(Dim::is_handle(n.raw()));
  EXPECT_THROW(Dim(n.raw()), Error);
  EXPECT_THROW(Dim(n.raw() - 1) + 1, Error);
  EXPECT_THROW(Dim(UINT64_MAX), Error);
}

TEST(Dim, ResultsThatDoNotFitAreErrors) {
  const Dim big = INT64_MAX, half = int64_t{1} << 32;
  EXPECT_THROW(big + 1, Error);
  EXPECT_THROW(Dim(INT64_MIN) - 1, Error);
  EXPECT_THROW(half * half, Error);
  EXPECT_THROW(Dim(INT64_MIN) / -1, Error);
  EXPECT_THROW(n * big * 2, Error);
  EXPECT_THROW(n * half * (m * half), Error);
  EXPECT_THROW(0 - (n * 2 + INT64_MIN), Error);
  EXPECT_THROW(numel_of({half, half}), Error);
  EXPECT_THROW(contiguous_strides({half, half, 1}), Error);
  EXPECT_EQ((big - 1 + 1).value(), INT64_MAX);
}

TEST(Dim, EqualExpressionsAreOneHandle) {
  EXPECT_TRUE(same(Dim::named("N"), n));
  EXPECT_TRUE(same(n + m, m + n));
  EXPECT_TRUE(same((n + m) * 2, n * 2 + m * 2));
  EXPECT_TRUE(same(n + 3 - 3, n));
  EXPECT_TRUE(same((n + m) - n, m));
  EXPECT_TRUE(same(n - n, Dim(0)));
  EXPECT_TRUE(same(n * 0, Dim(0)));
  EXPECT_TRUE(same(n * m / m, n));
  EXPECT_TRUE(same(n * m % n, Dim(0)));
  EXPECT_TRUE(same((n * 4 + 2) / 4, n));
  EXPECT_TRUE(same((n * 4 + 2) % 4, Dim(2)));
  EXPECT_TRUE(same(n * 4 / 8, n / 2));
  EXPECT_TRUE(same((n + 2 - 3) / 2 + 1, (n + 1) / 2));
}

TEST(Dim, Text) {
  EXPECT_EQ(n.str(), "N");
  EXPECT_EQ((n * 4 + m - 2).str(), "M + N*4 - 2");
  EXPECT_EQ(((n + 1) / 2 * 3).str(), "(N + 1)/2*3");
  EXPECT_EQ((n * m).str(), "M*N");
  EXPECT_EQ((0 - n).str(), "N*(-1)");
  EXPECT_EQ((n / (m + 1)).str(), "N/(M + 1)");
  EXPECT_EQ(shape_str({n, 3}), "[N, 3]");
}

int64_t resolve_for_test(Dim d) {
  if (!d.is_symbolic()) return d.value();
  const DimNode& node = dim_node(d);
  if (node.op == 'n') return node.name == "N" ? 7 : 3;
  Dim a = resolve_for_test(node.a), b = resolve_for_test(node.b);
  switch (node.op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return a / b;
    default: return a % b;
  }
}

TEST(Dim, ResolverGivesValues) {
  EXPECT_THROW((void)n.value(), Error);
  DimResolver before = set_dim_resolver(resolve_for_test);
  EXPECT_EQ((n * 2 + m).value(), 17);
  EXPECT_TRUE(n == 7);
  EXPECT_FALSE(n == m);
  set_dim_resolver(before);
  EXPECT_THROW((void)n.value(), Error);
}

// The canonical form must not change a value: random expressions against plain numbers.
TEST(Dim, CanonicalFormKeepsValues) {
  DimResolver before = set_dim_resolver(resolve_for_test);
  std::mt19937 rng(1);
  auto pick = [&](int k) { return static_cast<int>(rng() % static_cast<unsigned>(k)); };
  for (int round = 0; round < 2000; ++round) {
    Dim symbolic = pick(2) ? n : m, plain = symbolic.value();
    for (int step = 0; step < 5; ++step) {
      Dim other = pick(3) == 0 ? Dim(pick(9) - 4) : pick(2) ? n : m, value = other.value();
      switch (pick(5)) {
        case 0: symbolic = symbolic + other, plain = plain + value; break;
        case 1: symbolic = other - symbolic, plain = value - plain; break;
        case 2: symbolic = symbolic * other, plain = plain * value; break;
        case 3:
          if (value != 0) symbolic = symbolic / other, plain = plain / value;
          break;
        default:
          if (value != 0) symbolic = symbolic % other, plain = plain % value;
      }
      ASSERT_EQ(symbolic.value(), plain.value()) << symbolic.str();
    }
  }
  set_dim_resolver(before);
}

TEST(Shape, Strides) {
  EXPECT_EQ(contiguous_strides({2, 3, 4}), (Strides{12, 4, 1}));
  EXPECT_EQ(contiguous_strides({2, 0, 4}), (Strides{4, 4, 1}));
  EXPECT_TRUE(same(contiguous_strides({2, n, m})[0], n * m));
  EXPECT_TRUE(same(numel_of({2, n}), n * 2));
  EXPECT_EQ(numel_of({}).value(), 1);
}

TEST(Shape, Broadcast) {
  EXPECT_EQ(broadcast_shapes({2, 1, 4}, {3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(broadcast_shapes({}, {0}), (Shape{0}));
  EXPECT_EQ(broadcast_shapes({1}, {0}), (Shape{0}));
  EXPECT_TRUE(same(broadcast_shapes({n, 1}, {1, m})[0], n));
  try {
    broadcast_shapes({2, 3}, {4, 1, 5}, "add");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(),
                 "ShapeError: add: sizes 3 and 5 do not broadcast\n"
                 "  got   shapes [2, 3] and [4, 1, 5], dimension -1\n"
                 "  need  equal sizes, or one of them 1, counted from the last dimension");
  }
}

}  // namespace
}  // namespace thixo
