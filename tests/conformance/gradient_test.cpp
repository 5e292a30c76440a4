// Gradients of first and second order against differences, by definitions alone: f64 and the reference.
#include <gtest/gtest.h>

#include "backend/reference/reference.h"
#include "differentiable.h"
#include "thixo/autograd.h"
#include "thixo/func.h"

namespace thixo::conformance {
namespace {

class Gradient : public ::testing::TestWithParam<int> {
 protected:
  const OpDef& op() const { return op_by_id(GetParam()); }
};

TEST_P(Gradient, FirstOrder) {
  reference::Scope scope;
  for (const Sample& s : small_samples(op())) {
    Differentiable f = differentiable(op(), s);
    if (f.inputs.empty() || f(f.inputs).empty()) continue;
    SCOPED_TRACE(f.call.str());
    try {
      EXPECT_TRUE(autograd::gradcheck(f, f.inputs));
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

TEST_P(Gradient, SecondOrder) {
  reference::Scope scope;
  for (const Sample& s : small_samples(op())) {
    Differentiable f = differentiable(op(), s);
    if (f.inputs.empty() || f(f.inputs).empty()) continue;
    int64_t size = 0;
    for (const Tensor& x : f.inputs) size += x.numel().value();
    if (size > 40) continue;
    SCOPED_TRACE(f.call.str());
    try {
      EXPECT_TRUE(autograd::gradgradcheck(f, f.inputs));
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

/// The tangent that jvp gives against a difference along the direction.
TEST_P(Gradient, Jvp) {
  reference::Scope scope;
  for (const Sample& s : small_samples(op())) {
    Differentiable f = differentiable(op(), s);
    if (f.inputs.empty() || f(f.inputs).empty()) continue;
    SCOPED_TRACE(f.call.str());
    try {
      TensorList at, tangents, ahead, behind;
      const double eps = 1e-6;
      for (size_t k = 0; k < f.inputs.size(); ++k) {
        Tensor x = copied(f.inputs[k]), v = copied(x), up = copied(x), down = copied(x);
        for (int64_t i = 0; i < x.numel().value(); ++i) {
          double t = 0.5 + 0.25 * static_cast<double>((i * 7 + static_cast<int64_t>(k)) % 5);
          v.data<double>()[i] = t;
          up.data<double>()[i] += eps * t;
          down.data<double>()[i] -= eps * t;
        }
        at.push_back(x), tangents.push_back(v), ahead.push_back(up), behind.push_back(down);
      }
      func::Jvp made = func::jvp(func::Fn([&](const TensorList& x) { return f(x); }), at, tangents);
      TensorList up = f(ahead), down = f(behind);
      ASSERT_EQ(made.tangents.size(), up.size());
      for (size_t r = 0; r < up.size(); ++r) {
        ASSERT_TRUE(made.tangents[r].defined());
        Tensor got = copied(made.tangents[r]);
        Tensor u = copied(up[r]), d = copied(down[r]);
        for (int64_t i = 0; i < got.numel().value(); ++i) {
          double want = (u.data<double>()[i] - d.data<double>()[i]) / (2 * eps);
          ASSERT_NEAR(got.data<double>()[i], want, 1e-5 + 1e-4 * std::fabs(want)) << "result " << r << " element " << i;
        }
      }
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

std::vector<int> differentiable_ops() {
  std::vector<int> out;
  for (const OpDef& op : all_ops()) {
    if (op.differentiable) out.push_back(op.id);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradient, ::testing::ValuesIn(differentiable_ops()), [](const auto& p) {
  const OpDef& op = op_by_id(p.param);
  return op.name() + (op.schema.overload.empty() ? "" : "_" + op.schema.overload);
});

}  // namespace
}  // namespace thixo::conformance
