// What PyTorch 2 prints for the same tensors (with thixo in the place of torch).
#include "thixo/print.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "core/print_hook.h"
#include "core/record.h"
#include "core/values.h"

namespace thixo {
namespace {

constexpr double kInf = INFINITY, kNan = NAN;

Tensor make(const std::vector<double>& values, const Shape& shape, DType dtype = float32) {
  Tensor t = empty(shape, {.dtype = dtype});
  auto* p = static_cast<char*>(t.raw_data());
  for (double v : values) {
    store_scalar(p, dtype, is_float(dtype) || is_complex(dtype) ? Scalar(v) : Scalar(static_cast<int64_t>(v)));
    p += item_size(dtype);
  }
  return t;
}
std::string shown(const std::vector<double>& values, DType dtype = float32) {
  return make(values, {static_cast<int64_t>(values.size())}, dtype).str();
}
Tensor make_complex(const std::vector<std::complex<float>>& values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}
Tensor range(const Shape& shape, DType dtype = int64) {
  std::vector<double> values(static_cast<size_t>(numel_of(shape).value()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return make(values, shape, dtype);
}

TEST(Print, Scalars) {
  EXPECT_EQ(Tensor(3.14159).str(), "tensor(3.1416)");
  EXPECT_EQ(Tensor(2.0).str(), "tensor(2.)");
  EXPECT_EQ(Tensor(0.0).str(), "tensor(0.)");
  EXPECT_EQ(Tensor(7).str(), "tensor(7)");
  EXPECT_EQ(Tensor(true).str(), "tensor(True)");
  EXPECT_EQ(Tensor(1e-5).str(), "tensor(1.0000e-05)");
  EXPECT_EQ(Tensor(kNan).str(), "tensor(nan)");
  EXPECT_EQ(Tensor(-kNan).str(), "tensor(nan)");
  EXPECT_EQ(Tensor(-kInf).str(), "tensor(-inf)");
  EXPECT_EQ(Tensor(std::complex<double>(1, -2.5)).str(), "tensor(1.-2.5000j)");
}

TEST(Print, WholeFloatsHaveAPoint) {
  EXPECT_EQ(shown({1, 2, 3}), "tensor([1., 2., 3.])");
  EXPECT_EQ(shown({0, 0}), "tensor([0., 0.])");
  EXPECT_EQ(shown({1000, 1}), "tensor([1000.,    1.])");
  EXPECT_EQ(shown({-1, 10}), "tensor([-1., 10.])");
  EXPECT_EQ(shown({-0.0, 1}), "tensor([-0., 1.])");
  EXPECT_EQ(shown({1, kNan, kInf}), "tensor([1., nan, inf])");
  EXPECT_EQ(shown({1, -kInf}), "tensor([1., -inf])");
  EXPECT_EQ(shown({kNan, kNan}), "tensor([nan, nan])");
}

TEST(Print, FourDigits) {
  EXPECT_EQ(shown({0.5, 1.25}), "tensor([0.5000, 1.2500])");
  EXPECT_EQ(shown({-1, 2.5}), "tensor([-1.0000,  2.5000])");
  EXPECT_EQ(shown({1.5, kNan, kInf, -kInf}), "tensor([1.5000,    nan,    inf,   -inf])");
  EXPECT_EQ(shown({0, 0.1}), "tensor([0.0000, 0.1000])");
  EXPECT_EQ(shown({99.99999, 0.5}), "tensor([100.0000,   0.5000])");
}

TEST(Print, ScientificWhenTheRangeCallsForIt) {
  EXPECT_EQ(shown({0.1, 1000}), "tensor([1.0000e-01, 1.0000e+03])");
  EXPECT_EQ(shown({0.001, 1}), "tensor([0.0010, 1.0000])") << "1 / 0.001f is just below 1000";
  EXPECT_EQ(shown({0.00099, 1}), "tensor([9.9000e-04, 1.0000e+00])");
  EXPECT_EQ(shown({1e9}), "tensor([1.0000e+09])");
  EXPECT_EQ(shown({1e8}), "tensor([100000000.])");
  EXPECT_EQ(shown({10000, 1}), "tensor([1.0000e+04, 1.0000e+00])");
  EXPECT_EQ(shown({0, -2e-5, kNan}), "tensor([ 0.0000e+00, -2.0000e-05,         nan])");
  EXPECT_EQ(shown({1e-300, 1}, float64), "tensor([1.0000e-300,  1.0000e+00], dtype=thixo.float64)");
}

TEST(Print, IntegersAndBool) {
  EXPECT_EQ(shown({1, 20, -3}, int64), "tensor([ 1, 20, -3])");
  EXPECT_EQ(shown({1, 2}, int8), "tensor([1, 2], dtype=thixo.int8)");
  EXPECT_EQ(shown({255}, uint8), "tensor([255], dtype=thixo.uint8)");
  EXPECT_EQ(shown({1, 0}, boolean), "tensor([ True, False])");
  EXPECT_EQ(shown({1, 1}, boolean), "tensor([True, True])");
  Tensor big = make({-1}, {1}, uint64);
  EXPECT_EQ(big.str(), "tensor([18446744073709551615], dtype=thixo.uint64)");
}

TEST(Print, HalfPrecision) {
  EXPECT_EQ(shown({0.1, 2}, float16), "tensor([0.1000, 2.0000], dtype=thixo.float16)");
  EXPECT_EQ(shown({0.1, 2}, bfloat16), "tensor([0.1001, 2.0000], dtype=thixo.bfloat16)");
  EXPECT_EQ(shown({65504}, float16), "tensor([65504.], dtype=thixo.float16)");
}

TEST(Print, Complex) {
  EXPECT_EQ(make_complex({{1, 2}, {3, -4}}).str(), "tensor([1.+2.j, 3.-4.j])");
  EXPECT_EQ(make_complex({{1, 0.5f}, {-10, 0}}).str(), "tensor([  1.+0.5000j, -10.+0.0000j])");
  EXPECT_EQ(make_complex({{1e5f, 1}, {1, 1}}).str(), "tensor([1.0000e+05+1.j, 1.0000e+00+1.j])");
  EXPECT_EQ(make_complex({{1, 10}, {1, 1}}).str(), "tensor([1.+10.j, 1.+1.j])");
  EXPECT_EQ(make_complex({{0, static_cast<float>(kNan)}}).str(), "tensor([0.+nanj])");
  EXPECT_EQ(tensor<std::complex<double>>({{1, 1}}, {1}).str(), "tensor([1.+1.j], dtype=thixo.complex128)");
}

TEST(Print, Empty) {
  EXPECT_EQ(empty({0}).str(), "tensor([])");
  EXPECT_EQ(empty({0, 3}).str(), "tensor([], size=(0, 3))");
  EXPECT_EQ(empty({0}, {.dtype = int64}).str(), "tensor([], dtype=thixo.int64)");
  EXPECT_EQ(empty({2, 0}, {.dtype = boolean}).str(), "tensor([], size=(2, 0), dtype=thixo.bool)");
}

TEST(Print, SeveralDims) {
  EXPECT_EQ(range({2, 3}).str(), "tensor([[0, 1, 2],\n        [3, 4, 5]])");
  EXPECT_EQ(range({2, 2, 2}, float64).str(),
            "tensor([[[0., 1.],\n         [2., 3.]],\n\n        [[4., 5.],\n         [6., 7.]]], dtype=thixo.float64)");
  EXPECT_EQ(range({1, 1, 1, 2}).str(), "tensor([[[[0, 1]]]])");
  EXPECT_EQ(range({2, 1, 1, 1}).str(), "tensor([[[[0]]],\n\n\n        [[[1]]]])");
}

TEST(Print, LongLinesAreBroken) {
  EXPECT_EQ(shown(std::vector<double>(20, 0.5)),
            "tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,\n"
            "        0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,\n"
            "        0.5000, 0.5000])");
  EXPECT_EQ(range({30}).str(),
            "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])");
  // A suffix that does not fit goes to a line of its own.
  EXPECT_EQ(shown(std::vector<double>(9, 0.5), float64),
            "tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],\n"
            "       dtype=thixo.float64)");
}

TEST(Print, OnlyTheEdgesOfLargeTensors) {
  EXPECT_EQ(range({1000}).str().find("..."), std::string::npos);
  EXPECT_EQ(range({1001}).str(), "tensor([   0,    1,    2,  ...,  998,  999, 1000])");
  EXPECT_EQ(range({100, 11}).str(),
            "tensor([[   0,    1,    2,  ...,    8,    9,   10],\n"
            "        [  11,   12,   13,  ...,   19,   20,   21],\n"
            "        [  22,   23,   24,  ...,   30,   31,   32],\n"
            "        ...,\n"
            "        [1067, 1068, 1069,  ..., 1075, 1076, 1077],\n"
            "        [1078, 1079, 1080,  ..., 1086, 1087, 1088],\n"
            "        [1089, 1090, 1091,  ..., 1097, 1098, 1099]])");
  EXPECT_EQ(range({2, 6, 100}).str().substr(0, 60), "tensor([[[   0,    1,    2,  ...,   97,   98,   99],\n       ");
  // The format comes from what is shown: the large number in the middle is not.
  std::vector<double> values(2000, 1);
  values[1000] = 1e6;
  EXPECT_EQ(shown(values), "tensor([1., 1., 1.,  ..., 1., 1., 1.])");
}

TEST(Print, StridedViews) {
  Tensor t = range({2, 3});
  Tensor v = make_view(t, {3, 2}, {1, 3}, 0, {.op = nullptr, .attrs = {}});
  EXPECT_EQ(v.str(), "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])");
  Tensor broadcast = make_view(t, {2, 2}, {0, 0}, 5, {.op = nullptr, .attrs = {}});
  EXPECT_EQ(broadcast.str(), "tensor([[5, 5],\n        [5, 5]])");
}

TEST(Print, MetaAndUndefined) {
  EXPECT_EQ(empty({2, 3}, {.dtype = float64, .device = "meta"}).str(),
            "tensor(..., device='meta', size=(2, 3), dtype=thixo.float64)");
  EXPECT_EQ(empty({5}, {.device = "meta"}).str(), "tensor(..., device='meta', size=(5,))");
  EXPECT_EQ(Tensor().str(), "tensor(undefined)");
}

TEST(Print, Gradients) {
  Tensor t = make({1}, {1});
  t.record()->grad = make_ref<GradMeta>();
  EXPECT_EQ(t.str(), "tensor([1.])");
  t.record()->grad->requires_grad = true;
  EXPECT_EQ(t.str(), "tensor([1.], requires_grad=True)");
  t.record()->grad->node = make_ref<Object>();
  set_grad_fn_name([](const Object&) { return std::string("MulBackward0"); });
  EXPECT_EQ(t.str(), "tensor([1.], grad_fn=<MulBackward0>)");
}

TEST(Print, Options) {
  const PrintOptions before = print_options();
  set_print_options({.precision = 2, .threshold = 5, .edgeitems = 1});
  EXPECT_EQ(shown({0.125, 1}), "tensor([0.12, 1.00])");
  EXPECT_EQ(range({6}).str(), "tensor([0,  ..., 5])");
  set_print_options({.threshold = 5, .edgeitems = 0});
  EXPECT_EQ(range({6}).str(), "tensor([...])");
  set_print_options({.sci_mode = false});
  EXPECT_EQ(shown({1e-5, 1}), "tensor([0.0000, 1.0000])");
  set_print_options({.sci_mode = true});
  EXPECT_EQ(shown({1, 2}), "tensor([1.0000e+00, 2.0000e+00])");
  set_print_options(before);
  EXPECT_THROW(set_print_options({.precision = -1}), Error);
  std::ostringstream out;
  out << Tensor(1.5);
  EXPECT_EQ(out.str(), "tensor(1.5000)");
}

}  // namespace
}  // namespace thixo
