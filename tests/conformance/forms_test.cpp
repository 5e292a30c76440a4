// Every op by its public C++ names (function, method, in place, out=): the bits and the error texts that the op itself
// gives when it is called past them, and the place of the call in the errors.
#include "forms.h"

#include <gtest/gtest.h>

#include <functional>

#include "cases.h"
#include "ir/dispatch.h"

namespace thixo::conformance {
namespace {

class EveryForm : public ::testing::TestWithParam<size_t> {
 protected:
  const Forms& forms() const { return all_forms()[GetParam()]; }
  const OpDef& op() const { return op_by_id(forms().op); }
};

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST_P(EveryForm, GivesTheBitsOfTheOp) {
  for (TestCall& c : good_calls(op())) {
    SCOPED_TRACE(c.str());
    try {
      const Values want = dispatch(c.call());
      const auto expect_same = [&](const Values& got, const char* form) {
        ASSERT_LE(got.size(), want.size());  // hidden results stay hidden
        ASSERT_EQ(got.size(), op().schema.results[0].list ? want.size() : op().schema.visible_results());
        for (size_t r = 0; r < got.size(); ++r) EXPECT_TRUE(same_bits(got[r], want[r])) << form << ", result " << r;
      };
      if (forms().function != nullptr) expect_same(forms().function(c.call()), "function");
      if (forms().method != nullptr) expect_same(forms().method(c.call()), "method");
      if (forms().out != nullptr && op().tier != Tier::View) {
        Tensor out = empty(want[0].shape(), {.dtype = want[0].dtype()});
        EXPECT_EQ(forms().out(c.call(), out).record(), out.record());
        EXPECT_TRUE(same_bits(out, want[0])) << "out=";
      }
      if (forms().inplace == nullptr) continue;
      Tensor& receiver = c.in[static_cast<size_t>(forms().receiver)];
      if (!(receiver.shape() == want[0].shape()) || !can_cast(want[0].dtype(), receiver.dtype())) continue;
      receiver = copied(receiver);
      EXPECT_EQ(forms().inplace(c.call(), receiver).record(), receiver.record());
      EXPECT_TRUE(same_bits(receiver, converted(want[0], receiver.dtype()))) << "in place";
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

TEST_P(EveryForm, GivesTheErrorsOfTheOp) {
  if (forms().function == nullptr) return;
  const DType t = dtypes_of(op())[0];
  for (const Sample& s : samples_of(op())) {
    if (s.bad.empty()) continue;
    const TestCall c = make_call(op(), s, t);
    SCOPED_TRACE(c.str());
    const std::string want = error_of([&] { dispatch(c.call()); }) + "\n  at    op_forms.cpp:";  // and the line
    EXPECT_NE(want.find(s.bad), std::string::npos) << want;
    EXPECT_TRUE(error_of([&] { forms().function(c.call()); }).starts_with(want)) << want;
  }
}

TEST(Forms, AreOfEveryPublicOp) {
  std::vector<bool> found(all_ops().size());
  for (const Forms& f : all_forms()) {
    const Schema& s = op_by_id(f.op).schema;
    found[static_cast<size_t>(f.op)] = true;
    EXPECT_EQ(f.function != nullptr, !s.is_private) << s.text;
    EXPECT_EQ(f.inplace != nullptr, s.inplace) << s.text;
  }
  for (size_t i = 0; i < found.size(); ++i) {
    const Schema& s = op_by_id(static_cast<int>(i)).schema;
    EXPECT_EQ(found[i], !s.is_private || s.inplace) << s.text;
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryForm, ::testing::Range(size_t{0}, all_forms().size()), [](const auto& p) {
  const OpDef& op = op_by_id(all_forms()[p.param].op);
  return op.name() + (op.schema.overload.empty() ? "" : "_" + op.schema.overload);
});

}  // namespace
}  // namespace thixo::conformance
