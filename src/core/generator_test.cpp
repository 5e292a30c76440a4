#include "thixo/generator.h"

#include <gtest/gtest.h>

namespace thixo {
namespace {

// The known answers that Random123 publishes for philox4x32-10.
TEST(Philox, KnownAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32(0, 0, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32(~0ull, ~0ull, ~0ull), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Generator, AThreadMayHaveItsOwn) {
  manual_seed(1);
  {
    ThreadGenerator own(7);
    EXPECT_EQ(default_generator().seed(), 7u);
    default_generator().take(5);
    ThreadGenerator inner(8);
    EXPECT_EQ(default_generator().seed(), 8u);
  }
  EXPECT_EQ(default_generator().seed(), 1u);
  EXPECT_EQ(default_generator().state().counter, 0u);
}

TEST(Generator, CounterMovesOnAndStateComesBack) {
  Generator g(5);
  EXPECT_EQ(g.take(3), 0u);
  const Generator::State s = g.state();
  EXPECT_EQ(s.seed, 5u);
  EXPECT_EQ(g.take(2), 3u);
  EXPECT_EQ(g.take(1), 5u);
  g.set_state(s);
  EXPECT_EQ(g.take(1), 3u);
  g.manual_seed(9);
  EXPECT_EQ(g.seed(), 9u);
  EXPECT_EQ(g.take(1), 0u);
}

TEST(Generator, ATwinIsTheSameStreamAndMayOutlive) {
  Ref<Generator> twin;
  {
    Generator g(5);
    twin = g.twin();
    EXPECT_TRUE(g.is_twin(*twin) && twin->is_twin(g) && !g.is_last());
    EXPECT_FALSE(g.is_twin(Generator(5)));
    EXPECT_EQ(g.take(3), 0u);
    EXPECT_EQ(twin->take(2), 3u);
    g.manual_seed(8);
  }
  EXPECT_TRUE(twin->is_last());
  EXPECT_EQ(twin->seed(), 8u);
}

TEST(Generator, DefaultIsSeededByManualSeed) {
  manual_seed(42);
  EXPECT_EQ(default_generator().seed(), 42u);
  EXPECT_EQ(default_generator().state().counter, 0u);
}

}  // namespace
}  // namespace thixo
