// Random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A Generator is a key (the seed) and a counter; a random op takes both and moves the counter on, so
// the numbers depend on the seed and the order of calls only, on every device and for any threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "thixo/export.h"
#include "thixo/object.h"

namespace thixo {

class THIXO_API Generator : public Object {
 public:
  struct State {
    uint64_t seed = 0, counter = 0;
  };
  explicit Generator(uint64_t seed = 0) : stream_(std::make_shared<Stream>(State{seed, 0})) {}
  void manual_seed(uint64_t seed);
  uint64_t seed() const;
  /// The counter before the call; the counter moves on by `blocks` (of four 32-bit numbers each).
  uint64_t take(uint64_t blocks);
  State state() const;
  void set_state(State s);
  /// Inside the library: set_state() that is none of the user's doing, to which a recorder has no objection.
  void go_to(State s);
  /// A generator of the same stream: whichever draws moves both on, and each may outlive the other.
  Ref<Generator> twin() const { return Ref<Generator>(new Generator(stream_)); }
  /// Whether no twin is left.
  bool is_last() const { return stream_.use_count() == 1; }
  bool is_twin(const Generator& o) const { return stream_ == o.stream_; }

 private:
  struct Stream {
    explicit Stream(State s) : now(s) {}
    std::mutex mutex;
    State now;
  };
  explicit Generator(std::shared_ptr<Stream> s) : stream_(std::move(s)) {}
  std::shared_ptr<Stream> stream_;
};

/// The one of this thread while a ThreadGenerator lives, else that of the process.
THIXO_API Generator& default_generator();
/// Gives this thread a default generator of its own: workers draw numbers that depend on their task alone.
class THIXO_API ThreadGenerator {
 public:
  explicit ThreadGenerator(uint64_t seed);
  ~ThreadGenerator();
  ThreadGenerator(const ThreadGenerator&) = delete;
  ThreadGenerator& operator=(const ThreadGenerator&) = delete;

 private:
  Generator generator_;
  Generator* before_;
};
/// Seeds the default generator.
THIXO_API void manual_seed(uint64_t seed);

/// One block: four uniform 32-bit numbers of (key, counter). The definition that kernels reproduce.
THIXO_API std::array<uint32_t, 4> philox4x32(uint64_t key, uint64_t counter_lo, uint64_t counter_hi = 0);

}  // namespace thixo
