// vmap: a function of one example runs once for a batch. Every value of its level has the batch dim in front.
#pragma once

#include "transform/interpreter.h"

namespace thixo {

enum class Randomness : uint8_t { Error, Different, Same };

class VmapLevel final : public LevelInterpreter {
 public:
  VmapLevel(Dim batch, Randomness randomness) : batch_(batch), randomness_(randomness) {}
  Values apply(const Call& call) override;

  Dim batch() const { return batch_; }
  /// t, whose dim `dim` is the batch, as one example.
  Tensor enter(const Tensor& t, int64_t dim);
  /// One example back to a batch along `dim`; the same for all when it is none of this level's.
  Tensor leave(const Tensor& t, int64_t dim);

 protected:
  Tensor lower(const Tensor& self, const Tensor& v) override;

 private:
  Tensor batched(const Tensor& value) const;
  Values whole_batch(const Call& call);
  Values pointwise(const Call& call);
  Values by_rule(const Call& call, bool& done);
  Values example(const Call& call, int64_t i, bool own_keys) const;
  Values loop(const Call& call, bool own_keys);
  Values creation(const Call& call);
  Values random(const Call& call);

  Dim batch_;
  Randomness randomness_;
};

}  // namespace thixo
