// What every definition must bring: words, samples that fit its schema, shapes and errors that hold without values.
#include <gtest/gtest.h>

#include <fstream>

#include "backend/reference/reference.h"
#include "cases.h"

namespace thixo::conformance {
namespace {

class EveryOp : public ::testing::TestWithParam<int> {
 protected:
  const OpDef& op() const { return op_by_id(GetParam()); }
};

TEST_P(EveryOp, HasWordsAndSamples) {
  EXPECT_FALSE(op().doc.empty());
  if (!op().schema.is_private) EXPECT_NE(op().example.find(">>> thixo."), std::string::npos);
  EXPECT_FALSE(samples_of(op()).empty());
}

TEST_P(EveryOp, HasABody) {
  const OpDef& d = op();
  EXPECT_TRUE(d.expr || d.nest || d.view || d.compose || !d.kernel.empty());
  if (d.expr || d.view || (d.compose && d.tier == Tier::Composite)) return;
  EXPECT_TRUE(d.infer);
  if (d.differentiable) EXPECT_TRUE(d.grad) << "no gradient, and no_grad() does not say so";
}

TEST_P(EveryOp, SamplesFitTheSchema) {
  for (const Sample& s : samples_of(op())) {
    size_t operands = op().schema.operands.size();
    bool list = false;
    for (const OperandDecl& o : op().schema.operands) list |= o.list;
    if (list) {
      EXPECT_GE(s.in.size() + 1, operands);
    } else {
      EXPECT_EQ(s.in.size(), operands);
    }
    make_call(op(), s, dtypes_of(op())[0]);
  }
}

/// The definition itself gives what infer says, for every sample.
TEST_P(EveryOp, InferAgreesWithTheDefinition) {
  reference::Scope scope;
  for (DType t : dtypes_of(op())) {
    for (const Sample& s : samples_of(op())) {
      if (!s.bad.empty()) continue;
      TestCall c = make_call(op(), s, t);
      SCOPED_TRACE(c.str());
      try {
        SmallVec<Spec, 2> specs = infer(c.call());
        Values out = dispatch(c.call());
        ASSERT_EQ(out.size(), specs.size());
        for (size_t r = 0; r < out.size(); ++r) {
          EXPECT_EQ(out[r].dtype(), specs[r].dtype);
          EXPECT_EQ(shape_str(out[r].shape()), shape_str(specs[r].shape));
        }
      } catch (const Error& e) {
        ADD_FAILURE() << e.what();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryOp, ::testing::Range(0, static_cast<int>(all_ops().size())), [](const auto& p) {
  std::string name = op_by_id(p.param).name() +
                     (op_by_id(p.param).schema.overload.empty() ? "" : "_" + op_by_id(p.param).schema.overload);
  return name;
});

/// One golden file holds the text of every error that a sample provokes. THIXO_UPDATE_GOLDEN=1 rewrites it.
TEST(ErrorTexts, AreGolden) {
  std::string all;
  for (const OpDef& op : all_ops()) {
    for (const Sample& s : samples_of(op)) {
      if (s.bad.empty()) continue;
      TestCall c = make_call(op, s, dtypes_of(op)[0]);
      all += "# " + c.str() + "\n";
      try {
        Values out = dispatch(c.call());
        ADD_FAILURE() << c.str() << " did not fail: '" << s.bad << "'";
      } catch (const Error& e) {
        std::string first = std::string(e.what()).substr(0, std::string(e.what()).find('\n'));
        EXPECT_NE(first.find(s.bad), std::string::npos) << c.str() << ": '" << s.bad << "' is not in '" << first << "'";
        EXPECT_NE(e.kind(), ErrorKind::Internal) << e.what();
        all += std::string(e.what()) + "\n\n";
      }
    }
  }
  const char* path = "tests/golden/op_errors.txt";
  if (std::getenv("THIXO_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << all;
  std::ifstream file(path);
  std::string golden((std::istreambuf_iterator<char>(file)), {});
  EXPECT_TRUE(golden == all) << "error texts changed: run with THIXO_UPDATE_GOLDEN=1 and look at the difference";
}

}  // namespace
}  // namespace thixo::conformance
