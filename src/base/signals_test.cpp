#include "base/signals.h"

#include <gtest/gtest.h>

namespace thixo {
namespace {

bool blocked(int signal) {
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, signal) == 1;
}

TEST(Signals, AreHeldUntilTheOutermostGuardEnds) {
  {
    const HoldSignals outer;
    {
      const HoldSignals inner;
    }
    EXPECT_TRUE(blocked(SIGINT) && blocked(SIGALRM));
    EXPECT_FALSE(blocked(SIGSEGV));
  }
  EXPECT_FALSE(blocked(SIGINT) || blocked(SIGALRM));
}

TEST(Signals, AQuietThreadTakesNoneAndItsMakerStill) {
  bool quiet = false;
  std::thread t = quiet_thread([&] {
    {
      const HoldSignals again;
    }
    quiet = blocked(SIGINT);
  });
  EXPECT_FALSE(blocked(SIGINT));
  t.join();
  EXPECT_TRUE(quiet);
}

}  // namespace
}  // namespace thixo
