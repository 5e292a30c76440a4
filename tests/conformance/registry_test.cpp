// What every definition must bring: words, samples that fit its schema, shapes and errors that hold without values.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

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
  const bool shown = op().example.starts_with(">>> ") && op().example.find("thixo.") != std::string::npos;
  EXPECT_TRUE((op().schema.is_private && !op().schema.layer) || shown);
  EXPECT_FALSE(samples_of(op()).empty());
}

TEST_P(EveryOp, HasABody) {
  const OpDef& d = op();
  EXPECT_TRUE(d.expr || d.nest || d.view || d.compose || !d.kernel.empty());
  if (d.expr || d.view || (d.compose && d.tier == Tier::Composite)) return;
  EXPECT_TRUE(d.infer);
  EXPECT_TRUE(d.grad || !d.differentiable) << "no gradient, and no_grad() does not say so";
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
  for (TestCall& c : good_calls(op())) {
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
      // The shape depends on values (masked_select).
      if (std::string(e.what()).find("on 'meta' has only a shape") != std::string::npos) continue;
      ADD_FAILURE() << e.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryOp, ::testing::Range(0, static_cast<int>(all_ops().size())), [](const auto& p) {
  std::string name = op_by_id(p.param).name() +
                     (op_by_id(p.param).schema.overload.empty() ? "" : "_" + op_by_id(p.param).schema.overload);
  return name;
});

/// Compares with a file in tests/golden, which THIXO_UPDATE_GOLDEN=1 rewrites.
void expect_golden(const std::string& text, const std::string& name) {
  const std::string path = "tests/golden/" + name;
  if (std::getenv("THIXO_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  const std::string golden((std::istreambuf_iterator<char>(file)), {});
  EXPECT_TRUE(golden == text) << path << " differs: run with THIXO_UPDATE_GOLDEN=1 and look at the difference";
}

/// The text of every error that a sample provokes.
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
        std::istringstream lines(e.what());
        for (std::string line; std::getline(lines, line);) {
          if (!line.starts_with("  at")) all += line + "\n";  // lines of definitions move
        }
        all += "\n";
      }
    }
  }
  expect_golden(all, "op_errors.txt");
}

/// What every op takes; with ? where it depends on the attributes.
TEST(DTypes, AreGolden) {
  std::string all;
  for (const OpDef& op : all_ops()) {
    all += op.schema.full_name() + ":";
    for (DType t : dtypes_of(op)) {
      bool always = true;
      for (const Sample& s : samples_of(op)) always &= !s.bad.empty() || takes(op, s, t);
      all += " " + std::string(dtype_short_name(t)) + (always ? "" : "?");
    }
    all += "\n";
  }
  expect_golden(all, "op_dtypes.txt");
}

}  // namespace
}  // namespace thixo::conformance
