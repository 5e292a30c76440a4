// Gradients of first and second order against differences, by definitions alone: f64, complex128 and the reference.
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

  /// Calls f for each small sample that has something to differentiate, in f64 and in complex128.
  template <class F> void each(F f) {
    reference::Scope scope;
    for (const Sample& s : small_samples(op())) {
      for (DType t : {DType::F64, DType::C128}) {
        if (t == DType::C128 && !takes_complex(op(), s)) continue;
        Differentiable d = differentiable(op(), s, t);
        if (d.inputs.empty() || d(d.inputs).empty()) continue;
        SCOPED_TRACE(d.call.str());
        try {
          f(d);
        } catch (const Error& e) {
          ADD_FAILURE() << e.what();
        }
      }
    }
  }
};

TEST_P(Gradient, FirstOrder) {
  each([](const Differentiable& f) { EXPECT_TRUE(autograd::gradcheck(f, f.inputs)); });
}

TEST_P(Gradient, SecondOrder) {
  each([](const Differentiable& f) {
    int64_t size = 0;
    for (const Tensor& x : f.inputs) size += x.numel().value();
    if (size > 40) return;
    EXPECT_TRUE(autograd::gradgradcheck(f, f.inputs));
  });
}

/// The tangent that jvp gives against a difference along the direction.
TEST_P(Gradient, Jvp) {
  each([](const Differentiable& f) {
    TensorList at, tangents, ahead, behind;
    const double eps = 1e-6;
    for (size_t k = 0; k < f.inputs.size(); ++k) {
      Tensor x = copied(f.inputs[k]), v = copied(x), up = copied(x), down = copied(x);
      for (size_t i = 0; i < numbers_of(x).size(); ++i) {
        const double t = 0.5 + 0.25 * static_cast<double>((i * 7 + k) % 5);
        numbers_of(v)[i] = t;
        numbers_of(up)[i] += eps * t;
        numbers_of(down)[i] -= eps * t;
      }
      at.push_back(x), tangents.push_back(v), ahead.push_back(up), behind.push_back(down);
    }
    func::Jvp made = func::jvp(func::Fn([&](const TensorList& x) { return f(x); }), at, tangents);
    TensorList up = f(ahead), down = f(behind);
    ASSERT_EQ(made.tangents.size(), up.size());
    for (size_t r = 0; r < up.size(); ++r) {
      ASSERT_TRUE(made.tangents[r].defined());
      const Tensor got = copied(made.tangents[r]), u = copied(up[r]), d = copied(down[r]);
      ASSERT_EQ(got.dtype(), u.dtype());
      for (size_t i = 0; i < numbers_of(got).size(); ++i) {
        const double want = (numbers_of(u)[i] - numbers_of(d)[i]) / (2 * eps);
        ASSERT_NEAR(numbers_of(got)[i], want, 1e-5 + 1e-4 * std::fabs(want)) << "result " << r << " number " << i;
      }
    }
  });
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
