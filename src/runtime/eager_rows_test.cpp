// Fused rows: the same values as the decomposition, from one kernel of the pack.
#include <gtest/gtest.h>

#include <cmath>

#include "codegen/nest_form.h"
#include "codegen/pack.h"
#include "codegen/row_form.h"
#include "ir/dispatch.h"
#include "runtime/test_values.h"

namespace thixo {
namespace {

using test::random_tensor;
using test::values;

/// The largest difference between the fused op and its decomposition, beside the largest value.
double difference(const OpDef& op, const TensorList& in, const std::vector<Attr>& attrs) {
  const Call call{&op, in, attrs, {}};
  const Values fused = dispatch(call), plain = op.compose(call);
  double worst = 0;
  for (size_t k = 0; k < fused.size(); ++k) {
    EXPECT_EQ(fused[k].shape(), plain[k].shape());
    EXPECT_EQ(fused[k].dtype(), plain[k].dtype());
    const std::vector<float> a = values(fused[k].to(DType::F32)), b = values(plain[k].to(DType::F32));
    double largest = 1;
    for (float v : b) largest = std::max(largest, std::abs(static_cast<double>(v)));
    for (size_t i = 0; i < a.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]) / largest);
    }
  }
  return worst;
}

std::vector<Attr> attrs_of(const OpDef& op, const std::vector<std::pair<std::string, Attr>>& given) {
  std::vector<Attr> out;
  for (const AttrDecl& d : op.schema.attrs) {
    out.push_back(d.def);
    for (const auto& [name, value] : given) {
      if (name == d.name) out.back() = value;
    }
  }
  return out;
}

/// Why there is no kernel for the call; empty when there is.
std::string missing(const OpDef& op, const TensorList& in, const std::vector<Attr>& attrs) {
  std::string why;
  const std::optional<codegen::RowForm> form = codegen::row_form(Call{&op, in, attrs, {}}, &why);
  if (!form) return why;
  return codegen::find_kernel(codegen::content_key(form->kernel)) != nullptr ? "" : "no sample is like this call";
}

void expect_fused(const char* name, const TensorList& in, const std::vector<std::pair<std::string, Attr>>& given) {
  const OpDef& op = *find_op(name);
  const std::vector<Attr> attrs = attrs_of(op, given);
  EXPECT_EQ(missing(op, in, attrs), "") << name;
  EXPECT_LT(difference(op, in, attrs), 2e-5) << name;
}

TEST(EagerRows, Softmax) {
  for (int64_t columns : {5, 16, 100, 3000}) {
    const Tensor x = random_tensor({7, columns}), y = random_tensor({7, columns}, 2);
    for (const char* name : {"softmax", "log_softmax"}) expect_fused(name, {x}, {{"dim", Dim(1)}});
    for (const char* name : {"softmax_backward", "log_softmax_backward"}) expect_fused(name, {x, y}, {{"dim", Dim(1)}});
  }
  expect_fused("softmax", {random_tensor({2, 3, 4, 50})}, {{"dim", Dim(-1)}});
  expect_fused("softmax", {random_tensor({2, 2, 2, 2, 2, 2, 2, 5})}, {{"dim", Dim(-1)}});
  expect_fused("softmax", {random_tensor({50})}, {{"dim", Dim(0)}});
  EXPECT_EQ(values(random_tensor({3, 1}).softmax(1)), (std::vector<float>{1, 1, 1}));
}

TEST(EagerRows, SoftmaxAlongAnotherDim) {
  const Tensor x = random_tensor({5, 40, 6});
  const std::vector<float> y = values(x.softmax(1)), v = values(x);
  for (size_t i = 0; i < 5; ++i) {
    for (size_t k = 0; k < 6; ++k) {
      double sum = 0;
      for (size_t j = 0; j < 40; ++j) sum += std::exp(static_cast<double>(v[(i * 40 + j) * 6 + k]));
      for (size_t j = 0; j < 40; ++j) {
        const size_t at = (i * 40 + j) * 6 + k;
        ASSERT_NEAR(y[at], std::exp(static_cast<double>(v[at])) / sum, 1e-6);
      }
    }
  }
}

TEST(EagerRows, Norms) {
  const Tensor x = random_tensor({9, 64}), w = random_tensor({64}, 2), b = random_tensor({64}, 3);
  const Attr shape = Shape{64};
  expect_fused("layer_norm", {x, w, b}, {{"normalized_shape", shape}});
  expect_fused("layer_norm", {x, w, {}}, {{"normalized_shape", shape}, {"eps", 0.1}});
  expect_fused("layer_norm", {x, {}, {}}, {{"normalized_shape", shape}});
  expect_fused("layer_norm", {random_tensor({3, 4, 64}), w, b}, {{"normalized_shape", shape}});
  expect_fused("rms_norm", {x, w}, {{"normalized_shape", shape}});
}

Tensor layer_normed(const Tensor& x, double eps) {
  const OpDef& op = *find_op("layer_norm");
  const Tensor in[] = {x, {}, {}};
  const std::vector<Attr> attrs = attrs_of(op, {{"normalized_shape", Shape{x.size(1)}}, {"eps", eps}});
  return dispatch(Call{&op, in, attrs, {}})[0];
}

TEST(EagerRows, AttributesAreNotForgotten) {
  const Tensor x = random_tensor({4, 8});
  const std::vector<float> a = values(layer_normed(x, 1e-5)), b = values(layer_normed(x, 10.0));
  EXPECT_NE(a, b);
  EXPECT_EQ(a, values(layer_normed(x, 1e-5)));
}

TEST(EagerRows, DimsAreNotTakenForSizes) {
  const Tensor x = random_tensor({5, 2, 7});
  for (const int64_t dim : {2, -2, 1, -1}) {
    const Tensor want = log(exp(x).sum({dim}));
    EXPECT_EQ(x.logsumexp({dim}).shape(), want.shape()) << dim;
    EXPECT_LT((x.logsumexp({dim}) - want).abs().max().item<float>(), 1e-5F) << dim;
  }
  EXPECT_THROW(random_tensor({2, 3}).logsumexp({2}), Error);
}

TEST(EagerRows, CrossEntropy) {
  const Tensor x = random_tensor({6, 40}), t = tensor<int64_t>({0, 39, 7, 7, -100, 3}, {6});
  const std::vector<std::pair<std::string, Attr>> attrs = {{"ignore_index", Dim(-100)}, {"label_smoothing", 0.0}};
  expect_fused("cross_entropy_rows", {x, t, {}}, attrs);
  expect_fused("cross_entropy_backward", {random_tensor({6}, 5), x, t, {}, random_tensor({6, 1}, 4)}, attrs);
}

struct RowCall {
  const char* op;
  std::vector<Tensor> in;
  std::vector<std::pair<std::string, Attr>> attrs;
};

/// The ops over rows, as they are called for x[n, m] and by the gradients.
std::vector<RowCall> row_calls(int64_t n, int64_t m, DType t) {
  const DType wide = compute_type(t);
  const Tensor x = random_tensor({n, m}).to(t), y = random_tensor({n, m}, 2).to(t), w = random_tensor({m}, 3).to(t);
  const Tensor row = random_tensor({n}, 4).to(wide), column = row.unsqueeze(1), own = column.to(t);
  const Tensor scale = square(column) + 0.5;
  const Tensor classes = zeros({n}, {.dtype = DType::I64});
  const Attr last = Dim(-1), rows = Shape{m}, dims = Shape{-1};
  const std::vector<std::pair<std::string, Attr>> plain = {{"ignore_index", Dim(-100)}, {"label_smoothing", 0.0}};
  const std::vector<std::pair<std::string, Attr>> spread = {{"dim", dims}, {"correction", 1.0}};
  return {{"softmax", {x}, {{"dim", last}}},
          {"log_softmax", {x}, {{"dim", last}}},
          {"softmax_backward", {x, y}, {{"dim", last}}},
          {"log_softmax_backward", {x, y}, {{"dim", last}}},
          {"logsumexp", {x}, {{"dim", dims}}},
          {"logsumexp_backward", {own, x, own}, {}},
          {"layer_norm", {x, w, w}, {{"normalized_shape", rows}}},
          {"layer_norm", {x, {}, {}}, {{"normalized_shape", rows}}},
          {"layer_norm_backward", {x, y, column, scale, w}, {{"normalized_shape", rows}}},
          {"rms_norm", {x, w}, {{"normalized_shape", rows}}},
          {"rms_norm_backward", {x, y, scale, w}, {{"normalized_shape", rows}}},
          {"cross_entropy_rows", {x, classes, {}}, plain},
          {"cross_entropy_backward", {row, x, classes, {}, column}, plain},
          {"argmax", {x}, {{"dim", last}}},
          {"argmin", {x}, {{"dim", last}, {"keepdim", true}}},
          {"var", {x}, {{"dim", dims}, {"correction", Scalar(1)}}},
          {"std", {x}, {{"dim", dims}, {"correction", Scalar(1)}}},
          {"var_mean", {x}, {{"dim", dims}, {"correction", Scalar(1)}}},
          {"extreme_backward", {own, gt(x, 0)}, {{"dim", dims}}},
          {"spread_backward", {own, {}, x}, spread},
          {"spread_backward", {own, own, x}, spread}};
}

TEST(EagerRows, OneKernelForEachTypeAndAnySizes) {
  for (const DType t : {DType::F32, DType::F64, DType::F16, DType::BF16}) {
    for (const int64_t m : {40, 7}) {
      for (const RowCall& c : row_calls(7, m, t)) {
        const OpDef& op = *find_op(c.op);
        const TensorList in(c.in.begin(), c.in.end());
        EXPECT_EQ(missing(op, in, attrs_of(op, c.attrs)), "") << c.op << " " << dtype_name(t) << " of 7 x " << m;
        EXPECT_LT(difference(op, in, attrs_of(op, c.attrs)), compute_type(t) == t ? 2e-5 : 2e-2) << c.op;
      }
    }
  }
}

TEST(EagerRows, HalfAndStrided) {
  const Tensor x = random_tensor({64, 33}).transpose(0, 1);
  EXPECT_LT(difference(*find_op("softmax"), {x}, attrs_of(*find_op("softmax"), {{"dim", Dim(1)}})), 1e-6);
  const Tensor h = x.to(DType::BF16);
  EXPECT_EQ(h.softmax(1).dtype(), DType::BF16);
  EXPECT_LT(difference(*find_op("softmax"), {h}, attrs_of(*find_op("softmax"), {{"dim", Dim(1)}})), 1e-2);
}

}  // namespace
}  // namespace thixo
