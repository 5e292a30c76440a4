#include "base/env.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "thixo/error.h"

namespace thixo {
namespace {

struct Setting {
  const char* name;
  Setting(const char* n, const char* value) : name(n) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name); }
};

TEST(Env, TableIsInTheOrderOfTheEnum) {
  for (size_t i = 0; i < env_settings().size(); ++i) EXPECT_EQ(static_cast<size_t>(env_settings()[i].id), i);
}

TEST(Env, UnsetAndEmptyMeanTheFallback) {
  unsetenv("THIXO_MEMORY_IDLE");
  EXPECT_EQ(env_int(Env::MemoryIdle), 30);
  Setting s("THIXO_MEMORY_IDLE", "");
  EXPECT_EQ(env_int(Env::MemoryIdle), 30);
}

TEST(Env, Bytes) {
  const std::pair<const char*, int64_t> cases[] = {
      {"0", 0}, {"123", 123}, {"4K", 4096}, {"1.5G", 1610612736}, {"2MiB", 2097152}, {"1TB", 1099511627776}};
  for (auto [text, want] : cases) {
    Setting s("THIXO_MEMORY_LIMIT", text);
    EXPECT_EQ(env_bytes(Env::MemoryLimit), want) << text;
  }
  for (const char* text : {"much", "-1", "4X", "4Kilo", "1e30", "nan"}) {
    Setting s("THIXO_MEMORY_LIMIT", text);
    EXPECT_THROW(env_bytes(Env::MemoryLimit), Error) << text;
  }
}

TEST(Env, ErrorNamesTheVariableAndTheRule) {
  Setting s("THIXO_NUM_THREADS", "four");
  try {
    env_int(Env::NumThreads);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Value);
    std::string text = e.what();
    EXPECT_NE(text.find("THIXO_NUM_THREADS is 'four'"), std::string::npos) << text;
    EXPECT_NE(text.find("a whole number"), std::string::npos) << text;
  }
}

TEST(Env, WholeNumbersHaveBounds) {
  for (const char* text : {"-1", "1025", "99999999999", "99999999999999999999"}) {
    Setting s("THIXO_NUM_THREADS", text);
    EXPECT_THROW(env_int(Env::NumThreads, 0, 1024), Error) << text;
  }
  Setting s("THIXO_NUM_THREADS", "1024");
  EXPECT_EQ(env_int(Env::NumThreads, 0, 1024), 1024);
}

TEST(Env, Flag) {
  Setting s("THIXO_NUM_THREADS", "on");
  EXPECT_TRUE(env_flag(Env::NumThreads));
  Setting t("THIXO_NUM_THREADS", "0");
  EXPECT_FALSE(env_flag(Env::NumThreads));
  Setting u("THIXO_NUM_THREADS", "maybe");
  EXPECT_THROW(env_flag(Env::NumThreads), Error);
}

}  // namespace
}  // namespace thixo
