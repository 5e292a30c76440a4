#include "thixo/registry.h"

#include <gtest/gtest.h>

#include "base/error_text.h"

namespace thixo {
namespace {

TEST(Registry, ACallHasAllAttributesOfTheSchema) {
  const OpDef *div = op_named("div"), *mode = op_named("div.mode");
  const Tensor in[] = {full({2}, 7), full({2}, 2)};
  const Attr floor[] = {std::string("floor")};
  EXPECT_EQ(call_op(*mode, in, floor)[0].sum().item<int>(), 6);
  const std::string e = test::error_of([&] { call_op(*div, in, floor); });
  EXPECT_NE(e.find("InternalError: div: a call with 1 attributes\n  need  0, one for each of the schema: div("),
            std::string::npos)
      << e;
  EXPECT_NE(test::error_of([&] { call_op_inplace(*mode, in, {}); }).find("a call with 0 attributes"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { call_op_out(*mode, in, {}, in); }).find("a call with 0 attributes"),
            std::string::npos);
}

}  // namespace
}  // namespace thixo
