// In-place ops and views under autograd, against values computed by hand.
#include "core/record.h"
#include "thixo/autograd.h"
#include "transform/test_util.h"

namespace thixo {
namespace {

TEST(Write, InPlaceIsThePureOp) {
  Tensor a = leaf({1, 2});
  Tensor y = a * 3;
  y.add_(a);   // 4a
  y.mul_(y);   // 16 a^2
  y.sum().backward();
  expect_values(y, {16, 64});
  expect_values(a.grad(), {32, 64});
}

TEST(Write, TheOldValueIsKeptWhenItsGradientNeedsIt) {
  Tensor a = leaf({1, 2}), w = leaf({5, 6});
  Tensor y = a * 1;
  y.mul_(w);  // the gradient of w is the old y
  y.sum().backward();
  expect_values(w.grad(), {1, 2});
  expect_values(a.grad(), {5, 6});
}

TEST(Write, ThroughAView) {
  Tensor a = leaf({1, 2, 3, 4}, {2, 2});
  Tensor y = a * 1;
  y.select(0, 1).mul_(10);
  (y * y).sum().backward();
  expect_values(y, {1, 2, 30, 40});
  expect_values(a.grad(), {2, 4, 600, 800});
}

TEST(Write, ThroughAViewOfAView) {
  Tensor a = leaf({1, 2, 3, 4}, {2, 2}), v = leaf(7);
  Tensor y = a * 1;
  y.select(0, 1).select(0, 0).copy_(v);
  (y * y).sum().backward();
  expect_values(y, {1, 2, 7, 4});
  expect_values(a.grad(), {2, 4, 0, 8});
  expect_values(v.grad(), {14});
}

TEST(Write, ThroughAViewThatOnlyTheOrderInMemoryAllows) {
  Tensor a = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor y = a.t() * 1;  // lies as a does; its gradient, row by row
  y.t().view({6}).slice(0, 1, 3).mul_(10);
  (y * y).sum().backward();
  expect_values(y, {1, 4, 20, 5, 30, 6});
  expect_values(a.grad(), {2, 400, 600, 8, 10, 12});
}

TEST(Write, ViewsMadeEarlierSeeIt) {
  Tensor a = leaf({1, 2, 3, 4}, {2, 2});
  Tensor y = a * 1;
  Tensor row = y.select(0, 0), column = y.select(1, 0);
  row.mul_(5);  // y = [[5a, 5b], [c, d]]
  column.sum().backward();
  expect_values(a.grad(), {5, 0, 1, 0});
}

TEST(Write, BaseBecomesPartOfTheGraphThroughAView) {
  Tensor w = leaf({2, 3});
  Tensor buffer = zeros({2, 2}, {.dtype = float64});
  Tensor row = buffer.select(0, 1);
  EXPECT_FALSE(row.requires_grad());
  buffer.select(0, 1).copy_(w);
  EXPECT_TRUE(buffer.requires_grad());
  EXPECT_TRUE(row.requires_grad());
  (row * row).sum().backward();
  expect_values(w.grad(), {4, 6});
}

TEST(Write, ViewsMadeWithoutGradStayOutside) {
  Tensor a = leaf({1, 2});
  Tensor y = a * 1, v;
  {
    NoGrad guard;
    v = y.select(0, 0);
  }
  EXPECT_FALSE(v.requires_grad());
}

TEST(Write, SecondOrderThroughAWrite) {
  Tensor a = leaf({1, 2});
  Tensor y = a * a;
  y.select(0, 0).mul_(a.select(0, 1));  // [a0^2 a1, a1^2]
  Tensor g = autograd::grad({y.sum()}, {a}, {.create_graph = true})[0];
  expect_values(g, {4, 1 + 4});
  Tensor h = autograd::grad({g.select(0, 0)}, {a})[0];  // d(2 a0 a1)
  expect_values(h, {4, 2});
}

TEST(Write, LeavesAreRefused) {
  Tensor a = leaf({1, 2});
  EXPECT_EQ(headline_of([&] { a.add_(1); }),
            "ValueError: add: a leaf that requires grad is used in an in-place operation");
  EXPECT_EQ(headline_of([&] { a.select(0, 0).add_(1); }),
            "ValueError: add: a view of a leaf that requires grad is used in an in-place operation");
  NoGrad guard;
  a.add_(1);
  expect_values(a, {2, 3});
}

TEST(Write, AViewMadeWithoutHistoryIsRefused) {
  Tensor a = leaf({1, 2});
  Tensor y = a * 1, v, out;
  {
    NoGrad guard;
    v = y.slice(0, 0, 1);
    v.mul_(3);  // both inside: no business of the tape
  }
  const std::string want =
      "ValueError: mul: a view made inside no_grad of a tensor with a history is written outside of it";
  EXPECT_EQ(headline_of([&] { v.mul_(5); }), want);
  expect_values(y, {3, 2});
  EXPECT_EQ(headline_of([&] { v.copy_(f64({7})); }).substr(0, 11), "ValueError:");
  y.detach().slice(0, 0, 1).mul_(2);  // a tensor of its own
  expect_values(y, {6, 2});
}

TEST(Write, AnotherTensorsWriterIsNotBlamed) {
  for (int i = 0; i < 3; ++i) {  // tensors at one address, one after the other
    Tensor a = leaf({1, 2});
    Tensor b = a * 1;
    Tensor y = b * b;
    if (i < 2) {
      NoGrad guard;
      b.add_(1);
      continue;
    }
    ++b.record()->storage->version;  // by someone who says nothing
    const std::string text = error_of([&] { y.sum().backward(); });
    EXPECT_NE(text.find("was overwritten in place"), std::string::npos) << text;
    EXPECT_EQ(text.find("overwritten by"), std::string::npos) << text;
  }
}

TEST(Write, OverwrittenValuesAreNoticed) {
  Tensor a = leaf({1, 2});
  Tensor b = a * 1;
  Tensor y = b.exp() + b * b;
  {
    NoGrad guard;
    b.add_(1);
  }
  const std::string text = error_of([&] { y.sum().backward(); });
  EXPECT_NE(text.find("ValueError: backward: a value that mul needs was overwritten in place"), std::string::npos)
      << text;
  EXPECT_NE(text.find("saved at version 0, now at version 1"), std::string::npos) << text;
  EXPECT_NE(text.find("overwritten by add_ ("), std::string::npos) << text;
  EXPECT_NE(text.find("write_test.cpp:"), std::string::npos) << text;
}

TEST(Write, ErrorsInPartsOfACallHaveItsPlace) {
  Tensor a = leaf({1, 2});
  Tensor b = a * 1;
  Tensor y = b.pow(2);  // made of square
  {
    NoGrad guard;
    b.add_(1);
  }
  const std::string text = error_of([&] { y.sum().backward(); });
  EXPECT_NE(text.find("at    write_test.cpp:"), std::string::npos) << text;
}

TEST(Write, ShapesAndDtypesMustFit) {
  Tensor a = leaf({1, 2});
  Tensor y = a * 1;
  EXPECT_EQ(headline_of([&] { y.add_(f64({1, 2, 3, 4}, {2, 2})); }).substr(0, 16), "ShapeError: add:");
  Tensor i = tensor(std::vector<int64_t>{1, 2}, {2});
  EXPECT_EQ(headline_of([&] {
              i.copy_(a);
              i.add_(y);
            }).substr(0, 16),
            "DTypeError: add:");
}

TEST(Write, CopyBetweenDtypesFlows) {
  Tensor a = leaf({1, 2});
  Tensor y = zeros({2});
  y.copy_(a);
  EXPECT_EQ(y.dtype(), float32);
  (y * y).sum().backward();
  expect_values(a.grad(), {2, 4});
}

}  // namespace
}  // namespace thixo
