// Transforms inside transforms over every op, by definitions alone and in f64 and complex128: vmap(grad) and grad(vmap)
// against a loop of gradients, jvp(grad) against differences of gradients, vmap(vmap) against two loops.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/reference/reference.h"
#include "differentiable.h"
#include "thixo/autograd.h"
#include "thixo/func.h"

namespace thixo::conformance {
namespace {

constexpr int64_t kBatch = 2;

class Nested : public ::testing::TestWithParam<int> {
 protected:
  const OpDef& op() const { return op_by_id(GetParam()); }

  /// Calls f for each small sample that has something to differentiate.
  template <class F> void each(F f) {
    reference::Scope scope;
    if (is_random(op())) return;  // vmap(random) has tests of its own
    for (const Sample& s : small_samples(op())) {
      for (DType t : {DType::F64, DType::C128}) {
        if (t == DType::C128 && !takes_complex(op(), s)) continue;
        Differentiable d = differentiable(op(), s, t);
        if (d.inputs.empty() || d(d.inputs).empty()) continue;
        for (Tensor& x : d.inputs) x = x.detach();
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

/// x for example b: other numbers, as smooth as before.
Tensor example(const Tensor& x, int64_t b) { return x * (1 - 0.125 * static_cast<double>(b)); }

TensorList batches(const TensorList& x) {
  TensorList out;
  for (const Tensor& t : x) {
    TensorList parts;
    for (int64_t b = 0; b < kBatch; ++b) parts.push_back(example(t, b));
    out.push_back(stack(parts));
  }
  return out;
}

TensorList at(const TensorList& x, int64_t b) {
  TensorList out;
  for (const Tensor& t : x) out.push_back(t.select(0, b));
  return out;
}

func::ArgNums all_of(const Differentiable& f) {
  func::ArgNums nums;
  for (size_t k = 0; k < f.inputs.size(); ++k) nums.push_back(static_cast<int>(k));
  return nums;
}

func::Fn gradient_of(const Differentiable& f) {
  return func::grad(func::Fn([&f](const TensorList& x) { return f.sum(x); }), all_of(f));
}

void expect_close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
  ASSERT_EQ(shape_str(got.shape()), shape_str(want.shape())) << what;
  const Tensor g = converted(got, DType::C128), w = converted(want, DType::C128);
  for (int64_t i = 0; i < 2 * g.numel().value(); ++i) {
    const double a = static_cast<const double*>(g.raw_data())[i], b = static_cast<const double*>(w.raw_data())[i];
    if (a == b || !std::isfinite(b)) continue;  // a pole; the values themselves are compared by other tests
    ASSERT_NEAR(a, b, tolerance * (1 + std::fabs(b))) << what << " element " << i / 2;
  }
}

TEST_P(Nested, VmapOfGrad) {
  each([](const Differentiable& f) {
    const TensorList x = batches(f.inputs);
    const TensorList got = func::vmap(gradient_of(f))(x);
    for (int64_t b = 0; b < kBatch; ++b) {
      const TensorList want = gradient_of(f)(at(x, b));
      ASSERT_EQ(got.size(), want.size());
      for (size_t k = 0; k < want.size(); ++k)
        expect_close(got[k].select(0, b), want[k], 1e-12,
                     "example " + std::to_string(b) + " input " + std::to_string(k));
    }
  });
}

TEST_P(Nested, GradOfVmap) {
  each([](const Differentiable& f) {
    const TensorList x = batches(f.inputs);
    const func::Fn total([&](const TensorList& v) {
      return func::vmap(func::Fn([&](const TensorList& one) { return f.sum(one); }))(v)[0].sum();
    });
    const TensorList got = func::grad(total, all_of(f))(x);
    for (int64_t b = 0; b < kBatch; ++b) {
      const TensorList want = gradient_of(f)(at(x, b));
      for (size_t k = 0; k < want.size(); ++k)
        expect_close(got[k].select(0, b), want[k], 1e-12,
                     "example " + std::to_string(b) + " input " + std::to_string(k));
    }
  });
}

TEST_P(Nested, JvpOfGrad) {
  each([](const Differentiable& f) {
    TensorList tangents, ahead, behind;
    const double eps = 1e-6;
    for (const Tensor& x : f.inputs) {
      Tensor v = arange(x.numel().value(), {.dtype = DType::F64}).sin().reshape(x.shape()) + 0.5;
      if (is_complex(x.dtype())) v = v + v.cos() * Scalar(std::complex(0.0, 1.0));
      tangents.push_back(v);
      ahead.push_back(x + v * eps);
      behind.push_back(x - v * eps);
    }
    const func::Jvp got = func::jvp(gradient_of(f), f.inputs, tangents);
    const TensorList up = gradient_of(f)(ahead), down = gradient_of(f)(behind);
    ASSERT_EQ(got.tangents.size(), up.size());
    for (size_t k = 0; k < up.size(); ++k)
      expect_close(got.tangents[k], (up[k] - down[k]) / (2 * eps), 1e-5, "input " + std::to_string(k));
  });
}

TEST_P(Nested, VmapOfVmap) {
  each([](const Differentiable& f) {
    const TensorList x = batches(batches(f.inputs));
    const func::Fn plain([&](const TensorList& v) { return f(v); });
    const TensorList got = func::vmap(func::vmap(plain))(x);
    for (int64_t b = 0; b < kBatch; ++b) {
      for (int64_t c = 0; c < kBatch; ++c) {
        const TensorList want = f(at(at(x, b), c));
        ASSERT_EQ(got.size(), want.size());
        for (size_t r = 0; r < want.size(); ++r)
          expect_close(got[r].select(0, b).select(0, c), want[r], 1e-12, "result " + std::to_string(r));
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

INSTANTIATE_TEST_SUITE_P(Ops, Nested, ::testing::ValuesIn(differentiable_ops()), [](const auto& p) {
  const OpDef& op = op_by_id(p.param);
  return op.name() + (op.schema.overload.empty() ? "" : "_" + op.schema.overload);
});

}  // namespace
}  // namespace thixo::conformance
