#include "codegen/target.h"

#include <gtest/gtest.h>

#include "thixo/error.h"

namespace thixo::codegen {
namespace {

TEST(Target, TextRoundTrip) {
  for (std::string_view isa : isas()) {
    for (bool deterministic : {false, true}) {
      for (bool optimize : {false, true}) {
        TargetSpec t = target_for(isa);
        t.deterministic = deterministic;
        t.optimize = optimize;
        EXPECT_EQ(target_from_str(target_str(t)), t) << target_str(t);
      }
    }
  }
}

TEST(Target, BadTextIsRefused) {
  for (const char* text : {"", "x86_64", "x86_64 cpu", "x86_64 cpu [", "x86_64 cpu [] fast", " [] x"}) {
    EXPECT_THROW(target_from_str(text), Error) << text;
  }
}

TEST(Target, UnknownIsaNamesTheKnown) {
  try {
    target_for("sse9");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("avx512"), std::string::npos);
  }
}

TEST(Target, HostRunsItsIsa) {
  EXPECT_TRUE(host_runs(host_isa()));
  EXPECT_FALSE(host_runs("wasm32"));
}

}  // namespace
}  // namespace thixo::codegen
