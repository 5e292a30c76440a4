// vmap of every op against a loop over the batch, by definitions alone; and with gradients inside and outside.
#include <gtest/gtest.h>

#include <algorithm>

#include "backend/reference/reference.h"
#include "cases.h"
#include "thixo/autograd.h"
#include "thixo/func.h"

namespace thixo::conformance {
namespace {

constexpr int64_t kBatch = 3;

/// Operand k with values of its own for each example, along `dim`.
Tensor batch_of(const Tensor& x, int64_t dim) {
  TensorList examples;
  for (int64_t b = 0; b < kBatch; ++b) {
    Tensor e = copied(x);
    if (is_differentiable(e.dtype())) {
      for (int64_t i = 0; i < e.numel().value(); ++i) {
        reference::write_element(
            e, i, reference::read_element(e, i) * std::complex<long double>(1 - 0.125L * static_cast<long double>(b)));
      }
    }
    examples.push_back(e);
  }
  return stack(examples, dim);
}

class Vmap : public ::testing::TestWithParam<int> {
 protected:
  const OpDef& op() const { return op_by_id(GetParam()); }
};

TEST_P(Vmap, IsALoop) {
  reference::Scope scope;
  if (is_random(op())) return;
  for (const Sample& s : samples_of(op())) {
    if (!s.bad.empty() || s.in.empty()) continue;
    const std::vector<DType> types = dtypes_of(op());
    const bool floats = std::find(types.begin(), types.end(), DType::F64) != types.end();
    TestCall c = make_call(op(), s, floats ? DType::F64 : types[0]);
    // Only the first operand batched, then all.
    for (bool all : {false, true}) {
      SCOPED_TRACE(c.str() + (all ? " all batched" : " first batched"));
      try {
        TensorList batched;
        std::vector<int64_t> dims;
        std::vector<size_t> places;
        for (size_t k = 0; k < c.in.size(); ++k) {
          if (!c.in[k].defined()) continue;
          bool mine = all || batched.empty();
          int64_t dim = c.in[k].dim() > 0 && k % 2 == 1 ? 1 : 0;
          batched.push_back(mine ? batch_of(c.in[k], dim) : c.in[k]);
          dims.push_back(mine ? dim : func::kNoBatch);
          places.push_back(k);
        }
        auto run = [&](const TensorList& x) {
          TestCall one = c;
          for (size_t i = 0; i < places.size(); ++i) one.in[places[i]] = x[i];
          Values out = dispatch(one.call());
          size_t visible =
              op().schema.results[0].list ? out.size() : static_cast<size_t>(op().schema.visible_results());
          return TensorList(out.begin(), out.begin() + visible);
        };
        TensorList got = func::vmap(func::Fn(run), {.in_dims = dims})(batched);
        for (int64_t b = 0; b < kBatch; ++b) {
          TensorList example;
          for (size_t i = 0; i < batched.size(); ++i)
            example.push_back(dims[i] == func::kNoBatch ? batched[i] : batched[i].select(dims[i], b));
          TensorList want = run(example);
          ASSERT_EQ(got.size(), want.size());
          for (size_t r = 0; r < want.size(); ++r) {
            EXPECT_EQ(difference(got[r].select(0, b), want[r], tolerance_of(op(), DType::F64, c.in)), "")
                << "example " << b << " result " << r;
          }
        }
      } catch (const Error& e) {
        if (e.kind() == ErrorKind::NotImplemented && !op().differentiable) continue;
        // A result whose shape depends on values (one_hot without num_classes) cannot be batched, and says so.
        if (std::string(e.what()).find("inside vmap") != std::string::npos) continue;
        ADD_FAILURE() << e.what();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Vmap, ::testing::Range(0, static_cast<int>(all_ops().size())), [](const auto& p) {
  const OpDef& op = op_by_id(p.param);
  return op.name() + (op.schema.overload.empty() ? "" : "_" + op.schema.overload);
});

}  // namespace
}  // namespace thixo::conformance
