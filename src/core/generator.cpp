#include "thixo/generator.h"

#include <utility>

#include "base/thread_state.h"
#include "core/seed_hook.h"

namespace thixo {
namespace {

THIXO_FAST_TLS SeedHook t_seed_hook = nullptr;

}  // namespace

void set_seed_hook(SeedHook hook) { t_seed_hook = hook; }

void Generator::manual_seed(uint64_t seed) { set_state({seed, 0}); }

uint64_t Generator::seed() const { return state().seed; }

uint64_t Generator::take(uint64_t blocks) {
  std::lock_guard<std::mutex> lock(stream_->mutex);
  return std::exchange(stream_->now.counter, stream_->now.counter + blocks);
}

Generator::State Generator::state() const {
  std::lock_guard<std::mutex> lock(stream_->mutex);
  return stream_->now;
}

void Generator::set_state(State s) {
  if (t_seed_hook != nullptr) t_seed_hook();
  go_to(s);
}

void Generator::go_to(State s) {
  std::lock_guard<std::mutex> lock(stream_->mutex);
  stream_->now = s;
}

namespace {
THIXO_FAST_TLS Generator* t_generator = nullptr;
}

Generator& default_generator() {
  static Generator& g = *new Generator;
  return t_generator != nullptr ? *t_generator : g;
}

ThreadGenerator::ThreadGenerator(uint64_t seed) : generator_(seed), before_(std::exchange(t_generator, &generator_)) {}
ThreadGenerator::~ThreadGenerator() { t_generator = before_; }

void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

std::array<uint32_t, 4> philox4x32(uint64_t key, uint64_t counter_lo, uint64_t counter_hi) {
  constexpr uint32_t kMultiply0 = 0xD2511F53u, kMultiply1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  std::array<uint32_t, 4> c{static_cast<uint32_t>(counter_lo), static_cast<uint32_t>(counter_lo >> 32),
                            static_cast<uint32_t>(counter_hi), static_cast<uint32_t>(counter_hi >> 32)};
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kMultiply0} * c[0], p1 = uint64_t{kMultiply1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return c;
}

}  // namespace thixo
