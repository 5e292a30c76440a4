// main() of every C++ test program. Unlike gtest_main it fails when nothing was run: a check that did not run must
// not count as passed.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int failed = RUN_ALL_TESTS();
  const bool sharded = std::getenv("GTEST_TOTAL_SHARDS") != nullptr;
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0 && !sharded) {
    std::fputs("no test was run: the filter matches nothing\n", stderr);
    return 1;
  }
  return failed;
}
